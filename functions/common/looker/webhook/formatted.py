"""Columns of formatted numbers in a delivery. Pigment expects plain ones.

Seen in a real delivery: "17,769,563", "$" and "%" in cells.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

from common.platform.text import listed
from common.tables.records import end_of_complete_records

_LOOKED_AT_BYTES = 256 * 1024
"It takes 25 ms at most. A schedule formats whole columns, and in thousands of rows some number needs a separator."

_SIGNS = (b"%", b"$", b"(", b"'")
_QUOTED_WITHOUT_LETTERS = re.compile(rb'"(?<=[,\n]")[^"A-Za-z]*+"(?=[,\r\n])')
_GROUPS_BETWEEN_DOTS = re.compile(rb"\.\d{3}\.\d")
"In ASCII, without any of them, no cell is a formatted number: a comma in a cell is between quotes."

_PLAIN = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|∅")
_CURRENCY = r"[$€£¥₹]"
_WITH_AFFIXES = re.compile(
    rf"(?P<before>[-+−]?\(?[-+−]?{_CURRENCY}?)\s?(?P<digits>-?\d[\d.,'’\s]*)(?P<after>\s?(?:%|{_CURRENCY})?\)?)"
)
_GROUPED = re.compile(
    r"-?(?:\d{1,3}(?:[,'’\u00a0\u202f]\d{3})+(?:\.\d+)?|\d{1,3}(?:\.\d{3}){2,}|\d{1,3}(?:[.\s]\d{3})*,\d+|\d+,\d+)"
)
_AFFIX = re.compile(rf"[%(]|{_CURRENCY}")


def watched(blocks: Iterable[bytes], warnings: list[str]) -> Iterator[bytes]:
    """Yield CSV unchanged; once all of it has passed, add a warning if columns at its beginning have formatted numbers.

    Only a column of numbers can have them: a text such as "up to 12 %" makes it a column of texts.
    """
    beginning = bytearray()
    for block in blocks:
        beginning += block[: _LOOKED_AT_BYTES - len(beginning)]
        yield block
    columns = _formatted_columns(bytes(beginning))
    if columns:
        warnings.append(
            f"Formatted numbers in {listed(columns)} (with a thousands separator, % or a currency): Pigment can skip "
            "these rows. In Looker, edit the schedule, and turn Formatted data values off."
        )


def _formatted_columns(beginning: bytes) -> list[str]:
    if not _may_have_formatted_numbers(beginning):
        return []
    text = beginning[: end_of_complete_records(beginning)].decode(errors="replace")
    header, *rows = csv.reader(io.StringIO(text, newline="")) if text else [[]]
    columns = zip(header, zip(*rows, strict=False), strict=False)
    return [name for name, cells in columns if _has_formatted_numbers(cells)]


def _may_have_formatted_numbers(beginning: bytes) -> bool:
    """Whether a cell after the header can be a formatted number. It takes a twentieth of the time of reading them."""
    if not beginning.isascii() or any(sign in beginning for sign in _SIGNS):
        return True
    patterns = (_QUOTED_WITHOUT_LETTERS, _GROUPS_BETWEEN_DOTS)
    return any(pattern.search(beginning) for pattern in patterns)


def _has_formatted_numbers(cells: Sequence[str]) -> bool:
    """Whether all cells are numbers, and some of them formatted."""
    found = False
    for cell in cells:
        if not cell or _PLAIN.fullmatch(cell):
            continue
        if not _is_formatted(cell):
            return False
        found = True
    return found


def _is_formatted(cell: str) -> bool:
    parts = _WITH_AFFIXES.fullmatch(cell.strip())
    if parts is None:
        return False
    digits = parts["digits"].strip()
    if _GROUPED.fullmatch(digits):
        return True
    has_affix = _AFFIX.search(parts["before"] + parts["after"]) is not None
    return has_affix and _PLAIN.fullmatch(digits) is not None
