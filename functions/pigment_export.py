"""The function `pigment_export`: a Pigment view or block into Cloud Storage. Its flow is `common.flows.export`."""

import flask
import functions_framework
import msgspec
from werkzeug.datastructures import Headers

from common import bridge_yaml
from common.flows.export import export
from common.platform import log, web
from common.platform.errors import NoSuchJob
from common.runs import instance
from common.runs.receipts import Receipt

log.configure()


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What Cloud Scheduler, or a person, posts."""

    job: str
    preview: bool = False


@functions_framework.http  # type: ignore[untyped-decorator]
def pigment_export(request: flask.Request) -> flask.Response:
    return web.answer(request, Call, act)


def act(call: Call, _headers: Headers) -> Receipt:
    """Export once.

    Raises:
        NoSuchJob, BridgeFileInvalid, StorageRefused, StorageBusy, SettingMissing: it came to no run.
    """
    here = instance.current
    bridge = here.config()
    return export(here, bridge, _find_job(bridge, call.job), preview=call.preview)


def _find_job(bridge: bridge_yaml.Bridge, name: str) -> bridge_yaml.Export:
    job = bridge.job(name)
    if isinstance(job, bridge_yaml.Export):
        return job
    known = ", ".join(sorted(bridge.exports)) or "none"
    kind = f"is a {job.kind}, no export" if job else "does not exist"
    raise NoSuchJob(f"The job {name} {kind}. Exports: {known}.")
