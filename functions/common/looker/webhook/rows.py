"""JSON rows as the CSV that Looker would write for them, one row at a time.

Numbers stay as they are written: as floats, 1.10 and 12345678901234567890 would change.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NoReturn

from common.platform.errors import DeliveryNotUsable, QueryFailed
from common.platform.http import in_blocks
from common.platform.text import listed
from common.tables.records import write_records

_LONGEST_ROW = 1024 * 1024
_LONGEST_NUMBER = 1_000
_BATCH_ROWS = 64

_SPACE = re.compile(r"[ \t\r\n]*")
_ERROR_OBJECT = re.compile(r'\{\s*"looker_error"')

NamedValue = tuple[str, object]


def as_csv(texts: Iterator[str]) -> Iterator[bytes]:
    """Yield a JSON list of rows as CSV, nothing if it is empty. The header is the first row's keys, in their order.

    Raises QueryFailed if Looker put an error text in place of a row, DeliveryNotUsable if the rows are not a table.
    """
    return in_blocks(_batches(texts))


def _batches(texts: Iterator[str]) -> Iterator[bytes]:
    header: list[str] = []
    batch: list[list[str]] = []
    for number, row in enumerate(_rows(texts), 1):
        names = [name for name, _ in row]
        if number == 1:
            _expect_columns(names)
            header = names
            batch.append(header)
        pairs: Sequence[NamedValue] = row if names == header else _in_order(header, row, number)
        batch.append([value if isinstance(value, str) else _cell(name, value, number) for name, value in pairs])
        if len(batch) >= _BATCH_ROWS:
            yield _encode(batch)
            batch = []
    if header:
        yield _encode(batch)


def _encode(batch: list[list[str]]) -> bytes:
    try:
        return write_records(batch)
    except UnicodeEncodeError:
        raise DeliveryNotUsable("A row contains half a character: one escape of a surrogate pair.") from None


class _JsonReader:
    """Reads values from a text that arrives in pieces, and always has the whole next row in memory."""

    def __init__(self, texts: Iterator[str]) -> None:
        self._texts = texts
        self._text = ""
        self._start = 0
        self._ended = False
        self._decoder = json.JSONDecoder(
            object_pairs_hook=tuple, parse_int=_number, parse_float=_number, parse_constant=_refuse_constant
        )

    def peek(self) -> str:
        """Return the next character that is not white space; empty at the end."""
        while True:
            self._refill()
            match = _SPACE.match(self._text, self._start)
            self._start = match.end() if match else self._start
            if self._start < len(self._text):
                return self._text[self._start]
            if self._ended:
                return ""

    def skip(self) -> None:
        self._start += 1

    def read_value(self, row: int) -> object:
        try:
            value, self._start = self._decoder.raw_decode(self._text, self._start)
        except RecursionError:
            raise DeliveryNotUsable(f"Row {row} is nested too deeply.") from None
        except ValueError:
            fault = f"Row {row} is cut, is not JSON, or is longer than {_LONGEST_ROW} characters."
            raise DeliveryNotUsable(fault) from None
        return value

    def begins_with(self, pattern: re.Pattern[str]) -> bool:
        return pattern.match(self._text, self._start) is not None

    def _refill(self) -> None:
        while not self._ended and len(self._text) - self._start < _LONGEST_ROW:
            following = next(self._texts, None)
            self._ended = following is None
            self._text = self._text[self._start :] + (following or "")
            self._start = 0


def _rows(texts: Iterator[str]) -> Iterator[tuple[NamedValue, ...]]:
    reader = _JsonReader(texts)
    opening = reader.peek()
    if reader.begins_with(_ERROR_OBJECT):
        _refuse_error_text(["looker_error"], 1)
    if opening == "{":
        next_step = "In Looker, edit the schedule: choose CSV or plain JSON as its format."
        cause = "The delivery is one JSON object, as in json_detail, not a list of rows."
        raise DeliveryNotUsable(cause, next_step=next_step)
    if opening != "[":
        raise DeliveryNotUsable("The delivery is not a list of JSON rows.")
    reader.skip()
    number = 0
    if reader.peek() == "]":
        return
    while True:
        number += 1
        reader.peek()
        row = reader.read_value(number)
        if not isinstance(row, tuple):
            raise DeliveryNotUsable(f"Row {number} is not a JSON object.")
        yield row
        separator = reader.peek()
        reader.skip()
        if separator == "]":
            break
        if separator != ",":
            raise DeliveryNotUsable(f"The JSON is cut after row {number}.")
    if reader.peek():
        raise DeliveryNotUsable(f"There is other text after the last row, row {number}.")


def _expect_columns(names: Sequence[str]) -> None:
    _refuse_error_text(names, 1)
    if not names:
        raise DeliveryNotUsable("The first row is empty, so it has no column names.")
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        twice = f"The first row has {listed(repeated)} more than once"
        raise DeliveryNotUsable(f"{twice}. CSV keeps repeated columns, JSON does not.")


def _in_order(header: Sequence[str], row: Sequence[NamedValue], number: int) -> list[NamedValue]:
    _refuse_error_text([name for name, _ in row], number)
    cells, expected = dict(row), {*header}
    if len(row) == len(header) and cells.keys() == expected:
        return [(name, cells[name]) for name in header]
    missing, added = [name for name in header if name not in cells], [name for name in cells if name not in expected]
    differences = [f"lacks {listed(missing)}"] if missing else []
    differences += [f"adds {listed(added)}"] if added else []
    difference = " and ".join(differences) or "has a column twice"
    raise DeliveryNotUsable(f"Row {number} {difference}, compared with the first row.")


def _cell(name: str, value: object, row: int) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        # As in Looker's CSV, so that both formats fit the same import configuration.
        return "Yes" if value else "No"
    raise DeliveryNotUsable(
        f"Row {row} has more than one value in the column {listed([name])}, as in pivots and json_detail.",
        next_step="In Looker, edit the schedule: choose CSV as its format, and remove pivots from the Look.",
    )


def _number(digits: str) -> str:
    if len(digits) > _LONGEST_NUMBER:
        raise DeliveryNotUsable(f"A number has more than {_LONGEST_NUMBER} digits.")
    return digits


def _refuse_constant(name: str) -> NoReturn:
    raise DeliveryNotUsable(f"A number is {name}.")


def _refuse_error_text(names: Iterable[str], row: int) -> None:
    if "looker_error" in names:
        raise QueryFailed(f"Looker put an error text in place of row {row}: its database failed.")
