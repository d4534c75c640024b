"""The JSON body of a webhook, and the fields that describe it.

Source: looker-open-source/actions, `src/api_types/data_webhook_payload*.ts`. Real bodies differ from these types: old
versions leave out `type`, and ids are numbers or text. So every small field is read as it is and converted to text.
"""

import codecs
from typing import Literal, get_args

import msgspec

from common.platform.errors import MalformedRequest

DeliveryKind = Literal["look", "dashboard", "query", "cell"]

EXPECTED_BODY = "Send a JSON object with scheduled_plan and attachment, as Looker's webhook destination does."

_LONGEST_FIELD_BYTES = 4096
_MOST_LIMIT_DIGITS = 18

# "LookMLDashboard" is not among the types, but seen in practice.
_KINDS: dict[str, DeliveryKind] = {**{kind: kind for kind in get_args(DeliveryKind)}, "lookmldashboard": "dashboard"}


class PlanQuery(msgspec.Struct, frozen=True):
    limit: msgspec.Raw = msgspec.Raw()


class ScheduledPlan(msgspec.Struct, frozen=True):
    scheduled_plan_id: msgspec.Raw = msgspec.Raw()
    title: msgspec.Raw = msgspec.Raw()
    type: msgspec.Raw = msgspec.Raw()
    query: msgspec.Raw = msgspec.Raw()

    @property
    def identity(self) -> str:
        """What tells this schedule from others: its id or, if it has none, its title."""
        return text_of(self.scheduled_plan_id) or text_of(self.title) or ""

    @property
    def row_limit(self) -> int | None:
        """The row limit of the query, at which Looker cuts a delivery; None if it has none."""
        try:
            query = msgspec.json.decode(self.query, type=PlanQuery)
        except msgspec.DecodeError:
            # A dashboard has no query: null, or left out.
            return None
        digits = text_of(query.limit) or ""
        return int(digits) if len(digits) <= _MOST_LIMIT_DIGITS and digits.isdecimal() else None


class WebhookAttachment(msgspec.Struct, frozen=True):
    """The content, in every format except inline JSON."""

    mimetype: msgspec.Raw = msgspec.Raw()
    extension: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()


class WebhookPayload(msgspec.Struct, frozen=True):
    """The body of a webhook. Raw fields point into the body, so that a large one is not copied."""

    scheduled_plan: ScheduledPlan | None = None
    attachment: WebhookAttachment | None = None
    data: msgspec.Raw = msgspec.Raw()
    "The rows, if the format is inline JSON; an action's parameters."
    type: msgspec.Raw = msgspec.Raw()

    @property
    def plan_id(self) -> str | None:
        return text_of(self.scheduled_plan.scheduled_plan_id) if self.scheduled_plan else None

    @property
    def plan_title(self) -> str | None:
        return text_of(self.scheduled_plan.title) if self.scheduled_plan else None

    @property
    def plan(self) -> str:
        return self.scheduled_plan.identity if self.scheduled_plan else ""

    @property
    def row_limit(self) -> int | None:
        return self.scheduled_plan.row_limit if self.scheduled_plan else None

    @property
    def kind(self) -> DeliveryKind | None:
        """The kind of the scheduled object. The plan is more exact than the payload, which calls a Look a query."""
        type_in_plan = text_of(self.scheduled_plan.type) if self.scheduled_plan else None
        return _KINDS.get((type_in_plan or "").lower()) or _KINDS.get((text_of(self.type) or "").lower())


def decode(body: bytes) -> WebhookPayload:
    """Decode the body of a request. Raises MalformedRequest if it is not the body of a webhook."""
    content = memoryview(body)[len(codecs.BOM_UTF8) :] if body.startswith(codecs.BOM_UTF8) else body
    try:
        payload = msgspec.json.decode(content, type=WebhookPayload)
    except msgspec.DecodeError as error:
        raise MalformedRequest(f"The body is not a delivery: {error}.", next_step=EXPECTED_BODY) from None
    except RecursionError:
        raise MalformedRequest("The JSON of the body is nested too deeply.", next_step=EXPECTED_BODY) from None
    if payload.scheduled_plan is None and payload.attachment is None and not payload.data:
        nothing = "The body has neither scheduled_plan, nor attachment, nor data."
        raise MalformedRequest(nothing, next_step=EXPECTED_BODY)
    return payload


def text_of(field: msgspec.Raw) -> str | None:
    """Return a small field as text, a number as its digits; None if it is empty. Raises MalformedRequest."""
    content = bytes(memoryview(field)[: _LONGEST_FIELD_BYTES + 1])
    if len(content) > _LONGEST_FIELD_BYTES:
        too_long = f"A field of the delivery is longer than {_LONGEST_FIELD_BYTES} bytes."
        raise MalformedRequest(too_long, next_step=EXPECTED_BODY)
    if not content.startswith(b'"'):
        return content.decode("ascii", "replace") if content[:1].isdigit() else None
    try:
        return msgspec.json.decode(content, type=str) or None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MalformedRequest("A field of the delivery is not text.", next_step=EXPECTED_BODY) from None
