"""A webhook delivery: from the request's body to rows as CSV."""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from typing import Literal, Self

import msgspec

from common import bridge_yaml
from common.looker.webhook import archive, formatted, payload, rows, text, tile
from common.looker.webhook.payload import DeliveryKind, WebhookAttachment, WebhookPayload, text_of
from common.platform.errors import DeliveryNotUsable
from common.tables.check import Checker, Contract
from common.tables.records import with_last_line_end

DeliveryFormat = Literal["csv", "csv_zip", "json", "inline_json"]

_CHECKED_BYTES = 1024 * 1024
"The part that is checked on receipt. 5,000 rows are rarely more, and staging checks all of it again."

# Seen in a real delivery: "17,769,563" and "$" in cells, a totals row without a label, a column of row numbers.
_DASHBOARD_WARNING = "A dashboard's CSV has formatted values, row numbers and totals. Deliver the Look instead."

_IF_EMPTY = (
    "In Looker, run the Look. If it has no rows, edit the schedule: send it only if there are results, or set "
    "guards.min_rows: 0 for this relay. If it has rows, choose the format CSV and send it again."
)
_IF_NO_ROWS = (
    "In Looker, choose CSV, which has a header even without rows, or send only if there are results. If no rows are "
    "right, set guards.min_rows: 0 for this relay."
)
_IF_CELL = "In Looker, send or schedule the whole Look: choose the destination in its menu, not in that of a cell."

_BY_EXTENSION: dict[str, DeliveryFormat] = {"csv": "csv", "json": "json", "zip": "csv_zip"}
_BY_MIMETYPE: dict[str, DeliveryFormat] = {
    "text/csv": "csv",
    "application/json": "json",
    "application/zip": "csv_zip",
    "application/x-zip-compressed": "csv_zip",
}

# No document says how Looker's text format quotes a tab or a line end within a cell, which would shift the columns.
_OTHER_FORMATS = {
    "txt": "tab-separated text",
    "xlsx": "an Excel workbook",
    "pdf": "a PDF",
    "png": "an image",
    "jpg": "an image",
    "jpeg": "an image",
    "html": "a web page",
    "md": "Markdown",
}


class Accepted(msgspec.Struct, frozen=True):
    """What a relay takes, although most do not."""

    filters: bool = False
    "The schedule's own filters, beside those of its Look."
    any_width: bool = False
    "Other columns than the query has fields: those that land are found by their names."
    no_rows: bool = False
    "A delivery without rows, even without a header."

    @classmethod
    def by(cls, relay: bridge_yaml.Relay) -> Self:
        return cls(relay.accept_filters, bool(relay.target.columns), relay.guards.min_rows == 0)


class Delivery(msgspec.Struct, frozen=True):
    plan_id: str | None
    plan_title: str | None
    plan: str
    "What tells the schedule from others: its id or, if it has none, its title."
    kind: DeliveryKind | None
    format: DeliveryFormat
    row_limit: int | None
    "The row limit of the plan's own query."
    width: int | None
    "How many columns the plan's query selects, if that is certain."
    is_empty: bool
    "Whether it has neither rows nor a header."
    content_digest: str
    "SHA-256 of the plan and its rows, independent of the format they came in."
    warnings: list[str]
    _blocks: Callable[[], Iterator[bytes]]

    def csv_blocks(self) -> Iterator[bytes]:
        """Yield the rows as CSV with commas and a final line feed. It can be called again."""
        return self._blocks()


def read(body: bytes, accepted: Accepted | None = None) -> Delivery:
    """Read the whole body of a webhook once and describe it.

    Raises:
        MalformedRequest: it is not the body of a webhook.
        DeliveryNotUsable: it contains no rows that can land, or not only these; the error names the right settings in
            Looker.
        QueryFailed, RowsMalformed, StreamCut: the rows are not complete.
    """
    posted = payload.decode(body)
    accepted = accepted or Accepted()
    warnings = posted.warnings(accept_filters=accepted.filters)
    if posted.kind == "dashboard":
        warnings.append(_DASHBOARD_WARNING)
    content_format, blocks = _content(posted)
    contract = Contract(width=None if accepted.any_width else posted.width, accepts_error_text=True)
    digest, is_empty = _digest(posted.plan, formatted.watched(blocks(), warnings), contract)
    if is_empty:
        warnings += _judge_empty(content_format, accepted)
    described = posted.plan_id, posted.plan_title, posted.plan, posted.kind
    query = posted.row_limit, posted.width
    return Delivery(*described, content_format, *query, is_empty, digest, warnings, blocks)


