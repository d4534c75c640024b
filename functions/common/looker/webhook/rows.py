"""JSON rows as the CSV that Looker would have made of them, one row at a time.

Numbers stay as they are written: read as floats, 1.10 and 12345678901234567890 would change.
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NoReturn

from common.looker.webhook.text import BLOCK_BYTES
from common.platform.errors import DeliveryNotUsable, QueryFailed

_LONGEST_ROW = 1024 * 1024
_LONGEST_NUMBER = 1_000
_NAMES_SHOWN = 5
_LONGEST_NAME_SHOWN = 60

_SPACE = re.compile(r"[ \t\r\n]*")
_ERROR_OBJECT = re.compile(r'\{\s*"looker_error"')

Pair = tuple[str, object]


def as_csv(texts: Iterator[str]) -> Iterator[bytes]:
    """A JSON list of rows as CSV; its header is the first row's keys, in their order.

    Raises:
        QueryFailed: an error text stands where a row should.
        DeliveryNotUsable: they are no rows, or rows that no table holds.
    """
    sheet = _Sheet()
    header: list[str] = []
    for number, row in enumerate(_rows(texts), 1):
        names = [name for name, _ in row]
        if number == 1:
            _expect_columns(names)
            header = names
            sheet.add(header)
        pairs: Sequence[Pair] = row if names == header else _in_order(header, row, number)
        sheet.add([value if type(value) is str else _cell(name, value, number) for name, value in pairs])
        if sheet.size >= BLOCK_BYTES:
            yield sheet.take()
    if not header:
        raise DeliveryNotUsable(
            "The delivery holds no rows, and so names no columns.",
            next_step="In Looker, edit the schedule: choose CSV, which has a header even without rows, or have it "
            "deliver only if there are results.",
        )
    yield sheet.take()


class _Sheet:
    """Records of a CSV, in memory until they are taken."""

    def __init__(self) -> None:
        self._records: list[str] = []
        # Before Python 3.13 it quotes a field for a carriage return only if its own line end has one.
        self._writer = csv.writer(self, lineterminator="\r\n")
        self.size = 0

    def add(self, cells: Sequence[object]) -> None:
        self._writer.writerow(cells)

    def write(self, record: str) -> None:
        self._records.append(record[:-2] + "\n")
        self.size += len(record)

    def take(self) -> bytes:
        records, self._records, self.size = self._records, [], 0
        try:
            return "".join(records).encode()
        except UnicodeEncodeError:
            raise DeliveryNotUsable("A row holds half a character: one escape of a pair.") from None


class _Window:
    """The part of the text in which the next row lies, whole."""

    def __init__(self, texts: Iterator[str]) -> None:
        self._texts = texts
        self._text = ""
        self._start = 0
        self._ended = False
        self._decoder = json.JSONDecoder(
            object_pairs_hook=tuple, parse_int=_number, parse_float=_number, parse_constant=_refuse_constant
        )

    def mark(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            self._refill()
            match = _SPACE.match(self._text, self._start)
            self._start = match.end() if match else self._start
            if self._start < len(self._text):
                return self._text[self._start]
            if self._ended:
                return ""

    def skip_mark(self) -> None:
        self._start += 1

    def value(self, row: int) -> object:
        try:
            value, self._start = self._decoder.raw_decode(self._text, self._start)
        except RecursionError:
            raise DeliveryNotUsable(f"Row {row} is nested too deeply.") from None
        except ValueError:
            raise DeliveryNotUsable(
                f"Row {row} breaks off, is no JSON, or is longer than {_LONGEST_ROW} characters."
            ) from None
        return value

    def begins_with(self, pattern: re.Pattern[str]) -> bool:
        return pattern.match(self._text, self._start) is not None

    def _refill(self) -> None:
        while not self._ended and len(self._text) - self._start < _LONGEST_ROW:
            following = next(self._texts, None)
            self._ended = following is None
            self._text = self._text[self._start :] + (following or "")
            self._start = 0


def _rows(texts: Iterator[str]) -> Iterator[tuple[Pair, ...]]:
    window = _Window(texts)
    opening = window.mark()
    if window.begins_with(_ERROR_OBJECT):
        _refuse_error_text(["looker_error"], 1)
    if opening == "{":
        raise DeliveryNotUsable(
            "The delivery holds one JSON object, as json_detail is, and not a list of rows.",
            next_step="In Looker, edit the schedule: choose CSV, or plain JSON, as its format.",
        )
    if opening != "[":
        raise DeliveryNotUsable("The delivery should hold JSON rows, and holds none.")
    window.skip_mark()
    number = 0
    if window.mark() == "]":
        return
    while True:
        number += 1
        window.mark()
        row = window.value(number)
        if not isinstance(row, tuple):
            raise DeliveryNotUsable(f"Row {number} is no JSON object.")
        yield row
        mark = window.mark()
        window.skip_mark()
        if mark == "]":
            break
        if mark != ",":
            raise DeliveryNotUsable(f"After row {number} the JSON breaks off.")
    if window.mark():
        raise DeliveryNotUsable(f"Something else follows after the last row, row {number}.")


def _expect_columns(names: Sequence[str]) -> None:
    _refuse_error_text(names, 1)
    if not names:
        raise DeliveryNotUsable("The first row is empty, and so names no columns.")
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise DeliveryNotUsable(f"The first row names {_listed(repeated)} more than once; only CSV keeps both.")


def _in_order(header: Sequence[str], row: Sequence[Pair], number: int) -> list[Pair]:
    _refuse_error_text([name for name, _ in row], number)
    cells, expected = dict(row), {*header}
    if len(row) == len(header) and cells.keys() == expected:
        return [(name, cells[name]) for name in header]
    lacking, added = [name for name in header if name not in cells], [name for name in cells if name not in expected]
    differences = [f"lacks {_listed(lacking)}"] if lacking else []
    differences += [f"adds {_listed(added)}"] if added else []
    raise DeliveryNotUsable(
        f"Row {number} {' and '.join(differences) or 'names a column twice'}, compared with the first row."
    )


def _cell(name: str, value: object, row: int) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        # As Looker's CSV has it, so that both formats feed one import configuration.
        return "Yes" if value else "No"
    raise DeliveryNotUsable(
        f"Row {row} holds more than one value in the column {_listed([name])}, as pivots and json_detail do.",
        next_step="In Looker, edit the schedule: choose CSV as its format, and take pivots out of the Look.",
    )


def _number(digits: str) -> str:
    if len(digits) > _LONGEST_NUMBER:
        raise DeliveryNotUsable(f"There is a number of more than {_LONGEST_NUMBER} digits.")
    return digits


def _refuse_constant(name: str) -> NoReturn:
    raise DeliveryNotUsable(f"There is a {name} among the numbers.")


def _refuse_error_text(names: Iterable[str], row: int) -> None:
    if "looker_error" in names:
        raise QueryFailed(f"Looker put an error text in place of row {row}: its database failed.")


def _listed(names: Sequence[str]) -> str:
    shown = [name[:_LONGEST_NAME_SHOWN] for name in names[:_NAMES_SHOWN]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
