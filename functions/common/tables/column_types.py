"""Find the type of each column of an export while its records stream in.

A column has a type other than text only if each of its cells, written back from that type, is the same text:

- number: float64, whether or not a file has decimals. Pigment exports plain digits with at most a sign and a decimal
  separator, and pads all numbers of a column to the same least number of decimals: 50.00 beside 16.66666666666667 (its
  export guide). So 4.1 beside 4.10, 007, 12E4, NaN, and more digits than float64 keeps, are text.
- date: date32, only in the date format that was asked for: 2024-11-21, or 10/25/2024 and 10/25/2024 00:00:00 +00:00.
  The guide pads days and months with zeros. The day must exist.
- timestamp and datetime: the same with a time, with and without a time zone.
- boolean: TRUE and FALSE.

Everything else, also a mixture, is text without any change. An empty cell is null. A column of empty cells is text.

A column keeps its type from run to run, so that the files of several days are one dataset. What no longer fits makes it
text, for good, with a warning. Warnings are logged, so they name the column and the row, and no value.
"""

import decimal
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from common.platform.errors import RowsMalformed
from common.platform.text import listed
from common.tables.arrow import read_records
from common.tables.column_names import distinct

_PIECE_BYTES = 1024 * 1024

_NUMBER = re.compile(r"-?(?P<digits>\d+(?:[.,]\d+)?)(?P<exponent>[eE][+-]?\d+)?", re.ASCII)

_EXACT_DIGITS = 15
"A number with so many significant digits is the same after a conversion to float64 and back."

_UTC_TIME = pa.timestamp("us", tz="UTC")
_LOCAL_TIME = pa.timestamp("us")
_DAY_US = 24 * 60 * 60 * 1_000_000

# Days since 1970 of the years 1 to 9999, the range of BigQuery, DuckDB and Python.
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896


class _Form(msgspec.Struct, frozen=True, eq=False):
    name: str
    "What precedes a point is the name of the type."
    pattern: str
    "Valid for both Python's `re` and Arrow's RE2."
    type: Any
    changed_by_it: Callable[["_Form", Any], list[str]] = lambda _form, _cells: []
    "Of cells that match the pattern, those that the type changes."
    date_format: str = ""
    iso: tuple[str, str] | None = None
    "A replacement that makes it readable for Arrow: pattern and substitute."

    @property
    def kind(self) -> str:
        return self.name.partition(".")[0]

    def fits_each(self, cells: Any) -> Any:
        fits = pc.match_substring_regex(cells, f"^(?:{self.pattern})$")
        changed = self.changed_by_it(self, cells.filter(fits))
        return pc.and_not(fits, pc.is_in(cells, pa.array(changed, pa.string()))) if changed else fits

    def values(self, cells: Any) -> Any:
        """Convert cells of this form to values. Raises ArrowInvalid for a day that does not exist."""
        if self.iso is not None:
            cells = pc.replace_substring_regex(cells, *self.iso)
        return cells.cast(self.type)


_TEXT = _Form("text", r"(?s:.*)", pa.string())

_TO_US = (r"(\.\d{6})0+", r"\1")
_AS_ISO_DATE = (r"^(..)/(..)/(....).*", r"\3-\1-\2")
_AS_ISO_TIME = (r"^(..)/(..)/(....) (.{8}) ", r"\3-\1-\2T\4")


def _numbers_changed(_form: _Form, cells: Any) -> list[str]:
    longest = pc.max(pc.binary_length(cells)).as_py() if len(cells) else 0
    if longest <= _EXACT_DIGITS:
        return []
    cells = pc.unique(cells.filter(pc.greater(pc.binary_length(cells), _EXACT_DIGITS)))
    numbers = pc.replace_substring(cells, ",", ".").cast(pa.float64())
    # Arrow writes most of them as Pigment does; it takes a step in Python only for the rest.
    other = pc.not_equal(pc.replace_substring(cells, ",", "."), numbers.cast(pa.string()))
    pairs = zip(cells.filter(other).to_pylist(), numbers.filter(other).to_pylist(), strict=True)
    return [cell for cell, number in pairs if decimal.Decimal(cell.replace(",", ".")) != decimal.Decimal(repr(number))]


