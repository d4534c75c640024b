"""The JSON that Looker posts, and what it says of itself.

Source: looker-open-source/actions, `src/api_types/data_webhook_payload*.ts`. Those types are no promise: old versions
leave out `type`, ids come as numbers and as text, so every small field is taken as it stands and made text here.
"""

import codecs
from typing import Literal

import msgspec

from common.platform.errors import MalformedRequest

DeliveryKind = Literal["look", "dashboard", "query", "cell"]

WHAT_LOOKER_SENDS = "Send what Looker's webhook destination sends: a JSON object with scheduled_plan and attachment."

_LONGEST_FIELD_BYTES = 4096

# "LookMLDashboard" is missing from the types, and seen in practice.
_KINDS: dict[str, DeliveryKind] = {
    "look": "look",
    "dashboard": "dashboard",
    "lookmldashboard": "dashboard",
    "query": "query",
    "cell": "cell",
}


class Plan(msgspec.Struct, frozen=True):
    """The schedule that a delivery belongs to."""

    scheduled_plan_id: msgspec.Raw = msgspec.Raw()
    title: msgspec.Raw = msgspec.Raw()
    type: msgspec.Raw = msgspec.Raw()


class Attachment(msgspec.Struct, frozen=True):
    """The content, in every format but inline JSON."""

    mimetype: msgspec.Raw = msgspec.Raw()
    extension: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()


class Payload(msgspec.Struct, frozen=True):
    """A delivery as posted. What is raw points into the body, so that a large one is not copied."""

    scheduled_plan: Plan | None = None
    attachment: Attachment | None = None
    data: msgspec.Raw = msgspec.Raw()
    "Rows where the format is inline JSON; for an action, its parameters."
    type: msgspec.Raw = msgspec.Raw()

    @property
    def plan_id(self) -> str | None:
        return text_of(self.scheduled_plan.scheduled_plan_id) if self.scheduled_plan else None

    @property
    def plan_title(self) -> str | None:
        return text_of(self.scheduled_plan.title) if self.scheduled_plan else None

    @property
    def kind(self) -> DeliveryKind | None:
        """What was scheduled; the plan says it more exactly than the payload, where a Look is a query."""
        said_by_plan = text_of(self.scheduled_plan.type) if self.scheduled_plan else None
        return _KINDS.get((said_by_plan or "").lower()) or _KINDS.get((text_of(self.type) or "").lower())


def decode(body: bytes) -> Payload:
    """A request's body.

    Raises:
        MalformedRequest: it is not what Looker posts.
    """
    content = memoryview(body)[len(codecs.BOM_UTF8) :] if body.startswith(codecs.BOM_UTF8) else body
    try:
        payload = msgspec.json.decode(content, type=Payload)
    except msgspec.DecodeError as error:
        raise MalformedRequest(f"The body is no delivery: {error}.", next_step=WHAT_LOOKER_SENDS) from None
    except RecursionError:
        raise MalformedRequest("The body is nested too deeply.", next_step=WHAT_LOOKER_SENDS) from None
    if payload.scheduled_plan is None and payload.attachment is None and not payload.data:
        raise MalformedRequest(
            "The body has neither scheduled_plan, nor attachment, nor data.", next_step=WHAT_LOOKER_SENDS
        )
    return payload


def text_of(field: msgspec.Raw) -> str | None:
    """A small field as text, a number by its own digits; None where there is nothing.

    Raises:
        MalformedRequest: it is too long to be one, or no text.
    """
    content = bytes(memoryview(field)[: _LONGEST_FIELD_BYTES + 1])
    if len(content) > _LONGEST_FIELD_BYTES:
        raise MalformedRequest(
            f"A field of the delivery is longer than {_LONGEST_FIELD_BYTES} bytes.", next_step=WHAT_LOOKER_SENDS
        )
    if not content.startswith(b'"'):
        return content.decode("ascii", "replace") if content[:1].isdigit() else None
    try:
        return msgspec.json.decode(content, type=str) or None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MalformedRequest("A field of the delivery is no text.", next_step=WHAT_LOOKER_SENDS) from None
