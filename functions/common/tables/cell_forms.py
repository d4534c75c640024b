"""The forms of cells, each of which belongs to the type of a column.

A column has a type other than text only if each of its cells, written back from that type, is the same text:

- number: float64, whether or not a file has decimals. Pigment exports plain digits with at most a sign and a decimal
  separator, and pads all numbers of a column to the same least number of decimals: 50.00 beside 16.66666666666667 (its
  export guide). So 4.1 beside 4.10, 007, 12E4, NaN, and more digits than float64 keeps, are text.
- date: date32, only in the date format that was asked for: 2024-11-21, or 10/25/2024 and 10/25/2024 00:00:00 +00:00.
  The guide pads days and months with zeros. The day must exist.
- timestamp and datetime: the same with a time, with and without a time zone.
- boolean: TRUE and FALSE.

A column that bridge.yaml pins has its type even if all its cells are empty. A pinned number keeps its value, not its
text: 4.1 beside 4.10, 007 and 12E4 are numbers, but a cell whose value float64 or the decimal changes has no form. A
decimal is decimal128(38, 9), the NUMERIC of BigQuery
(https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#decimal_types).
"""

import decimal
import re
from collections.abc import Callable, Sequence
from typing import Any, Self

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

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


class CellForm(msgspec.Struct, frozen=True, eq=False):
    name: str
    "What precedes a point is the name of the type."
    pattern: str
    "Valid for both Python's `re` and Arrow's RE2."
    type: Any
    changed_by_it: Callable[["CellForm", Any], list[str]] = lambda _form, _cells: []
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
        """Whether each cell has this form. A search takes longer than these cells, so there is one for all of them.

        They are joined by NUL, which no cell of a checked file contains.
        """
        joined = pc.binary_join(pa.ListArray.from_arrays([0, len(cells)], cells), "\0")
        fits = pc.match_substring_regex(joined, rf"^(?:(?:{self.pattern})(?:\x00|$))*$")[0].as_py()
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


TEXT = CellForm("text", r"(?s:.*)", pa.string())

_TO_US = (r"(\.\d{6})0+", r"\1")
_LONGEST_LOCAL_US = len("2024-11-21T10:25:00.000001")
_AS_ISO_DATE = (r"^(..)/(..)/(....).*", r"\3-\1-\2")
_AS_ISO_TIME = (r"^(..)/(..)/(....) (.{8}) ", r"\3-\1-\2T\4")


def _longest_bytes(cells: Any) -> int:
    return pc.max(pc.binary_length(cells)).as_py() or 0


def _numbers_changed(_form: CellForm, cells: Any) -> list[str]:
    if _longest_bytes(cells) <= _EXACT_DIGITS:
        return []
    cells = pc.unique(cells.filter(pc.greater(pc.binary_length(cells), _EXACT_DIGITS)))
    numbers = pc.replace_substring(cells, ",", ".").cast(pa.float64())
    # Arrow writes most of them as Pigment does; it takes a step in Python only for the rest.
    other = pc.not_equal(pc.replace_substring(cells, ",", "."), numbers.cast(pa.string()))
    pairs = zip(cells.filter(other).to_pylist(), numbers.filter(other).to_pylist(), strict=True)
    return [cell for cell, number in pairs if _exact(cell) != decimal.Decimal(repr(number))]


def _pinned_numbers_changed(form: CellForm, cells: Any) -> list[str]:
    has_exponent = pc.match_substring_regex(cells, "[eE]")
    rare = pc.unique(cells.filter(has_exponent)).to_pylist()
    # An exponent can lead out of the range of float64 in a few characters.
    changed = [cell for cell in rare if _exact(cell) != decimal.Decimal(repr(float(cell.replace(",", "."))))]
    return [*changed, *_numbers_changed(form, cells.filter(pc.invert(has_exponent)))]


def _exact(cell: str) -> decimal.Decimal:
    return decimal.Decimal(cell.replace(",", "."))


def _days_changed(form: CellForm, cells: Any) -> list[str]:
    if _are_in_the_calendar(form, cells):
        return []
    days = pc.unique(cells)
    return [day.as_py() for day in days if not _are_in_the_calendar(form, pa.array([day.as_py()]))]


