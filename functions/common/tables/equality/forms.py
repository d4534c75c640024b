"""The form of a column, and the SQL that gives cells with the same meaning the same text.

The block's cells decide the form, because they show what Pigment made of the cells that it was sent:

    number    by value. Pigment writes numbers plainly, with at most 16 digits (its guide "Export raw data"). A column
              that was sent with commas has them either for decimals or for thousands, whatever its cells show.
    date      by day; Pigment's dates have no time of day
    time      as written, to the microsecond; an offset is not read
    month     by month: a block with a calendar has `Apr 26`
    boolean   TRUE and FALSE, for Looker's Yes and No
    text      character by character; so is every cell that does not have its column's form
"""

import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import pyarrow as pa

from common.tables.column_types import ColumnTypes
from common.tables.compare.file import ReadableCsv
from common.tables.records import end_of_complete_records, split

Form = Literal["number", "date", "time", "month", "boolean", "text"]
Commas = Literal["none", "decimals", "thousands"]

EXACT_DIGITS = 15
"A number with so many digits is the same in every floating-point number of 64 bits."
TOLERANCE = 1e-15
"Relative, between longer numbers: Pigment keeps 16 digits of them."

_BEGINNING_BYTES = 256 * 1024
_FIRST_ROWS = 100

_MONTH = r"[A-Z][a-z]{2} \d\d"
_MONTHS = ["%b %y", "%b %Y", "%B %Y", "%m/%Y"]
_DAYS = ["%Y%m%d", "%Y/%m/%d", "%d.%m.%Y"]
_MONTH_FIRST = ["%m/%d/%Y", "%m/%d/%Y %H:%M:%S", "%m-%d-%Y"]
_DAY_FIRST = ["%d/%m/%Y", "%d/%m/%Y %H:%M:%S", "%d-%m-%Y"]
_BOOLEANS = {"TRUE": ("yes", "true", "y", "1"), "FALSE": ("no", "false", "n", "0")}

DECIMAL_COMMA = r"^[+-]?(\d+,|\d*,(\d{1,2}|\d{4,})|0\d*,\d{3}|\d{4,},\d{3}|[\d.]*\.\d{3},\d*)$"
"A number whose comma cannot separate thousands."


class Reading(msgspec.Struct, frozen=True):
    """How the cells of one column are read."""

    form: Form
    commas: Commas = "none"
    is_day_first: bool = False
    "Whether 03/04/2024 is 3 April."

    def canonical(self, cell: str) -> str:
        """Return SQL for the text that all cells with the meaning of this one have; `cell` is SQL for its text."""
        match self.form:
            case "number":
                return f"coalesce(CAST({self._rounded(cell)} AS VARCHAR), {cell})"
            case "date":
                days = _parsed(cell, [*_DAYS, *(_DAY_FIRST if self.is_day_first else _MONTH_FIRST)], "%Y-%m-%d")
                month = f"WHEN {cell} LIKE '____-__' THEN {cell} || '-01'"
                return f"CASE WHEN {cell} LIKE '____-__-__%' THEN left({cell}, 10) {month} ELSE {days} END"
            case "time":
                return f"coalesce(strftime(TRY_CAST({cell} AS TIMESTAMP), '%Y-%m-%d %H:%M:%S.%f'), {cell})"
            case "month":
                return (
                    f"CASE WHEN {cell} LIKE '____-__%' THEN left({cell}, 7) ELSE {_parsed(cell, _MONTHS, '%Y-%m')} END"
                )
            case "boolean":
                whens = " ".join(f"WHEN lower({cell}) IN {texts} THEN '{value}'" for value, texts in _BOOLEANS.items())
                return f"CASE {whens} ELSE {cell} END"
            case "text":
                return cell

    def hashed(self, cell: str) -> str:
        """Return SQL for a number of 64 bits that is the same for all cells with the meaning of this one.

        It is twice as fast as a digest of the text, and enough to tell two rows with one key apart.
        """
        match self.form:
            case "number":
                return _hash_of_value(self._rounded(cell), cell)
            case "time":
                return _hash_of_value(f"TRY_CAST({cell} AS TIMESTAMP)", cell)
            case _:
                return f"hash({self.canonical(cell)})"

    def number(self, cell: str) -> str:
        """Return SQL for the value of a cell; NULL if it is no number. The sum makes 0 of -0."""
        return f"TRY_CAST({self._plain(cell)} AS DOUBLE) + 0"

    def is_long(self, cell: str) -> str:
        """Return SQL that tells if a number may have more digits than floating-point numbers keep."""
        return f"strlen({self._plain(cell)}) > {EXACT_DIGITS}"

    def _rounded(self, cell: str) -> str:
        value = self.number(cell)
        rounded = f"TRY_CAST(format('{{:.{EXACT_DIGITS}g}}', {value}) AS DOUBLE)"
        return f"CASE WHEN {self.is_long(cell)} THEN {rounded} ELSE {value} END"

    def _plain(self, cell: str) -> str:
        match self.commas:
            case "none":
                return cell
            case "thousands":
                return f"replace({cell}, ',', '')"
            case "decimals":
                return f"replace(replace({cell}, '.', ''), ',', '.')"


def forms_of(block: ReadableCsv, names: Sequence[str], decimal_sign: str) -> dict[str, Form]:
    """Find the forms of these columns of a block by its first rows. Raises RowsMalformed.

    A mistake costs little: a cell that does not have its column's form is compared as text.
    """
    header = block.header
    types = ColumnTypes(header, block.delimiter, decimal_sign)
    beginning = block.beginning()
    beginning = beginning[: end_of_complete_records(beginning[:_BEGINNING_BYTES])] or beginning
    types.feed(beginning)
    schema = types.schema()
    forms = {name: _form_of(schema.field(header.index(name)).type) for name in names}
    texts = [name for name in names if forms[name] == "text"]
    return forms | _by_first_cells(block, beginning, texts, decimal_sign)


def _form_of(kind: Any) -> Form:
    if pa.types.is_floating(kind):
        return "number"
    if pa.types.is_date(kind):
        return "date"
    if pa.types.is_timestamp(kind):
        return "time"
    return "boolean" if pa.types.is_boolean(kind) else "text"


def _by_first_cells(block: ReadableCsv, records: bytes, names: Sequence[str], decimal_sign: str) -> dict[str, Form]:
    """Find months of Pigment's calendar, and numbers with a fixed number of decimals, in columns that could be text."""
    patterns: dict[Form, str] = {"month": _MONTH, "number": rf"-?(?:0|[1-9]\d*){re.escape(decimal_sign)}(\d+)"}
    first = [block.cells(record) for record in split(records)[:_FIRST_ROWS]]
    found: dict[str, Form] = {}
    for name in names:
        place = block.header.index(name)
        cells = [row[place] for row in first if row[place]]
        for form, pattern in patterns.items():
            matches = [re.fullmatch(pattern, cell) for cell in cells]
            if cells and all(matches) and len({len(match[match.re.groups]) for match in matches if match}) == 1:
                found[name] = form
    return found


def _hash_of_value(value: str, cell: str) -> str:
    """Return SQL for the hash of a value, or of the cell's text if it has none. DuckDB computes the value once."""
    return f"CASE WHEN {value} IS NULL THEN hash({cell}) ELSE hash({value}) END"


def _parsed(cell: str, formats: Sequence[str], to: str) -> str:
    listed = ", ".join(f"'{each}'" for each in formats)
    return f"coalesce(strftime(try_strptime({cell}, [{listed}]), '{to}'), {cell})"
