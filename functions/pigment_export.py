"""The function `pigment_export`: a Pigment view or block into Cloud Storage. Its flow is `common.flows.export`."""

import flask
import functions_framework
import msgspec
from werkzeug.datastructures import Headers

from common import bridge_yaml
from common.flows.export import export
from common.platform import log, web
from common.platform.body import guard
from common.runs import instance
from common.runs.receipts import Receipt

log.configure()
guard()


class ExportCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body that Cloud Scheduler, or a person, posts."""

    job: str
    preview: bool = False


@functions_framework.http  # type: ignore[untyped-decorator]
def pigment_export(request: flask.Request) -> flask.Response:
    return web.answer(request, instance.current.deadline, ExportCall, act)


def act(call: ExportCall, _headers: Headers) -> Receipt:
    """Export once. Raises NoSuchJob, BridgeFileInvalid, StorageRefused, StorageBusy, SettingMissing if no run began."""
    here = instance.current
    bridge = here.config()
    return export(here, bridge, bridge.find(bridge_yaml.Export, call.job), preview=call.preview)