def _are_in_the_calendar(form: CellForm, cells: Any) -> bool:
    if not len(cells):
        return True
    try:
        first, last = pc.min_max(form.values(cells)).values()
    except pa.ArrowInvalid:
        return False
    day = 1 if form.type == pa.date32() else _DAY_US
    return bool(first.value // day >= _FIRST_DAY and last.value // day <= _LAST_DAY)


def _number_forms(separator: str) -> list[CellForm]:
    sign = re.escape(separator)
    decimals = {
        "number": rf"(?:{sign}\d*[1-9])?",
        "number.0": rf"{sign}\d(?:\d*[1-9])?",
        "number.00": rf"{sign}\d\d(?:\d*[1-9])?",
    }
    return [
        CellForm(
            name,
            rf"-?(?:0|[1-9]\d{{0,15}}){fraction}",
            pa.float64(),
            _numbers_changed,
            decimal_separator=separator,
        )
        for name, fraction in decimals.items()
    ]


def _time_forms(date_format: str) -> list[CellForm]:
    if date_format == "Legacy":
        day = r"\d\d/\d\d/\d{4}"
        return [
            CellForm("date", rf"{day}(?: 00:00:00 \+00:00)?", pa.date32(), _days_changed, date_format, _AS_ISO_DATE),
            CellForm(
                "timestamp", rf"{day} \d\d:\d\d:\d\d [+-]\d\d:\d\d", _UTC_TIME, _days_changed, date_format, _AS_ISO_TIME
            ),
        ]
    day = r"\d{4}-\d\d-\d\d"
    to_us = (_TO_US, _LONGEST_LOCAL_US)
    local = rf"{day}[T ]\d\d:\d\d(?::\d\d(?:\.\d{{1,6}}0*)?)?"
    return [
        CellForm("date", day, pa.date32(), _days_changed, date_format),
        CellForm("timestamp", rf"{local}(?:Z|[+-]\d\d:?\d\d)", _UTC_TIME, _days_changed, date_format, *to_us),
        CellForm("datetime", local, _LOCAL_TIME, _days_changed, date_format, *to_us),
    ]


_BOOLEAN = CellForm("boolean", "TRUE|FALSE", pa.bool_())


def _forms_of_pins(separator: str) -> list[CellForm]:
    """The forms that only a pinned column has."""
    sign = re.escape(separator)
    number = rf"-?\d+(?:{sign}\d+)?(?:[eE][+-]?\d+)?"
    amount = rf"-?0*\d{{1,{_DECIMAL_DIGITS - _DECIMALS}}}(?:{sign}\d{{1,{_DECIMALS}}})?"
    return [
        CellForm("number.value", number, pa.float64(), _pinned_numbers_changed, decimal_separator=separator),
        CellForm("decimal", amount, _DECIMAL, decimal_separator=separator),
    ]


class CellForms(msgspec.Struct, frozen=True):
    """The forms that a column can have."""

    found: list[CellForm]
    "Those that the values of a column decide."
    pinned: list[CellForm]
    "Those that bridge.yaml decides."

    def named(self, names: Sequence[str]) -> list[CellForm]:
        return [form for form in (*self.found, *self.pinned) if form.name in names]

    def of_pin(self, kind: str) -> list[CellForm]:
        """Return the form of a pinned type; none for text."""
        forms = [form for form in self.pinned if form.kind == kind]
        return forms or [form for form in self.found if form.kind == kind]

    @property
    def date_format(self) -> str:
        return next(form.date_format for form in self.found if form.date_format)

    @classmethod
    def of(cls, decimal_separator: str, date_format: str) -> Self:
        found = [*_number_forms(decimal_separator), *_time_forms(date_format), _BOOLEAN]
        return cls(found, _forms_of_pins(decimal_separator))


def why_no_value(form: CellForm, cell: str) -> str:
    """Describe a cell that is no value of a pinned type, without its content."""
    number = _NUMBER.fullmatch(cell)
    if form.kind == "boolean":
        return "is neither TRUE nor FALSE"
    if not number or not form.decimal_separator:
        return why_not(form, cell)
    if not set(number["digits"]) & {".", ","} <= {form.decimal_separator}:
        return "has another decimal separator"
    if form.kind == "number":
        return "is too large or too small for a number" if number["exponent"] else why_not(form, cell)
    return _why_no_decimal(number)


def _why_no_decimal(number: re.Match[str]) -> str:
    whole, decimals = re.split("[.,]", number["digits"])[0].lstrip("0"), number["decimals"] or ""
    if number["exponent"]:
        return "has an exponent"
    if len(decimals) > _DECIMALS:
        return f"has {len(decimals)} decimals, of which a decimal keeps {_DECIMALS}"
    return f"has {len(whole)} digits before the decimals, of which a decimal keeps {_DECIMAL_DIGITS - _DECIMALS}"


def why_not(form: CellForm, cell: str) -> str:
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
