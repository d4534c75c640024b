"""The request that executes an action, and its answer."""

from collections.abc import Mapping

import msgspec

from common.looker.webhook.payload import ScheduledPlan
from common.platform.errors import BridgeError, Busy, MalformedRequest, NoSuchJob, StreamCut

_SEND_AGAIN = "Send it again in Looker. Looker does not repeat it by itself."
_EXPECTED_BODY = "Send a JSON object with scheduled_plan and form_params, as Looker does."


class Execution(msgspec.Struct, frozen=True):
    relay: str
    "The relay chosen in the form; empty if the request has no form."
    download_url: str
    "The address of the rows, for one use within 3,600 seconds; empty if the request contains the rows."
    plan: ScheduledPlan
    "What it says of the query and of the schedule."


class ActionOutcome(msgspec.Struct, frozen=True):
    """The result of an execution, in the shape of src/hub/action_response.ts."""

    success: bool
    message: str
    refresh_query: bool = False
    validation_errors: dict[str, str] = {}
    "By form field."


class _DownloadPlan(ScheduledPlan, frozen=True):
    download_url: str | None = None


class _ExecutionBody(msgspec.Struct, frozen=True):
    scheduled_plan: _DownloadPlan | None = None
    form_params: Mapping[str, object] | None = None


def read(body: bytes) -> Execution:
    """Raise MalformedRequest if it is not an execution."""
    try:
        request = msgspec.json.decode(body, type=_ExecutionBody)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedRequest(f"The body is not an execution: {error}.", next_step=_EXPECTED_BODY) from None
    except RecursionError:
        raise MalformedRequest("The JSON of the body is nested too deeply.", next_step=_EXPECTED_BODY) from None
    plan = request.scheduled_plan or _DownloadPlan()
    relay = (request.form_params or {}).get("relay")
    return Execution(relay if isinstance(relay, str) else "", plan.download_url or "", plan)


def succeeded(message: str) -> dict[str, ActionOutcome]:
    return {"looker": ActionOutcome(success=True, message=message)}


def failed(error: BridgeError) -> dict[str, ActionOutcome]:
    """Return an error for the schedule's history, in a 200 as Looker's own hub does (src/server/server.ts)."""
    next_step = _SEND_AGAIN if isinstance(error, Busy | StreamCut) else error.next_step
    faults = {"relay": error.cause} if isinstance(error, NoSuchJob) else {}
    return {"looker": ActionOutcome(success=False, message=f"{error.cause} {next_step}", validation_errors=faults)}
