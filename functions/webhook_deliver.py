"""The function `webhook_deliver`: what waits in the inbox, into Pigment. Its flow is `common.delivering`.

Woken by a Pub/Sub push when an object arrives in `inbox/`, and by a schedule that is the safety net. Any answer but a
2xx makes Pub/Sub come back.
"""

import flask
import functions_framework
import msgspec

from common import delivering, instance, log, runs, web
from common.errors import status_of

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
        tally = delivering.deliver(here, here.config(), _hint(web.read_body(request, _LONGEST_ENVELOPE_BYTES)))
    except Exception as error:  # noqa: BLE001  # the edge: nothing may leave it but an answer
        return web.refusal(runs.as_bridge_error(error))
    log.log.info("inbox looked through", delivered=tally.delivered, waiting=tally.waiting, dead=tally.dead)
    return web.respond(tally, status_of(tally.error.code) if tally.error else 200, tally.error)


def _hint(body: bytes | None) -> str | None:
    """The relay whose delivery arrived, where the call says so; it is only a hint, so nothing in it can be wrong."""
    try:
        name = msgspec.json.decode(body or b"{}", type=_Envelope).message.attributes.get("objectId", "")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    folder, _, rest = name.partition("/")
    return rest.partition("/")[0] if folder == "inbox" else None
