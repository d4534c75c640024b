"""The function `looker_pull`: a Look's rows, all of them, into a Pigment import. Its flow is `common.flows.pull`."""

import flask
import functions_framework
import msgspec
from werkzeug.datastructures import Headers

from common import bridge_yaml
from common.flows import status
from common.flows.pull import pull
from common.loads.incremental import RequestedRange
from common.platform import log, web
from common.platform.body import guard
from common.platform.errors import MalformedRequest
from common.runs import instance
from common.runs.receipts import Receipt

log.configure()
guard()


class PullCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """The body that Cloud Scheduler, or a person, posts."""

    job: str
    preview: bool = False
    from_: str | int | None = None
    "For an incremental pull: load again from here; a day, a time in the query's time zone, or a number."
    to: str | int | None = None
    "For an incremental pull: load up to here."
    windows: int | None = None
    "For an incremental pull: load at most this many windows in this call."
    restart: bool = False
    "With `from`: load all windows again, also those that an interrupted load of the same range has landed."


@functions_framework.http  # type: ignore[untyped-decorator]
def looker_pull(request: flask.Request) -> flask.Response:
    return web.answer(request, instance.current.deadline, PullCall, act)


def act(call: PullCall, headers: Headers) -> Receipt:
    """Pull once. Raises NoSuchJob, MalformedRequest, BridgeFileInvalid, StorageRefused, StorageBusy or SettingMissing
    if no run began.
    """
    here = instance.current
    bridge = here.config()
    job = bridge.find(bridge_yaml.Pull, call.job)
    call_id, due_at = headers.get(web.SCHEDULE_TIME), web.scheduled_at(headers)
    receipt = pull(here, bridge, job, preview=call.preview, call_id=call_id, requested=_requested(call), due_at=due_at)
    status.note(here, bridge, [receipt])
    return receipt


def _requested(call: PullCall) -> RequestedRange | None:
    if call.from_ is None and call.to is None and call.windows is None and not call.restart:
        return None
    begin, end = _position("from", call.from_), _position("to", call.to)
    if call.restart and begin is None:
        raise MalformedRequest("`restart` is for a range that begins at `from`.", next_step="Send `from`, too.")
    return RequestedRange(begin, end, call.windows, call.restart)


def _position(name: str, value: str | int | None) -> bridge_yaml.Position | None:
    try:
        return None if value is None else bridge_yaml.parse_position(value)
    except bridge_yaml.InvalidValue as fault:
        raise MalformedRequest(f"`{name}` {fault.problem}.", next_step="Send a day, a time or a number.") from None
