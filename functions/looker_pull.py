"""The function `looker_pull`: a Look's rows, all of them, into a Pigment import. Its flow is `common.flows.pull`."""

import flask
import functions_framework
import msgspec
from werkzeug.datastructures import Headers

from common import bridge_yaml
from common.flows.pull import pull
from common.loads.incremental import RequestedRange
from common.platform import log, web
from common.platform.errors import MalformedRequest, NoSuchJob
from common.runs import instance
from common.runs.receipts import Receipt

log.configure()


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """What Cloud Scheduler, or a person, posts."""

    job: str
    preview: bool = False
    from_: str | int | None = None
    "Of an incremental pull: load again from here, a day, a time in the query's time zone, or a number."
    to: str | int | None = None
    "Of an incremental pull: no further than this."
    windows: int | None = None
    "Of an incremental pull: no more of them in this call."


@functions_framework.http  # type: ignore[untyped-decorator]
def looker_pull(request: flask.Request) -> flask.Response:
    return web.answer(request, Call, act)


def act(call: Call, headers: Headers) -> Receipt:
    """Pull once.

    Raises:
        NoSuchJob, MalformedRequest, BridgeFileInvalid, StorageRefused, StorageBusy, SettingMissing: it came to no run.
    """
    here = instance.current
    bridge = here.config()
    job = _find_job(bridge, call.job)
    tick = headers.get("X-CloudScheduler-ScheduleTime")
    return pull(here, bridge, job, preview=call.preview, tick=tick, stretch=_stretch(call))


def _stretch(call: Call) -> RequestedRange | None:
    if call.from_ is None and call.to is None and call.windows is None:
        return None
    return RequestedRange(_position("from", call.from_), _position("to", call.to), call.windows)


def _position(name: str, text: str | int | None) -> bridge_yaml.Position | None:
    try:
        return None if text is None else bridge_yaml.position(text)
    except bridge_yaml.Wrong as fault:
        raise MalformedRequest(f"`{name}` {fault.wrong}.", next_step="Send a day, a time or a number.") from None


def _find_job(bridge: bridge_yaml.Bridge, name: str) -> bridge_yaml.Pull:
    job = bridge.job(name)
    if isinstance(job, bridge_yaml.Pull):
        return job
    known = ", ".join(sorted(pull for pull in bridge.pulls)) or "none"
    kind = f"is a {job.kind}, no pull" if job else "does not exist"
    raise NoSuchJob(f"The job {name} {kind}. Pulls: {known}.")
