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

bridge.yaml can pin the type of a column. It then has this type even if all its cells are empty, and a cell that is no
such value is an error, which names the row. A pinned number keeps its value, not its text: 4.1 beside 4.10, 007 and
12E4 are numbers, but a cell whose value float64 or the decimal changes is an error. A decimal is decimal128(38, 9), the
NUMERIC of BigQuery (https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#decimal_types).
"""

import decimal
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from common.platform.errors import RowsMalformed, TypeMismatch
from common.platform.text import listed
from common.tables.arrow import read_records
from common.tables.column_names import distinct

_PIECE_BYTES = 1024 * 1024

_NUMBER = re.compile(r"-?(?P<digits>\d+(?:[.,](?P<decimals>\d+))?)(?P<exponent>[eE][+-]?\d+)?", re.ASCII)

_EXACT_DIGITS = 15
"A number with so many significant digits is the same after a conversion to float64 and back."

_DECIMALS = 9
_DECIMAL_DIGITS = 38
_DECIMAL = pa.decimal128(_DECIMAL_DIGITS, _DECIMALS)
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
    longest_readable_bytes: int = 0
    "What is not longer is readable without the replacement."
    decimal_separator: str = ""

    @property
    def kind(self) -> str:
        return self.name.partition(".")[0]

    def fits_all(self, cells: Any) -> bool:
        """Whether each cell has this form. A search takes longer than these cells, so there is one for all of them."""
        lines = pc.binary_join(pa.ListArray.from_arrays([0, len(cells)], cells), "\n")
        has_one_line = lines[0].as_buffer().to_pybytes().count(b"\n") == len(cells) - 1
        fits = has_one_line and pc.match_substring_regex(lines, rf"^(?:(?:{self.pattern})(?:\n|$))*$")[0].as_py()
        return fits and not self.changed_by_it(self, cells)

    def fits_each(self, cells: Any) -> Any:
        fits = pc.match_substring_regex(cells, f"^(?:{self.pattern})$")
        changed = self.changed_by_it(self, cells.filter(fits))
        return pc.and_not(fits, pc.is_in(cells, pa.array(changed, pa.string()))) if changed else fits

    def values(self, cells: Any) -> Any:
        """Convert cells of this form to values. Raises ArrowInvalid for a day that does not exist."""
        if self.iso is not None and _longest_bytes(cells) > self.longest_readable_bytes:
            cells = pc.replace_substring_regex(cells, *self.iso)
        if self.decimal_separator == ",":
            cells = pc.replace_substring(cells, ",", ".")
        return cells.cast(self.type)


_TEXT = _Form("text", r"(?s:.*)", pa.string())

_TO_US = (r"(\.\d{6})0+", r"\1")
_LONGEST_LOCAL_US = len("2024-11-21T10:25:00.000001")
_AS_ISO_DATE = (r"^(..)/(..)/(....).*", r"\3-\1-\2")
_AS_ISO_TIME = (r"^(..)/(..)/(....) (.{8}) ", r"\3-\1-\2T\4")


def _longest_bytes(cells: Any) -> int:
    return pc.max(pc.binary_length(cells)).as_py() or 0


def _numbers_changed(_form: _Form, cells: Any) -> list[str]:
    if _longest_bytes(cells) <= _EXACT_DIGITS:
        return []
    cells = pc.unique(cells.filter(pc.greater(pc.binary_length(cells), _EXACT_DIGITS)))
    numbers = pc.replace_substring(cells, ",", ".").cast(pa.float64())
    # Arrow writes most of them as Pigment does; it takes a step in Python only for the rest.
    other = pc.not_equal(pc.replace_substring(cells, ",", "."), numbers.cast(pa.string()))
    pairs = zip(cells.filter(other).to_pylist(), numbers.filter(other).to_pylist(), strict=True)
    return [cell for cell, number in pairs if _exact(cell) != decimal.Decimal(repr(number))]


def _pinned_numbers_changed(form: _Form, cells: Any) -> list[str]:
    has_exponent = pc.match_substring_regex(cells, "[eE]")
    rare = pc.unique(cells.filter(has_exponent)).to_pylist()
    # An exponent can lead out of the range of float64 in a few characters.
    changed = [cell for cell in rare if _exact(cell) != decimal.Decimal(repr(float(cell.replace(",", "."))))]
    return [*changed, *_numbers_changed(form, cells.filter(pc.invert(has_exponent)))]


def _exact(cell: str) -> decimal.Decimal:
    return decimal.Decimal(cell.replace(",", "."))


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
        _Form(
            name,
            rf"-?(?:0|[1-9]\d{{0,15}}){fraction}",
            pa.float64(),
            _numbers_changed,
            decimal_separator=separator,
        )
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
    to_us = (_TO_US, _LONGEST_LOCAL_US)
    local = rf"{day}[T ]\d\d:\d\d(?::\d\d(?:\.\d{{1,6}}0*)?)?"
    return [
        _Form("date", day, pa.date32(), _days_changed, date_format),
        _Form("timestamp", rf"{local}(?:Z|[+-]\d\d:?\d\d)", _UTC_TIME, _days_changed, date_format, *to_us),
        _Form("datetime", local, _LOCAL_TIME, _days_changed, date_format, *to_us),
    ]


_BOOLEAN = _Form("boolean", "TRUE|FALSE", pa.bool_())


def _forms_of_pins(separator: str) -> list[_Form]:
    """The forms that only a pinned column has."""
    sign = re.escape(separator)
    number = rf"-?\d+(?:{sign}\d+)?(?:[eE][+-]?\d+)?"
    amount = rf"-?0*\d{{1,{_DECIMAL_DIGITS - _DECIMALS}}}(?:{sign}\d{{1,{_DECIMALS}}})?"
    return [
        _Form("number.value", number, pa.float64(), _pinned_numbers_changed, decimal_separator=separator),
        _Form("decimal", amount, _DECIMAL, decimal_separator=separator),
    ]


KeptTypes = Mapping[str, Sequence[str]]
"By name of a column, the forms that each of its cells has had. Of none, it is text."


class ColumnTypes:
    """Finds the type of each column while records stream in.

    Args:
        date_format: the one that Pigment was asked for, Iso8601 or Legacy.
        earlier: the types of earlier runs, as `kept` returned them.
        pins: the types of columns, by the header, that bridge.yaml names.
        for_bigquery: whether an external table of BigQuery reads the columns by their names.
    """

    def __init__(
        self,
        header: Sequence[str],
        delimiter: str = ",",
        decimal_separator: str = ".",
        date_format: str = "Iso8601",
        earlier: KeptTypes | None = None,
        pins: Mapping[str, str] | None = None,
        *,
        for_bigquery: bool = False,
    ) -> None:
        self.delimiter = delimiter
        self.decimal_separator = decimal_separator
        self.names, self._warnings = distinct(header, for_bigquery=for_bigquery)
        self._earlier = earlier or {}
        found = [*_number_forms(decimal_separator), *_time_forms(date_format), _BOOLEAN]
        self._forms = _Forms(found, _forms_of_pins(decimal_separator))
        pins = pins or {}
        self._columns = [
            _Column(old if old in pins else name, self._forms, self._earlier.get(name), pins.get(old))
            for old, name in zip(header, self.names, strict=True)
        ]
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    def feed(self, records: bytes) -> None:
        """Take complete records without the header.

        Raises RowsMalformed if they do not have the header's columns, TypeMismatch if a value has not the pinned type.
        """
        self._pending.append(records)
        self._pending_bytes += len(records)
        if self._pending_bytes >= _PIECE_BYTES:
            self._find_types()

    def finish(self) -> None:
        """Look at the last records. Raises as `feed`."""
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

    def cells(self, records: bytes, places: Sequence[int] | None = None) -> Any:
        """Read complete records as a table of text, an empty cell as null; of all columns, or of some by their places.

        Raises RowsMalformed if they do not have the header's columns.
        """
        only = None if places is None else [str(place) for place in places]
        empty_is_null = {"null_values": [""], "strings_can_be_null": True, "quoted_strings_can_be_null": True}
        try:
            return read_records(records, len(self._columns), self.delimiter, include_columns=only, **empty_is_null)
        except pa.ArrowInvalid:
            # Arrow's message quotes the record.
            raise RowsMalformed("Pigment's file contains a record that Arrow cannot read as CSV.") from None

    def look_at(self, cells: Any) -> None:
        """Take the next records, as a table of all their cells. Raises TypeMismatch as `feed`."""
        for column, each in zip(self._columns, cells.columns, strict=True):
            column.feed(each)

    def values(self, cells: Any) -> Any:
        """Convert cells to a table with this schema. Raises ArrowInvalid if they do not fit it."""
        schema = self.schema()
        columns = [column.form.values(each) for column, each in zip(self._columns, cells.columns, strict=True)]
        return pa.table(columns, schema=schema)

    def _find_types(self) -> None:
        records = b"".join(self._pending)
        self._pending, self._pending_bytes = [], 0
        open_places = [place for place, column in enumerate(self._columns) if not column.is_text]
        if not records or not open_places:
            return
        for place, each in zip(open_places, self.cells(records, open_places).columns, strict=True):
            self._columns[place].feed(each)


class _Forms(msgspec.Struct, frozen=True):
    """The forms that a column can have."""

    found: list[_Form]
    "Those that the values of a column decide."
    pinned: list[_Form]
    "Those that bridge.yaml decides."

    def named(self, names: Sequence[str]) -> list[_Form]:
        return [form for form in (*self.found, *self.pinned) if form.name in names]

    def of_pin(self, kind: str) -> list[_Form]:
        """Return the form of a pinned type; none for text."""
        forms = [form for form in self.pinned if form.kind == kind]
        return forms or [form for form in self.found if form.kind == kind]

    @property
    def date_format(self) -> str:
        return next(form.date_format for form in self.found if form.date_format)


class _Column:
    """The forms that each cell of a column has, so far."""

    def __init__(self, name: str, forms: _Forms, earlier: Sequence[str] | None, pin: str | None) -> None:
        self._name = name
        self._is_pinned = pin is not None
        self._is_decided = self._is_pinned or earlier is not None
        self._rows = 0
        self._warning = ""
        before = None if earlier is None else _kind_of(earlier)
        if pin is not None:
            self._open = forms.of_pin(pin)
            if before not in (None, pin):
                self._warning = f"Column {listed([name])} was {before} in earlier files and is {pin} from this one on."
            return
        self._open = forms.found if earlier is None else forms.named(earlier)
        if earlier and not self._open:
            because = f"the format {forms.date_format} has no {before}"
            self._warning = f"Column {listed([name])} is not a {before} but text: {because}."

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
        return self._warning

    def feed(self, column: Any) -> None:
        before, self._rows = self._rows, self._rows + len(column)
        if self.is_text or column.null_count == len(column):
            return
        cells = (column.drop_null() if column.null_count else column).combine_chunks()
        still = [form for form in self._open if form.fits_all(cells)]
        if not still:
            self._refuse(cells, lambda place: before + pc.indices_nonzero(column.is_valid())[place].as_py() + 1)
        self._open, self._is_decided = still, True

    def _refuse(self, cells: Any, row_of: Callable[[int], int]) -> None:
        """Raise TypeMismatch if the column is pinned; else say why it becomes text."""
        fits = [form.fits_each(cells) for form in self._open]
        if self._is_pinned:
            place = pc.index(fits[0], value=False).as_py()
            raise self._mismatch(row_of(place), cells[place].as_py())
        self._become_text(cells, fits, row_of)

    def _mismatch(self, row: int, cell: str) -> TypeMismatch:
        (form,) = self._open
        pinned = f"Column {listed([self._name])} has the type {form.kind} in bridge.yaml"
        return TypeMismatch(f"{pinned}, but row {row} {_why_no_value(form, cell)}.")

    def _become_text(self, cells: Any, fits: Sequence[Any], row_of: Callable[[int], int]) -> None:
        """Say why, if the column had another type, or has it in most of these cells."""
        most = max(fits, key=lambda each: each.true_count)
        if not self._is_decided and 2 * most.true_count < len(cells):
            return
        form, place = self._open[fits.index(most)], pc.index(most, value=False).as_py()
        because = f"row {row_of(place)} {_why_not(form, cells[place].as_py())}"
        self._warning = f"Column {listed([self._name])} is not a {form.kind} but text: {because}."


def _kind_of(names: Sequence[str]) -> str:
    """Return the type of a column whose cells have these forms."""
    return names[0].partition(".")[0] if names else "text"


def _why_no_value(form: _Form, cell: str) -> str:
    """Describe a cell that is no value of a pinned type, without its content."""
    number = _NUMBER.fullmatch(cell)
    if form.kind == "boolean":
        return "is neither TRUE nor FALSE"
    if not number or not form.decimal_separator:
        return _why_not(form, cell)
    if not set(number["digits"]) & {".", ","} <= {form.decimal_separator}:
        return "has another decimal separator"
    if form.kind == "number":
        return "is too large or too small for a number" if number["exponent"] else _why_not(form, cell)
    return _why_no_decimal(number)


def _why_no_decimal(number: re.Match[str]) -> str:
    whole, decimals = re.split("[.,]", number["digits"])[0].lstrip("0"), number["decimals"] or ""
    if number["exponent"]:
        return "has an exponent"
    if len(decimals) > _DECIMALS:
        return f"has {len(decimals)} decimals, of which a decimal keeps {_DECIMALS}"
    return f"has {len(whole)} digits before the decimals, of which a decimal keeps {_DECIMAL_DIGITS - _DECIMALS}"


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
