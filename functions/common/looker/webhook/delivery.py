"""From a webhook's body to rows as CSV."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Literal, Protocol

import msgspec

from common.looker.webhook import archive, payload, rows, text
from common.looker.webhook.payload import Attachment, DeliveryKind, Payload, text_of
from common.platform.errors import DeliveryNotUsable
from common.tables.csv import Checker, Contract

DeliveryFormat = Literal["csv", "csv_zip", "json", "inline_json"]

_CHECKED_BYTES = 1024 * 1024
"As much as is checked at once; a delivery of 5,000 rows is rarely more, and all of it is checked when it is staged."

_BY_EXTENSION: dict[str, DeliveryFormat] = {"csv": "csv", "json": "json", "zip": "csv_zip"}
_BY_MIMETYPE: dict[str, DeliveryFormat] = {
    "text/csv": "csv",
    "application/json": "json",
    "application/zip": "csv_zip",
    "application/x-zip-compressed": "csv_zip",
}

# A tab or a line end within a cell of Looker's text format shifts the columns: how it is quoted is documented nowhere.
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


class Delivery(msgspec.Struct, frozen=True):
    """What one webhook call brought, found to be rows."""

    plan_id: str | None
    plan_title: str | None
    kind: DeliveryKind | None
    format: DeliveryFormat
    content_digest: str
    "SHA-256 of the plan and its rows: the same plan with the same rows, in whatever bytes they came."
    warnings: list[str]
    _blocks: Callable[[], Iterator[bytes]]

    def csv_blocks(self) -> Iterator[bytes]:
        """The rows, as CSV with commas that ends with a line feed. May be called again."""
        return self._blocks()


class Readable(Protocol):
    """A file, or what passes for one."""

    def read(self) -> bytes: ...


def read(body: bytes | Readable) -> Delivery:
    """A webhook's body, all of it gone through once.

    Raises:
        MalformedRequest: nothing that Looker posts.
        DeliveryNotUsable: nothing that can be landed; the error says what to choose in Looker.
        QueryFailed, RowsMalformed, StreamCut: no rows came, or no whole ones.
    """
    posted = payload.decode(body if isinstance(body, bytes) else body.read())
    content_format, blocks = _content(posted)
    plan = posted.plan_id or posted.plan_title or ""
    return Delivery(
        posted.plan_id,
        posted.plan_title,
        posted.kind,
        content_format,
        _digest(plan, blocks()),
        _warnings(posted.kind),
        blocks,
    )


def _content(posted: Payload) -> tuple[DeliveryFormat, Callable[[], Iterator[bytes]]]:
    """The format, and how to get at the rows: again and again, for they are not kept."""
    attachment = posted.attachment
    if attachment is None or text.is_empty(attachment.data):
        if text.is_empty(posted.data):
            raise DeliveryNotUsable("The delivery is empty: neither its attachment nor its data holds anything.")
        return "inline_json", _rows_in(posted.data)
    content_format, in_base64 = _format_of(attachment)
    if content_format == "json" and not in_base64:
        return "json", _rows_in(attachment.data)
    if not text.is_string(attachment.data):
        raise DeliveryNotUsable("The attachment's data should be text, and is not.")
    if content_format == "csv" and not in_base64:
        return "csv", lambda: _as_csv(text.in_string(attachment.data))
    return content_format, lambda: _from_bytes(content_format, attachment.data)


def _rows_in(value: msgspec.Raw) -> Callable[[], Iterator[bytes]]:
    """JSON rows, which come as themselves or as a string that holds them."""
    if text.is_string(value):
        return lambda: rows.as_csv(text.in_string(value))
    return lambda: rows.as_csv(text.in_value(value))


def _from_bytes(content_format: DeliveryFormat, value: msgspec.Raw) -> Iterator[bytes]:
    content = text.from_base64(text.in_string(value))
    if content_format == "csv_zip":
        return _as_csv(text.in_bytes(archive.only_csv(content)))
    if content_format == "json":
        return rows.as_csv(text.in_bytes(content))
    return _as_csv(text.in_bytes(content))


def _as_csv(texts: Iterator[str]) -> Iterator[bytes]:
    """CSV, ended with a line feed: old versions of Looker leave the last one out."""
    last = ""
    for piece in texts:
        last = piece[-1:] or last
        yield piece.encode()
    if last != "\n":
        yield b"\n"


def _format_of(attachment: Attachment) -> tuple[DeliveryFormat, bool]:
    """The format, and whether it comes in base64."""
    mimetype, *parameters = [part.strip().lower() for part in (text_of(attachment.mimetype) or "").split(";")]
    extension = (text_of(attachment.extension) or "").lower().removeprefix(".")
    found = _BY_EXTENSION.get(extension) or _BY_MIMETYPE.get(mimetype)
    if found is None:
        what = _OTHER_FORMATS.get(extension, "of a kind that holds no rows")
        raise DeliveryNotUsable(f"The attachment is {what}.")
    return found, found == "csv_zip" or "base64" in parameters


def _digest(plan: str, blocks: Iterator[bytes]) -> str:
    """Of plan and rows; on the way there, the beginning is checked as all of it will be when it is staged.

    Raises:
        QueryFailed, RowsMalformed, StreamCut: it is no CSV.
    """
    digest = hashlib.sha256(plan.encode() + b"\0")
    checker = Checker(Contract())
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
    if not skipped_bytes:
        checker.finish()
    return digest.hexdigest()


def _warnings(kind: DeliveryKind | None) -> list[str]:
    # Seen in a real delivery: "17,769,563" and "$" in cells, a totals row without a label, a column of row numbers.
    said = "A dashboard's CSV has formatted values, row numbers, and totals among its rows: deliver the Look itself."
    return [said] if kind == "dashboard" else []
