"""The JSON body of a webhook, and the fields that describe it.

Source: looker-open-source/actions, `src/api_types/data_webhook_payload*.ts`. Real bodies differ from these types: old
versions leave out `type`, and ids are numbers or text. So every small field is read as it is and converted to text.
"""

import codecs
from typing import Any, Literal, get_args

import msgspec

from common.looker import obstacles
from common.platform.errors import DeliveryNotUsable, MalformedRequest

DeliveryKind = Literal["look", "dashboard", "query", "cell"]

EXPECTED_BODY = "Send a JSON object with scheduled_plan and attachment, as Looker's webhook destination does."

_LONGEST_FIELD_BYTES = 4096
_MOST_LIMIT_DIGITS = 18

# "LookMLDashboard" is not among the types, but seen in practice.
_KINDS: dict[str, DeliveryKind] = {**{kind: kind for kind in get_args(DeliveryKind)}, "lookmldashboard": "dashboard"}


_PERSONAL_FILTERS = "The schedule has filters of its own, which differ from the Look's"


class PlanQuery(msgspec.Struct, frozen=True):
    """What a delivery says of the query that it comes from."""

    limit: msgspec.Raw = msgspec.Raw()
    fields: Any = None
    pivots: Any = None
    row_total: Any = None
    total: Any = None
    subtotals: Any = None
    dynamic_fields: Any = None
    has_table_calculations: Any = None


class ScheduledPlan(msgspec.Struct, frozen=True):
    scheduled_plan_id: msgspec.Raw = msgspec.Raw()
    title: msgspec.Raw = msgspec.Raw()
    type: msgspec.Raw = msgspec.Raw()
    query: msgspec.Raw = msgspec.Raw()
    filters_differ_from_look: msgspec.Raw = msgspec.Raw()

    @property
    def identity(self) -> str:
        """What tells this schedule from others: its id or, if it has none, its title."""
        return text_of(self.scheduled_plan_id) or text_of(self.title) or ""

    @property
    def row_limit(self) -> int | None:
        """The row limit of the query, at which Looker cuts a delivery; None if it has none."""
        digits = text_of(self._described_query().limit) or ""
        return int(digits) if len(digits) <= _MOST_LIMIT_DIGITS and digits.isdecimal() else None

    @property
    def width(self) -> int | None:
        """The number of columns that the query selects; None if that is not certain."""
        return obstacles.width(self._described_query())

    def warnings(self, *, accept_filters: bool) -> list[str]:
        """Return what the receipt has to say of the rows. Raises DeliveryNotUsable if they are not those of the Look,
        or if there are other rows and columns between them.
        """
        found = obstacles.of_delivery(self._described_query())
        if found:
            cause = f"The delivery comes from a query with {'; '.join(found)}."
            next_step = "In Looker, save a copy of the Look without the parts named here, and schedule the copy."
            raise DeliveryNotUsable(cause, next_step=next_step)
        if not _is_true(self.filters_differ_from_look):
            return []
        if accept_filters:
            return [f"{_PERSONAL_FILTERS}."]
        cause = f"{_PERSONAL_FILTERS}: its rows would replace or join those of the whole Look."
        next_step = (
            "In Looker, edit the schedule: reset its filters to those of the Look. If its rows are the right ones, set "
            "accept_filters: true for this relay in bridge.yaml."
        )
        raise DeliveryNotUsable(cause, next_step=next_step)

    def _described_query(self) -> PlanQuery:
        try:
            return msgspec.json.decode(self.query, type=PlanQuery)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # A dashboard has no query: null, or left out.
            return PlanQuery()


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
    def width(self) -> int | None:
        return self.scheduled_plan.width if self.scheduled_plan else None

    def warnings(self, *, accept_filters: bool) -> list[str]:
        """As `ScheduledPlan.warnings`."""
        return self.scheduled_plan.warnings(accept_filters=accept_filters) if self.scheduled_plan else []

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


def _is_true(field: msgspec.Raw) -> bool:
    return memoryview(field)[:6].tobytes().lower() in (b"true", b'"true"', b'"yes"', b"1")
