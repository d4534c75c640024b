"""The function `webhook_receive`: a Looker delivery, acknowledged once it is durable.

token → relay → body, at most 32 MiB → is it rows? → durable in the inbox → 200
"""

import hashlib
import hmac
from urllib.parse import unquote

import flask
import functions_framework

from common import config, deliveries, inbox, instance, log, runs, web
from common.errors import BodyTooLong, MalformedRequest, NoSuchJob, TokenRefused
from common.instance import Instance

log.configure()

LONGEST_BODY_BYTES = 32 * 1024 * 1024
"As long as Cloud Run lets a request be."

_DROP_IN_PATHS = ("/api/import/push/looker", "/api/v1/import/push/looker")
"Pigment's own addresses: a user swaps the host in Looker's webhook and takes the key out."


@functions_framework.http  # type: ignore[untyped-decorator]
def webhook_receive(request: flask.Request) -> flask.Response:
    log.begin(request.headers)
    try:
        message = receive(request, instance.current)
    except Exception as error:  # noqa: BLE001  # the edge: nothing may leave it but an answer
        refused = runs.as_bridge_error(error)
        # Looker shows the message in the schedule's history.
        return web.refusal(refused, looker={"success": False, "message": f"{refused.cause} {refused.next_step}"})
    return web.respond({"looker": {"success": True, "message": message}}, 200)


def receive(request: flask.Request, here: Instance) -> str:
    """Make a delivery durable; what to tell Looker.

    Raises:
        TokenRefused: before the path or the body is looked at, so that nobody learns which relays exist.
        MalformedRequest, NoSuchJob, BodyTooLong, DeliveryNotUsable, …: nothing was kept.
        StorageBusy, StorageRefused: it is not durable.
    """
    bridge = here.config()
    _expect_token(request, here, bridge.webhook)
    relay = _find_relay(request, bridge)
    log.bind(job=relay.name)
    body = _read(request)
    digest = _identity(request, body, relay)
    new = inbox.put(
        here.store, relay.name, digest, body, here.clock.now(), by_id="X-Looker-Webhook-Id" in request.headers
    )
    log.log.info("delivery kept" if new else "delivery known", job=relay.name, delivery=digest, bytes=len(body))
    return "Safe, and on its way to Pigment." if new else "Known already: it is landed once."


def _expect_token(request: flask.Request, here: Instance, webhook: config.Webhook) -> None:
    given = request.headers.get("X-Looker-Webhook-Token", "").encode()

    def fits(token: bytes) -> bool:
        return hmac.compare_digest(token, given)

    if not webhook.token or not here.secrets.is_one_of_the_newest(webhook.token, fits):
        raise TokenRefused("The header X-Looker-Webhook-Token does not hold the webhook token.")


def _find_relay(request: flask.Request, bridge: config.Bridge) -> config.Relay | config.Signal:
    if request.method != "POST":
        raise MalformedRequest(f"{request.method} is not a method a delivery comes by.")
    if request.path in _DROP_IN_PATHS:
        wanted = request.args.get("configurationId", "").lower()
        for relay in bridge.relays.values():
            if isinstance(relay, config.Relay) and relay.target.configuration == wanted:
                return relay
        raise NoSuchJob("No relay has this configurationId as its target.")
    name = unquote(request.path.removeprefix("/"))
    found = bridge.relays.get(name)
    if found is None:
        raise NoSuchJob("There is no relay of this name.")
    return found


def _read(request: flask.Request) -> bytes:
    body = web.read_body(request, LONGEST_BODY_BYTES)
    if body is None:
        raise BodyTooLong(f"The delivery is longer than {LONGEST_BODY_BYTES} bytes.")
    return body


def _identity(request: flask.Request, body: bytes, relay: config.Relay | config.Signal) -> str:
    """A digest of the event's id, or, where Looker sends none, of plan and rows.

    Raises:
        DeliveryNotUsable, MalformedRequest, …: what came is nothing that could be landed; a signal may be anything.
    """
    digest = None
    if isinstance(relay, config.Relay):
        digest = deliveries.read(body).content_digest
    event = request.headers.get("X-Looker-Webhook-Id")
    if event:
        return hashlib.sha256(f"id {event}".encode()).hexdigest()[:32]
    return (digest or hashlib.sha256(body).hexdigest())[:32]
