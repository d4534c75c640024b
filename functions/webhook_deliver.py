"""The function `webhook_deliver`: what waits in the inbox, into Pigment. Its flow is `common.flows.deliver`.

Woken by a Pub/Sub push when an object arrives in `inbox/`, and by a schedule that is the safety net: that sweep also
looks for what should have happened and has not (`common.flows.watch`). Any answer but a 2xx makes Pub/Sub come back.
"""

import contextvars

import flask
import functions_framework
import msgspec

from common.flows import deliver as delivering
from common.flows import watch as watching
from common.flows.deliver import DeliveryCounts
from common.platform import log, web
from common.platform.errors import BridgeError, status_of
from common.runs import instance
from common.runs import run as runs
from common.runs.instance import Instance
from common.storage import inbox

log.configure()

_LONGEST_ENVELOPE_BYTES = 1024 * 1024


class _Message(msgspec.Struct, frozen=True):
    attributes: dict[str, str] = {}


class _Envelope(msgspec.Struct, frozen=True):
    """A Pub/Sub push of a Cloud Storage notification (Cloud Storage docs, "Pub/Sub notifications")."""

    message: _Message = _Message()


@functions_framework.http  # type: ignore[untyped-decorator]
def webhook_deliver(request: flask.Request) -> flask.Response:
    log.begin(request.headers)
    here = instance.current
    try:
        hint = _hint(web.read_body(request, _LONGEST_ENVELOPE_BYTES))
        bridge = here.config()
        # In a context of its own: what the log says afterwards is of no single run.
        tally = contextvars.copy_context().run(delivering.deliver, here, bridge, hint)
    except Exception as error:  # noqa: BLE001  # the edge: nothing may leave it but an answer
        return web.refusal(runs.as_bridge_error(error))
    _tell(here, tally, sweep=hint is None)
    if hint is None:
        watching.watch(here, bridge)
    return web.respond(tally, status_of(tally.error.code) if tally.error else 200, tally.error)


def _hint(body: bytes | None) -> str | None:
    """The relay whose delivery arrived, where the call says so; it is only a hint, so nothing in it can be wrong."""
    try:
        name = msgspec.json.decode(body or b"{}", type=_Envelope).message.attributes.get("objectId", "")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    folder, _, rest = name.partition("/")
    return rest.partition("/")[0] if folder == "inbox" else None


def _tell(here: Instance, tally: DeliveryCounts, *, sweep: bool) -> None:
    log.log.info(
        "inbox processed",
        delivered=tally.delivered,
        waiting=tally.waiting,
        dead=tally.dead,
        oldest_waiting_s=_oldest_waiting_s(here) if tally.waiting else 0,
        sweep=sweep,
    )


def _oldest_waiting_s(here: Instance) -> int | None:
    """None where the bucket does not tell just now: the deliveries that were made are answered all the same."""
    try:
        arrived_at = inbox.oldest(here.store)
    except BridgeError:
        return None
    return max(0, round((here.clock.now() - arrived_at).total_seconds())) if arrived_at else 0
