"""The function `pigment_export`: a Pigment view or block into Cloud Storage. Its flow is `common.flows.export`."""

from datetime import datetime
from zoneinfo import ZoneInfo

import flask
import functions_framework
import msgspec
from werkzeug.datastructures import Headers

from common import bridge_yaml
from common.flows import status
from common.flows.export import export
from common.platform import log, web
from common.platform.body import guard
from common.platform.errors import MalformedRequest
from common.runs import instance
from common.runs.receipts import Receipt

log.configure()
guard()


class ExportCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"for_": "for"}):
    """The body that Cloud Scheduler, or a person, posts."""

    job: str
    preview: bool = False
    for_: str | None = None
    "A day, or a time in the job's time zone, for the name of the object. Default: that of the schedule, else now."


@functions_framework.http  # type: ignore[untyped-decorator]
def pigment_export(request: flask.Request) -> flask.Response:
    return web.answer(request, instance.current.deadline, ExportCall, act)


def act(call: ExportCall, headers: Headers) -> Receipt:
    """Export once. Raises NoSuchJob, MalformedRequest, BridgeFileInvalid, StorageRefused, StorageBusy or SettingMissing
    if no run began.
    """
    here = instance.current
    bridge = here.config()
    job = bridge.find(bridge_yaml.Export, call.job)
    due_at = web.scheduled_at(headers) if call.for_ is None else _moment(call.for_, job.time_zone)
    receipt = export(here, bridge, job, preview=call.preview, due_at=due_at)
    status.note(here, bridge, [receipt])
    return receipt


def _moment(text: str, time_zone: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo:
        cause = "`for` is not a day, or a time without an offset."
        raise MalformedRequest(cause, next_step="Give a day such as 2026-03-01, with `--for` or as `for`.")
    return moment.replace(tzinfo=ZoneInfo(time_zone))
