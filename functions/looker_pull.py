"""The function `looker_pull`: a Look's rows, all of them, into a Pigment import. Its flow is `common.pulling`."""

import flask
import functions_framework
import msgspec
from werkzeug.datastructures import Headers

from common import config, instance, log, web
from common.errors import MalformedRequest, NoSuchJob
from common.pulling import pull
from common.receipts import Receipt

log.configure()


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """What Cloud Scheduler, or a person, posts."""

    job: str
    preview: bool = False
    from_: str | None = None
    to: str | None = None


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
    if call.from_ or call.to:
        raise MalformedRequest("`from` and `to` are for incremental pulls.")
    return pull(here, bridge, job, preview=call.preview, tick=headers.get("X-CloudScheduler-ScheduleTime"))


def _find_job(bridge: config.Bridge, name: str) -> config.Pull:
    job = bridge.job(name)
    if isinstance(job, config.Pull):
        return job
    known = ", ".join(sorted(pull for pull in bridge.pulls)) or "none"
    kind = f"is a {job.kind}, no pull" if job else "does not exist"
    raise NoSuchJob(f"The job {name} {kind}. Pulls: {known}.")
