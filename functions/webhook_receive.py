"""The function `webhook_receive`: Looker's webhook deliveries and actions. Its flow is `common.flows.receive`."""

from urllib.parse import unquote

import flask
import functions_framework

from common import bridge_yaml
from common.flows import receive as receiving
from common.looker import action
from common.platform import log, web
from common.platform.body import body_of, guard
from common.platform.errors import BodyTooLong, MalformedRequest, as_bridge_error
from common.runs import instance
from common.runs.instance import Instance

log.configure()
guard()

LONGEST_BODY_BYTES = 32 * 1024 * 1024
"The longest request that Cloud Run accepts."

_CONFIG_AT_MOST_OLD_S = 10.0
"A caller without a token must not cause a read of the bucket each time; and a delivery is accepted a third faster."


@functions_framework.http  # type: ignore[untyped-decorator]
def webhook_receive(request: flask.Request) -> flask.Response:
    log.begin(request.headers)
    try:
        return receive(request, instance.current)
    except Exception as error:  # noqa: BLE001  # the outermost handler: every request gets an answer
        refused = as_bridge_error(error)
        # Looker shows the message in the schedule's history.
        return web.refuse(refused, looker={"success": False, "message": f"{refused.cause} {refused.next_step}"})


def receive(request: flask.Request, here: Instance) -> flask.Response:
    """Answer a webhook delivery, or one of the three calls of an action.

    Raises:
        TokenRefused: before the path and the body are looked at, so that a stranger does not learn which relays exist.
        MalformedRequest, NoSuchJob, BodyTooLong, BodyTooSlow, DeliveryNotUsable, …: nothing was stored.
        StorageBusy, StorageRefused: the delivery is not stored.
    """
    recent = here.config(_CONFIG_AT_MOST_OLD_S)
    receiving.expect_token(request.headers, here.secrets, recent.webhook)
    if request.method != "POST":
        raise MalformedRequest(f"{request.method} is not a method for deliveries.")
    event = request.headers.get("X-Looker-Webhook-Id")
    call = action.parse_path(request.path)
    if call is None:
        configuration = request.args.get("configurationId", "")
        relay = receiving.find_relay(here, recent, unquote(request.path), configuration)
        log.bind(job=relay.name)
        message = receiving.receive(here, relay, _read(request, here), event)
        return web.respond({"looker": {"success": True, "message": message}}, 200)
    content = _read(request, here)
    bridge = here.config()
    match call.step:
        case "list":
            return web.respond(action.listing(bridge, web.base_url(request)), 200)
        case "form":
            return web.respond(action.form(bridge, call.relay), 200)
        case _:
            return web.respond_in_time(lambda: _execute(here, bridge, call.relay, content, event))


def _execute(
    here: Instance, bridge: bridge_yaml.Bridge, relay: str, body: bytes, event: str | None
) -> dict[str, action.ActionOutcome]:
    """Run an action, or say why it failed: Looker does not retry it, and shows the message to a person."""
    try:
        return action.succeeded(receiving.execute(here, bridge, relay, body, event))
    except Exception as error:  # noqa: BLE001  # Looker shows only what the answer says
        refused = as_bridge_error(error)
        web.log_refusal(refused)
        return action.failed(refused)


def _read(request: flask.Request, here: Instance) -> bytes:
    content = body_of(request).read(LONGEST_BODY_BYTES, here.deadline())
    if content is None:
        raise BodyTooLong(f"The delivery is longer than {LONGEST_BODY_BYTES} bytes.")
    return content
