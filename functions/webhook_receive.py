"""The function `webhook_receive`: what Looker delivers, acknowledged once it is durable.

a webhook              token → relay → body, at most 32 MiB → is it rows? → durable in the inbox → 200
the action "Pigment"   token → list · form · execute: relay → fetch the rows, all of them → durable in the inbox → 200
"""

import hashlib
import hmac
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from urllib.parse import unquote

import flask
import functions_framework

from common import bridge_yaml
from common.looker import action, webhook
from common.platform import log, web
from common.platform.errors import BodyTooLong, MalformedRequest, NoSuchJob, TokenRefused
from common.runs import instance
from common.runs import run as runs
from common.runs.instance import Instance
from common.storage import inbox
from common.storage.inbox import Arriving

log.configure()

LONGEST_BODY_BYTES = 32 * 1024 * 1024
"As long as Cloud Run lets a request be."

_CONFIG_AT_MOST_OLD_S = 10.0
"Whoever has no token cannot make every call of theirs a read of the bucket; and a delivery is taken a third faster."

_DROP_IN_PATHS = ("/api/import/push/looker", "/api/v1/import/push/looker")
"Pigment's own addresses: a user swaps the host in Looker's webhook and takes the key out."

_ACTION_TOKEN = re.compile(r'[Tt]oken token="(.*)"')

_SAFE = "Safe, and on its way to Pigment."
_KNOWN = "Known already: it is landed once."

_Relay = bridge_yaml.Relay | bridge_yaml.Signal


@functions_framework.http  # type: ignore[untyped-decorator]
def webhook_receive(request: flask.Request) -> flask.Response:
    log.begin(request.headers)
    try:
        return receive(request, instance.current)
    except Exception as error:  # noqa: BLE001  # the edge: nothing may leave it but an answer
        refused = runs.as_bridge_error(error)
        # Looker shows the message in the schedule's history.
        return web.refusal(refused, looker={"success": False, "message": f"{refused.cause} {refused.next_step}"})


def receive(request: flask.Request, here: Instance) -> flask.Response:
    """
    Raises:
        TokenRefused: before the path or the body is looked at, so that nobody learns which relays exist.
        MalformedRequest, NoSuchJob, BodyTooLong, DeliveryNotUsable, …: nothing was kept.
        StorageBusy, StorageRefused: it is not durable.
    """
    recent = here.config(_CONFIG_AT_MOST_OLD_S)
    _expect_token(request, here, recent.webhook)
    if request.method != "POST":
        raise MalformedRequest(f"{request.method} is not a method a delivery comes by.")
    event = request.headers.get("X-Looker-Webhook-Id")
    call = action.called(request.path)
    if call is None:
        try:
            relay = _find_relay(request, recent)
        except NoSuchJob:
            relay = _find_relay(request, here.config())
        log.bind(job=relay.name)
        message = keep(here, relay, _read(request), event)
        return web.respond({"looker": {"success": True, "message": message}}, 200)
    bridge = here.config()
    if call.step == "list":
        return web.respond(action.listing(bridge, web.base_url(request)), 200)
    if call.step == "form":
        return web.respond(action.form(bridge, call.relay), 200)
    body = _read(request)
    return web.respond_in_time(lambda: execute(here, bridge, call, body, event))


def execute(
    here: Instance, bridge: bridge_yaml.Bridge, call: action.ActionCall, body: bytes, event: str | None
) -> dict[str, action.ActionOutcome]:
    """Make an action's rows durable, or say what failed: Looker repeats nothing by itself, and shows it to a person."""
    try:
        execution = action.read(body)
        relay = _relay_named(execution.relay or call.relay, bridge)
        log.bind(job=relay.name)
        if execution.download_url and isinstance(relay, bridge_yaml.Relay):
            return action.succeeded(fetch(here, bridge, relay, execution.download_url, event))
        return action.succeeded(keep(here, relay, body, event))
    except Exception as error:  # noqa: BLE001  # whatever it is, Looker shows only what the answer says
        refused = runs.as_bridge_error(error)
        web.tell(refused)
        return action.failed(refused)


