"""What Looker posts to have an action executed, and what it is answered."""

from collections.abc import Mapping

import msgspec

from common.platform.errors import BridgeError, Busy, MalformedRequest, NoSuchJob, StreamCut

_SEND_AGAIN = "Send it again in Looker, which repeats nothing by itself."
_WHAT_LOOKER_SENDS = "Send what Looker sends to an action: a JSON object with scheduled_plan and form_params."


class Execution(msgspec.Struct, frozen=True):
    """What one execution asks for."""

    relay: str
    "The form's choice; empty where there was none."
    download_url: str
    "Where the rows can be fetched, once and within 3,600 seconds; empty where they came along."


class ActionOutcome(msgspec.Struct, frozen=True):
    """How it ended, as src/hub/action_response.ts writes it."""

    success: bool
    message: str
    refresh_query: bool = False
    validation_errors: dict[str, str] = {}
    "By the form's field."


class _Plan(msgspec.Struct, frozen=True):
    download_url: str | None = None


class _Posted(msgspec.Struct, frozen=True):
    scheduled_plan: _Plan | None = None
    form_params: Mapping[str, object] | None = None


def read(body: bytes) -> Execution:
    """
    Raises:
        MalformedRequest: it is not what Looker posts.
    """
    try:
        posted = msgspec.json.decode(body, type=_Posted)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedRequest(f"The body is no execution: {error}.", next_step=_WHAT_LOOKER_SENDS) from None
    except RecursionError:
        raise MalformedRequest("The body is nested too deeply.", next_step=_WHAT_LOOKER_SENDS) from None
    plan = posted.scheduled_plan or _Plan()
    relay = (posted.form_params or {}).get("relay")
    return Execution(relay if isinstance(relay, str) else "", plan.download_url or "")


def succeeded(message: str) -> dict[str, ActionOutcome]:
    return {"looker": ActionOutcome(success=True, message=message)}


def failed(error: BridgeError) -> dict[str, ActionOutcome]:
    """For the schedule's history: as Looker's own hub does, in the body of a 200 (src/server/server.ts)."""
    next_step = _SEND_AGAIN if isinstance(error, Busy | StreamCut) else error.next_step
    faults = {"relay": error.cause} if isinstance(error, NoSuchJob) else {}
    return {"looker": ActionOutcome(success=False, message=f"{error.cause} {next_step}", validation_errors=faults)}
