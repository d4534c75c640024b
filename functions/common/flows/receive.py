"""Receiving: Looker's deliveries into the inbox, acknowledged once they are stored.

a webhook              token → relay → body, at most 32 MiB → is it rows? → stored in the inbox
the action "Pigment"   token → relay → all rows, fetched from Looker → stored in the inbox
"""

import hashlib
import hmac
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager

from werkzeug.datastructures import Headers

from common import bridge_yaml
from common.looker import action, webhook
from common.platform import log
from common.platform.errors import NoSuchJob, TokenRefused
from common.platform.secrets import Secrets
from common.runs.instance import Instance
from common.storage import inbox
from common.storage.claims import Arrival
from common.storage.inbox import IncomingRows, StoredDelivery

_DROP_IN_PATHS = ("/api/import/push/looker", "/api/v1/import/push/looker")
"Pigment's own paths: only the host in Looker's webhook changes, and the key is removed."

_ACTION_TOKEN = re.compile(r'[Tt]oken token="(.*)"')


def expect_token(headers: Headers, secrets: Secrets, settings: bridge_yaml.WebhookSettings) -> None:
    """Raise TokenRefused if the request has none of the newest versions of the webhook token, or SecretUnreadable."""
    given = [token.encode() for token in _tokens(headers)]

    def matches(token: bytes) -> bool:
        # Each is compared, so that the time does not depend on which one matches.
        found = [hmac.compare_digest(token, each) for each in given]
        return any(found)

    if not settings.token or not secrets.has_matching_version(settings.token, matches):
        raise TokenRefused("Neither X-Looker-Webhook-Token nor Authorization contains the webhook token.")


def find_relay(instance: Instance, recent: bridge_yaml.Bridge, path: str, configuration: str) -> bridge_yaml.AnyRelay:
    """Find the relay of a webhook delivery. Raises NoSuchJob if bridge.yaml does not have it.

    Args:
        recent: bridge.yaml as it was read a moment ago; it is read again only if it has no such relay.
        path: the request's path, `/RELAY` or one of Pigment's own.
        configuration: the parameter `configurationId`, which Pigment's own paths have.
    """
    try:
        return _relay_of(recent, path, configuration)
    except NoSuchJob:
        return _relay_of(instance.config(), path, configuration)


def _relay_of(bridge: bridge_yaml.Bridge, path: str, configuration: str) -> bridge_yaml.AnyRelay:
    if path not in _DROP_IN_PATHS:
        return relay_named(bridge, path.removeprefix("/"))
    for relay in bridge.relays.values():
        if isinstance(relay, bridge_yaml.Relay) and relay.target.configuration == configuration.lower():
            return relay
    raise NoSuchJob("No relay has this configurationId as its target.")


def relay_named(bridge: bridge_yaml.Bridge, name: str) -> bridge_yaml.AnyRelay:
    """Raise NoSuchJob if bridge.yaml has no relay with this name."""
    found = bridge.relays.get(name)
    if found is None:
        raise NoSuchJob("There is no relay with this name.")
    return found


def receive(instance: Instance, relay: bridge_yaml.AnyRelay, body: bytes, event: str | None) -> str:
    """Store a delivery and return the message for Looker; `event` is Looker's id of the delivery, if it sent one.

    Raises DeliveryNotUsable, MalformedRequest or another error if the delivery contains no rows that can be landed,
    StorageBusy or StorageRefused if it is not stored.
    """
    arrival, warnings = _arrival(relay, body, event)
    stored = inbox.put(instance.bucket, relay.name, arrival, body, instance.clock.now())
    answer = _acknowledge(relay, arrival.event or arrival.content, stored, bytes=len(body))
    return " ".join([answer, *warnings])


def execute(instance: Instance, bridge: bridge_yaml.Bridge, relay_name: str, body: bytes, event: str | None) -> str:
    """Fetch and store the rows of an action, and return the message for Looker. Raises what `receive` and
    `action.fetch` raise, and NoSuchJob.
    """
    execution = action.read(body)
    relay = relay_named(bridge, execution.relay or relay_name)
    log.bind(job=relay.name)
    if not execution.download_url or not isinstance(relay, bridge_yaml.Relay):
        return receive(instance, relay, body, event)
    url, plan = execution.download_url, execution.plan
    warnings = plan.warnings(accept_filters=relay.accept_filters)

    def begin() -> AbstractContextManager[IncomingRows]:
        return action.fetch(url, bridge.looker, instance.deadline(), instance.chance, warnings)

    # Looker creates each address for one event, so that it can replace the event's id.
    identity = _digest(f"id {event}" if event else f"address {url}")
    found = {inbox.ROW_LIMIT: plan.row_limit, inbox.WIDTH: plan.width}
    details = {name: str(value) for name, value in found.items() if value is not None}
    now, plan_digest = instance.clock.now(), _digest(plan.identity)
    stored = inbox.put_rows(instance.bucket, relay.name, identity, begin, now, plan=plan_digest, details=details)
    return _acknowledge(relay, identity, stored)


def _acknowledge(relay: bridge_yaml.AnyRelay, identity: str, stored: StoredDelivery, **fields: int) -> str:
    event = "delivery stored" if stored.is_new else "delivery already received"
    log.log.info(event, job=relay.name, delivery=identity, **fields)
    if stored.warning:
        log.log.warning("webhook id used again", job=relay.name, delivery=identity, cause=stored.warning)
    return "Received." if stored.is_new else "Already received."


def _tokens(headers: Headers) -> Iterator[str]:
    """Yield the token of a webhook and of an action (docs/action_api.md, "Authentication")."""
    yield headers.get("X-Looker-Webhook-Token", "")
    # A gateway in front of the function replaces the first header, and copies Looker's into the second.
    for header in ("Authorization", "X-Forwarded-Authorization"):
        found = _ACTION_TOKEN.fullmatch(headers.get(header, ""))
        yield found[1] if found else ""


def _arrival(relay: bridge_yaml.AnyRelay, body: bytes, event: str | None) -> tuple[Arrival, list[str]]:
    """Return what identifies a delivery, and the warnings about its rows. Raises what `webhook.read` raises; of a
    signal, any body is valid.
    """
    event_digest = _digest(f"id {event}") if event else None
    if not isinstance(relay, bridge_yaml.Relay):
        return Arrival.of_signal(hashlib.sha256(body).hexdigest()[:32], event_digest), []
    delivery = webhook.read(body, webhook.Accepted.by(relay))
    return Arrival(delivery.content_digest[:32], _digest(delivery.plan), event_digest), delivery.warnings


def _digest(identity: str) -> str:
    return hashlib.sha256(identity.encode()).hexdigest()[:32]