def _judge_empty(content_format: DeliveryFormat, accepted: Accepted) -> list[str]:
    """Return a warning of a file that does not prove that the query had no rows. Raises DeliveryNotUsable unless the
    relay accepts no rows: then nothing is sent, so that nothing can be lost in Pigment.
    """
    is_list = content_format in ("json", "inline_json")
    what = "it has no rows, and so no column names" if is_list else "it has not even a header"
    if not accepted.no_rows:
        raise DeliveryNotUsable(f"The delivery is empty: {what}.", next_step=_IF_NO_ROWS if is_list else _IF_EMPTY)
    return [] if is_list else [f"The delivery is empty: {what}. It counts as no rows, because guards.min_rows is 0."]


def _content(posted: WebhookPayload) -> tuple[DeliveryFormat, Callable[[], Iterator[bytes]]]:
    """Return the format, and a function that decodes the rows, which are not stored."""
    attachment = posted.attachment
    if attachment is None or (text.is_empty(attachment.data) and not text.is_string(attachment.data)):
        if posted.kind == "cell":
            raise DeliveryNotUsable("The delivery is the action of one cell, which sends no rows.", next_step=_IF_CELL)
        if text.is_empty(posted.data):
            raise DeliveryNotUsable(
                "The delivery is empty: it has neither an attachment nor data.", next_step=_IF_EMPTY
            )
        return "inline_json", _json_rows(posted.data)
    content_format, in_base64 = _format_of(attachment)
    if content_format == "json" and not in_base64:
        return "json", _json_rows(attachment.data)
    if not text.is_string(attachment.data):
        raise DeliveryNotUsable("The attachment's data is not text.")
    if content_format == "csv" and not in_base64:
        return "csv", lambda: _as_csv(text.decode_string(attachment.data))
    return content_format, lambda: _from_bytes(content_format, attachment.data)


def _json_rows(value: msgspec.Raw) -> Callable[[], Iterator[bytes]]:
    """JSON rows, either as JSON or as a string of JSON."""
    if text.is_string(value):
        return lambda: rows.as_csv(text.decode_string(value))
    return lambda: rows.as_csv(text.text_of_value(value))


def _from_bytes(content_format: DeliveryFormat, value: msgspec.Raw) -> Iterator[bytes]:
    content = text.decode_base64(text.decode_string(value))
    if content_format == "json":
        return rows.as_csv(text.decode_bytes(content))
    if content_format == "csv_zip":
        return tile.plain_rows(_as_csv(text.decode_bytes(archive.only_csv(content))))
    return _as_csv(text.decode_bytes(content))


def _as_csv(texts: Iterator[str]) -> Iterator[bytes]:
    """Yield CSV with a final line feed, which old versions of Looker leave out; nothing if there is no text."""
    first, second = next(texts, ""), next(texts, "")
    if not second and (not first or first.isspace()):
        return
    yield from with_last_line_end(piece.encode() for piece in itertools.chain([first, second], texts))


def _format_of(attachment: WebhookAttachment) -> tuple[DeliveryFormat, bool]:
    """Return the format, and whether it is encoded in base64."""
    mimetype, *parameters = [part.strip().lower() for part in (text_of(attachment.mimetype) or "").split(";")]
    extension = (text_of(attachment.extension) or "").lower().removeprefix(".")
    found = _BY_EXTENSION.get(extension) or _BY_MIMETYPE.get(mimetype)
    if found is None:
        what = _OTHER_FORMATS.get(extension, "of a type without rows")
        raise DeliveryNotUsable(f"The attachment is {what}.")
    return found, found == "csv_zip" or "base64" in parameters


def _digest(plan: str, blocks: Iterator[bytes], contract: Contract) -> tuple[str, bool]:
    """Return the digest of plan and rows, and whether there is nothing, not even a header. Check the first rows as
    staging will check all of them.
    """
    digest = hashlib.sha256(plan.encode() + b"\0")
    checker = Checker(contract)
    checked_bytes = skipped_bytes = 0
    has_header = False
    for block in blocks:
        digest.update(block)
        if has_header and checked_bytes >= _CHECKED_BYTES:
            skipped_bytes += len(block)
            continue
        checker.feed(block)
        checked_bytes += len(block)
        has_header = has_header or b"\n" in block
    if checked_bytes and not skipped_bytes:
        checker.finish()
    return digest.hexdigest(), not checked_bytes