def keep(here: Instance, relay: _Relay, body: bytes, event: str | None) -> str:
    """Make a delivery durable; what to tell Looker."""
    identity = _identity(relay, body, event)
    new = inbox.put(here.store, relay.name, identity, body, here.clock.now(), by_id=bool(event))
    log.log.info(
        "delivery stored" if new else "delivery already received", job=relay.name, delivery=identity, bytes=len(body)
    )
    return _SAFE if new else _KNOWN


def fetch(here: Instance, bridge: bridge_yaml.Bridge, relay: bridge_yaml.Relay, url: str, event: str | None) -> str:
    """Make the rows behind a one-time address durable; what to tell Looker."""

    def begin() -> AbstractContextManager[Arriving]:
        return action.fetch(url, bridge.looker, here.deadline(), here.chance)

    # Looker makes each address for one event, and so it can stand for the event's id.
    identity = _digest(f"id {event}" if event else f"address {url}")
    new = inbox.put_rows(here.store, relay.name, identity, begin, here.clock.now())
    log.log.info("delivery stored" if new else "delivery already received", job=relay.name, delivery=identity)
    return _SAFE if new else _KNOWN


def _expect_token(request: flask.Request, here: Instance, webhook: bridge_yaml.WebhookSettings) -> None:
    given = [token.encode() for token in _tokens(request)]

    def fits(token: bytes) -> bool:
        fitting = [hmac.compare_digest(token, each) for each in given]
        return any(fitting)

    if not webhook.token or not here.secrets.is_one_of_the_newest(webhook.token, fits):
        raise TokenRefused("Neither X-Looker-Webhook-Token nor Authorization holds the webhook token.")


def _tokens(request: flask.Request) -> Iterator[str]:
    """A webhook's token, or an action's: docs/action_api.md, "Authentication"."""
    yield request.headers.get("X-Looker-Webhook-Token", "")
    # A gateway in front of the function puts its own in the place of the first, and Looker's into the second.
    for header in ("Authorization", "X-Forwarded-Authorization"):
        found = _ACTION_TOKEN.fullmatch(request.headers.get(header, ""))
        yield found[1] if found else ""


def _find_relay(request: flask.Request, bridge: bridge_yaml.Bridge) -> _Relay:
    if request.path in _DROP_IN_PATHS:
        wanted = request.args.get("configurationId", "").lower()
        for relay in bridge.relays.values():
            if isinstance(relay, bridge_yaml.Relay) and relay.target.configuration == wanted:
                return relay
        raise NoSuchJob("No relay has this configurationId as its target.")
    return _relay_named(unquote(request.path.removeprefix("/")), bridge)


def _relay_named(name: str, bridge: bridge_yaml.Bridge) -> _Relay:
    found = bridge.relays.get(name)
    if found is None:
        raise NoSuchJob("There is no relay of this name.")
    return found


def _read(request: flask.Request) -> bytes:
    body = web.read_body(request, LONGEST_BODY_BYTES)
    if body is None:
        raise BodyTooLong(f"The delivery is longer than {LONGEST_BODY_BYTES} bytes.")
    return body


def _identity(relay: _Relay, body: bytes, event: str | None) -> str:
    """A digest of the event's id, or, where Looker sends none, of plan and rows.

    Raises:
        DeliveryNotUsable, MalformedRequest, …: what came is nothing that could be landed; a signal may be anything.
    """
    digest = None
    if isinstance(relay, bridge_yaml.Relay):
        digest = webhook.read(body).content_digest
    if event:
        return _digest(f"id {event}")
    return (digest or hashlib.sha256(body).hexdigest())[:32]


def _digest(identity: str) -> str:
    return hashlib.sha256(identity.encode()).hexdigest()[:32]
