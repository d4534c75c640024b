"""Pages of a bucket's objects: prefixes, delimiters, offsets, globs and page tokens.

https://cloud.google.com/storage/docs/json_api/v1/objects/list
"""

import base64
import binascii
import dataclasses
import json
import re
import sqlite3
from collections.abc import Iterator
from typing import Any, Self

from local.sandbox.storage.conditions import integer_value
from local.sandbox.storage.object import Version
from local.sandbox.storage.refusal import malformed
from local.sandbox.wire import Request

_LONGEST_PAGE = 1000


@dataclasses.dataclass(frozen=True)
class ListingQuery:
    """The parameters of a listing."""

    prefix: str
    delimiter: str
    start: str
    end: str
    glob: re.Pattern[str] | None
    versions: bool
    trailing_delimiter: bool
    page_size: int
    token: tuple[str, int]
    "The name and generation at which the page begins."

    @classmethod
    def of(cls, request: Request) -> Self:
        glob = request.argument("matchGlob")
        return cls(
            request.argument("prefix") or "",
            request.argument("delimiter") or "",
            request.argument("startOffset") or "",
            request.argument("endOffset") or "",
            _pattern(glob) if glob else None,
            _is_true(request, "versions"),
            _is_true(request, "includeTrailingDelimiter"),
            min(integer_value(request.query, "maxResults") or _LONGEST_PAGE, _LONGEST_PAGE),
            _read_token(request.argument("pageToken")),
        )

    def folder(self, name: str) -> str | None:
        """Return the common prefix of a name, or None if the name is an item of the listing."""
        if not self.delimiter:
            return None
        at = name.find(self.delimiter, len(self.prefix))
        return None if at < 0 else name[: at + len(self.delimiter)]


@dataclasses.dataclass
class Page:
    items: list[Version] = dataclasses.field(default_factory=list)
    prefixes: list[str] = dataclasses.field(default_factory=list)
    next_token: str | None = None


def read_page(database: sqlite3.Connection, bucket: str, wanted: ListingQuery) -> Page:
    """Return one page, in the byte order of the names; SQLite and Python compare texts in this order."""
    page = Page()
    for name, generation, resource in _rows(database, bucket, wanted):
        folder = wanted.folder(name)
        is_item = folder is None or (wanted.trailing_delimiter and name == folder)
        is_new_folder = folder is not None and folder not in page.prefixes[-1:]
        if not is_item and not is_new_folder:
            continue
        if len(page.items) + len(page.prefixes) >= wanted.page_size:
            page.next_token = _token(name, generation)
            break
        if is_item:
            page.items.append(Version(bucket, name, generation, json.loads(resource)))
        if folder is not None and is_new_folder:
            page.prefixes.append(folder)
    return page


def _rows(database: sqlite3.Connection, bucket: str, wanted: ListingQuery) -> Iterator[tuple[str, int, str]]:
    first = max((wanted.prefix, 0), (wanted.start, 0), wanted.token)
    which = "live >= 0" if wanted.versions else "live = 1"
    rows = database.execute(
        f"SELECT name, generation, resource FROM versions WHERE bucket = ? AND {which}"  # noqa: S608  # constants
        " AND (name, generation) >= (?, ?) ORDER BY name, generation",
        (bucket, *first),
    )
    for row in rows:
        name = row[0]
        if not name.startswith(wanted.prefix) or (wanted.end and name >= wanted.end):
            break
        if wanted.glob is None or wanted.glob.fullmatch(name):
            yield row


def _is_true(request: Request, name: str) -> bool:
    # Google's Python client sends True.
    return (request.argument(name) or "").lower() == "true"


def _token(name: str, generation: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([name, generation]).encode()).decode()


def _read_token(text: str | None) -> tuple[str, int]:
    if not text:
        return "", 0
    try:
        name, generation = json.loads(base64.urlsafe_b64decode(text))
        return str(name), int(generation)
    except (binascii.Error, ValueError, TypeError):
        raise malformed("Invalid value for pageToken") from None


def _pattern(glob: str) -> re.Pattern[str]:
    """Translate a glob into a regular expression: `*` stays within a folder, `**` does not."""
    words: dict[str, Any] = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]", "{": "(?:", "}": ")", ",": "|"}
    expression, depth = "", 0
    for part in re.findall(r"\*\*/|\*\*|\[[^\]]+\]|.", glob, re.DOTALL):
        depth += (part == "{") - (part == "}")
        if part.startswith("[") and len(part) > 1:
            inner = part[1:-1].replace("\\", "\\\\")
            expression += f"[^{inner[1:]}]" if inner[0] in "!^" else f"[{inner}]"
        elif part in words and (part != "," or depth > 0):
            expression += words[part]
        else:
            expression += re.escape(part)
    try:
        return re.compile(expression, re.DOTALL)
    except re.error:
        raise malformed("Invalid value for matchGlob") from None
