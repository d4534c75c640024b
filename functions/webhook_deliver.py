"""The function `webhook_deliver`: deliveries from the inbox into Pigment. Its flow is `common.flows.deliver`.

It is called by a Pub/Sub push when an object arrives in `inbox/`, and by a schedule. The scheduled call, the sweep,
delivers what a lost push left. It also compares blocks for which a landing had no time (`common.flows.verify`), and
checks for overdue jobs (`common.flows.watch`). Pub/Sub repeats a push until the answer is a 2xx.
"""

import contextvars

import flask
import functions_framework
import msgspec

from common.flows.deliver import deliver, log_counts
from common.flows.status import note
from common.flows.verify import verify_pending
from common.flows.watch import watch
from common.platform import log, web
from common.platform.body import body_of, guard
from common.platform.errors import as_bridge_error
from common.runs import instance
from common.runs.receipts import Receipt

log.configure()
guard()

_LONGEST_MESSAGE_BYTES = 1024 * 1024


class PubSubMessage(msgspec.Struct, frozen=True):
    attributes: dict[str, str] = {}


class PubSubPush(msgspec.Struct, frozen=True):
    """A Pub/Sub push of a Cloud Storage notification (Cloud Storage docs, "Pub/Sub notifications")."""

    message: PubSubMessage = PubSubMessage()


@functions_framework.http  # type: ignore[untyped-decorator]
def webhook_deliver(request: flask.Request) -> flask.Response:
    log.begin(request.headers)
    here = instance.current
    try:
        deadline = here.deadline()
        hint = _hint(body_of(request).read(_LONGEST_MESSAGE_BYTES, deadline))
        bridge = here.config()
        # In a log context of its own: the lines that follow do not belong to one run.
        ended: list[Receipt] = []
        counts = contextvars.copy_context().run(deliver, here, bridge, hint, ended.append)
    except Exception as error:  # noqa: BLE001  # the outermost handler: every request gets an answer
        return web.refuse(as_bridge_error(error))
    log_counts(here, counts, is_sweep=hint is None)
    note(here, bridge, ended)
    if hint is None:
        contextvars.copy_context().run(verify_pending, here, bridge, deadline)
        watch(here, bridge)
    return web.respond(counts, counts.status, counts.error)


def _hint(body: bytes | None) -> str | None:
    """Return the relay whose delivery arrived, if the call names one. It is only a hint: a wrong one is ignored."""
    try:
        name = msgspec.json.decode(body or b"{}", type=PubSubPush).message.attributes.get("objectId", "")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    folder, _, rest = name.partition("/")
    return rest.partition("/")[0] if folder == "inbox" else None