def _days_changed(form: _Form, cells: Any) -> list[str]:
    if _are_in_the_calendar(form, cells):
        return []
    days = pc.unique(cells)
    return [day.as_py() for day in days if not _are_in_the_calendar(form, pa.array([day.as_py()]))]


def _are_in_the_calendar(form: _Form, cells: Any) -> bool:
    if not len(cells):
        return True
    try:
        first, last = pc.min_max(form.values(cells)).values()
    except pa.ArrowInvalid:
        return False
    day = 1 if form.type == pa.date32() else _DAY_US
    return bool(first.value // day >= _FIRST_DAY and last.value // day <= _LAST_DAY)


def _number_forms(separator: str) -> list[_Form]:
    sign = re.escape(separator)
    decimals = {
        "number": rf"(?:{sign}\d*[1-9])?",
        "number.0": rf"{sign}\d(?:\d*[1-9])?",
        "number.00": rf"{sign}\d\d(?:\d*[1-9])?",
    }
    return [
        _Form(name, rf"-?(?:0|[1-9]\d{{0,15}}){fraction}", pa.float64(), _numbers_changed)
        for name, fraction in decimals.items()
    ]


def _time_forms(date_format: str) -> list[_Form]:
    if date_format == "Legacy":
        day = r"\d\d/\d\d/\d{4}"
        return [
            _Form("date", rf"{day}(?: 00:00:00 \+00:00)?", pa.date32(), _days_changed, date_format, _AS_ISO_DATE),
            _Form(
                "timestamp", rf"{day} \d\d:\d\d:\d\d [+-]\d\d:\d\d", _UTC_TIME, _days_changed, date_format, _AS_ISO_TIME
            ),
        ]
    day = r"\d{4}-\d\d-\d\d"
    local = rf"{day}[T ]\d\d:\d\d(?::\d\d(?:\.\d{{1,6}}0*)?)?"
    return [
        _Form("date", day, pa.date32(), _days_changed, date_format),
        _Form("timestamp", rf"{local}(?:Z|[+-]\d\d:?\d\d)", _UTC_TIME, _days_changed, date_format, _TO_US),
        _Form("datetime", local, _LOCAL_TIME, _days_changed, date_format, _TO_US),
    ]


_BOOLEAN = _Form("boolean", "TRUE|FALSE", pa.bool_())


KeptTypes = Mapping[str, Sequence[str]]
"By name of a column, the forms that each of its cells has had. Of none, it is text."


class ColumnTypes:
    """Finds the type of each column while records stream in.

    Args:
        date_format: the one that Pigment was asked for, Iso8601 or Legacy.
        earlier: the types of earlier runs, as `kept` returned them.
    """

    def __init__(
        self,
        header: Sequence[str],
        delimiter: str = ",",
        decimal_separator: str = ".",
        date_format: str = "Iso8601",
        earlier: KeptTypes | None = None,
    ) -> None:
        self.delimiter = delimiter
        self.decimal_separator = decimal_separator
        self.names, self._warnings = distinct(header)
        self._earlier = earlier or {}
        forms = [*_number_forms(decimal_separator), *_time_forms(date_format), _BOOLEAN]
        self._columns = [_Column(name, forms, self._earlier.get(name)) for name in self.names]
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    def feed(self, records: bytes) -> None:
        """Take complete records without the header. Raises RowsMalformed if they do not have the header's columns."""
        self._pending.append(records)
        self._pending_bytes += len(records)
        if self._pending_bytes >= _PIECE_BYTES:
            self._find_types()

    def schema(self) -> Any:
        """Return the Arrow schema that fits every record so far."""
        self._find_types()
        return pa.schema([(name, column.form.type) for name, column in zip(self.names, self._columns, strict=True)])

    def warnings(self) -> list[str]:
        """Return what the reader of the file should know: columns that are named or typed otherwise than expected."""
        self._find_types()
        return [*self._warnings, *(column.warning for column in self._columns if column.warning)]

    def kept(self) -> KeptTypes:
        """Return what the next run needs to give columns the same types, also those that are not in this file."""
        self._find_types()
        now = {name: column.kept for name, column in zip(self.names, self._columns, strict=True)}
        return {**self._earlier, **now}

    def values(self, records: bytes, *, with_header: bool = False) -> Any:
        """Read complete records as a table with this schema. Raises ArrowInvalid if they do not fit it."""
        schema = self.schema()
        forms = [column.form for column in self._columns]
        readable = [form.type if form.iso is None else pa.string() for form in forms]
        cells = self._cells(records, readable, with_header=with_header).columns
        columns = [each if form.iso is None else form.values(each) for form, each in zip(forms, cells, strict=True)]
        return pa.table(columns, schema=schema)

    def _find_types(self) -> None:
        records = b"".join(self._pending)
        self._pending, self._pending_bytes = [], 0
        open_places = [place for place, column in enumerate(self._columns) if not column.is_text]
        if not records or not open_places:
            return
        try:
            only = [str(place) for place in open_places]
            table = self._cells(records, [pa.string()] * len(self._columns), include_columns=only)
        except pa.ArrowInvalid:
            # Arrow's message quotes the record.
            raise RowsMalformed("Pigment's file contains a record that Arrow cannot read as CSV.") from None
        for place, column in zip(open_places, table.columns, strict=True):
            self._columns[place].feed(column.combine_chunks())

    def _cells(self, records: bytes, types: Sequence[Any], **options: Any) -> Any:
        options |= {"null_values": [""], "strings_can_be_null": True, "quoted_strings_can_be_null": True}
        options |= {"true_values": ["TRUE"], "false_values": ["FALSE"], "decimal_point": self.decimal_separator}
        return read_records(records, types, self.delimiter, **options)


class _Column:
    """The forms that each cell of a column has, so far."""

    def __init__(self, name: str, forms: Sequence[_Form], earlier: Sequence[str] | None) -> None:
        self._name = name
        self._open = [form for form in forms if earlier is None or form.name in earlier]
        self._is_decided = earlier is not None
        self._rows = 0
        self._why_text = ""
        if earlier and not self._open:
            kind = earlier[0].partition(".")[0]
            asked = next(form.date_format for form in forms if form.date_format)
            because = f"the format {asked} has no {kind}"
            self._why_text = f"Column {listed([name])} is not a {kind} but text: {because}."

    @property
    def form(self) -> _Form:
        return self._open[0] if self._is_decided and self._open else _TEXT

    @property
    def is_text(self) -> bool:
        """Whether the column is text, whatever follows."""
        return not self._open

    @property
    def kept(self) -> list[str]:
        """The names of the forms that a later file may have; none for text, as which an empty column is written."""
        return [form.name for form in self._open] if self._is_decided else []

    @property
    def warning(self) -> str:
        if not self._is_decided:
            return f"Column {listed([self._name])} has no value yet: it is text in this file and in later ones."
        return self._why_text

    def feed(self, cells: Any) -> None:
        before, self._rows = self._rows, self._rows + len(cells)
        rows = pc.indices_nonzero(cells.is_valid())
        cells = cells.drop_null()
        if not len(cells) or self.is_text:
            return
        fits = [form.fits_each(cells) for form in self._open]
        still = [form for form, each in zip(self._open, fits, strict=True) if each.false_count == 0]
        if not still:
            self._become_text(cells, fits, lambda place: before + rows[place].as_py() + 1)
        self._open, self._is_decided = still, True

    def _become_text(self, cells: Any, fits: Sequence[Any], row_of: Callable[[int], int]) -> None:
        """Say why, if the column had another type, or has it in most of these cells."""
        most = max(fits, key=lambda each: each.true_count)
        if not self._is_decided and 2 * most.true_count < len(cells):
            return
        form, place = self._open[fits.index(most)], pc.index(most, value=False).as_py()
        because = f"row {row_of(place)} {_why_not(form, cells[place].as_py())}"
        self._why_text = f"Column {listed([self._name])} is not a {form.kind} but text: {because}."


def _why_not(form: _Form, cell: str) -> str:
    """Describe a cell without its content."""
    if form.date_format:
        return f"is no {'day' if form.kind == 'date' else 'time'} of the format {form.date_format}"
    if cell.casefold() == "nan":
        return "is NaN"
    if form.kind == "number" and (number := _NUMBER.fullmatch(cell)):
        digits = len(re.sub(r"\D", "", number["digits"]).lstrip("0"))
        if number["exponent"]:
            return "has an exponent"
        if digits > _EXACT_DIGITS:
            return f"has {digits} digits, of which a number keeps {_EXACT_DIGITS}"
        return "has other decimals or zeros than a number of this column"
    return f"has a text of {len(cell)} characters"
