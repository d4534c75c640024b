"""Convert CSV to Parquet with real types, in bounded memory.

The types are found while the CSV streams in, and the file is written in a second reading.

The type of a column is one that represents every cell of it:

- Integers are int64 if they are written as numbers: 007 is text, and so is a number of 19 digits.
- Numbers with decimals are float64. If a column also has an integer that float64 cannot represent, or more than 15
  digits before the decimals, it is text, so that no digit is lost.
- 2024-11-21, 10/25/2024 and 10/25/2024 00:00:00 +00:00 are dates; with another time they are timestamps. The day must
  exist.
- TRUE and FALSE are booleans.
- Everything else, also a mixture, is text without any change.

An empty cell is null, and a column of empty cells is text. The two forms of dates are those of Pigment's export guide,
which pads days and months with zeros: 1/2/2024 is text.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from common.platform.errors import Internal, RowsMalformed
from common.tables.arrow import read_records
from common.tables.digest import Sink
from common.tables.records import complete_records

_PIECE_BYTES = 1024 * 1024

# A row group is in memory while it is written; the footer, which lists every column of every group, until the end.
_LEAST_ROW_GROUP_BYTES = 4 * 1024 * 1024
_MOST_ROW_GROUP_BYTES = 32 * 1024 * 1024
_ROW_GROUP_BYTES_PER_COLUMN = 512 * 1024

# A column with more distinct values is smaller, and needs less memory, without a dictionary.
_DICTIONARY_BYTES = 64 * 1024

_MOST_EXACT_IN_FLOAT64 = 2**53

_UTC_TIME = pa.timestamp("us", tz="UTC")
_LOCAL_TIME = pa.timestamp("us")
_DAY_US = 24 * 60 * 60 * 1_000_000

# Days since 1970 of the years 1 to 9999, the range of BigQuery, DuckDB and Python.
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896


class _Form(msgspec.Struct, frozen=True, eq=False):
    pattern: str
    "Valid for both Python's `re` and Arrow's RE2."
    type: Any
    iso: tuple[str, str] | None = None
    "A replacement that makes it readable for Arrow: pattern and substitute."

    def fits(self, cell: str) -> bool:
        return re.fullmatch(self.pattern, cell, re.ASCII) is not None

    def fits_each(self, cells: Any) -> Any:
        return pc.match_substring_regex(cells, f"^(?:{self.pattern})$")

    def values(self, cells: Any) -> Any:
        """Convert cells of this form to values. Raises ArrowInvalid for a day that does not exist."""
        if self.iso is not None:
            cells = pc.replace_substring_regex(cells, *self.iso)
        return cells.cast(self.type)


_TEXT = _Form(r"(?s:.*)", pa.string())
# With "ignore case", RE2 would accept the long s as an s.
_BOOLEAN = _Form(r"[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]", pa.bool_())
_INTEGER = _Form(r"-?(?:0|[1-9]\d{0,17})", pa.int64())
_DECIMAL = {
    separator: _Form(rf"-?(?:0|[1-9]\d{{0,14}})(?:{re.escape(separator)}\d+)?(?:[eE][+-]?0*\d{{1,2}})?", pa.float64())
    for separator in ".,"
}

_ISO_DATE = _Form(r"\d{4}-\d\d-\d\d", pa.date32())
_CLOCK = r"\d\d:\d\d(?::\d\d(?:\.\d{1,6}0*)?)?"
_BEYOND_MICROSECONDS = (r"(\.\d{6})0+", r"\1")
_ISO_LOCAL_TIME = _Form(rf"\d{{4}}-\d\d-\d\d[T ]{_CLOCK}", _LOCAL_TIME, _BEYOND_MICROSECONDS)
_ISO_TIME = _Form(rf"\d{{4}}-\d\d-\d\d[T ]{_CLOCK}(?:Z|[+-]\d\d:?\d\d)", _UTC_TIME, _BEYOND_MICROSECONDS)

_AS_ISO_DATE = (r"^(..)/(..)/(....).*", r"\3-\1-\2")
_AS_ISO_TIME = (r"^(..)/(..)/(....) (.{8}) ", r"\3-\1-\2T\4")
_LEGACY_DATE = _Form(r"\d\d/\d\d/\d{4}", pa.date32(), _AS_ISO_DATE)
_LEGACY_MIDNIGHT = _Form(r"\d\d/\d\d/\d{4} 00:00:00 \+00:00", pa.date32(), _AS_ISO_DATE)
_LEGACY_TIME = _Form(r"\d\d/\d\d/\d{4} \d\d:\d\d:\d\d [+-]\d\d:\d\d", _UTC_TIME, _AS_ISO_TIME)

# Pairs of forms that may occur in one column, and the form that reads both.
_TOGETHER = {
    **{frozenset([_INTEGER, decimal]): decimal for decimal in _DECIMAL.values()},
    frozenset([_LEGACY_DATE, _LEGACY_MIDNIGHT]): _LEGACY_DATE,
    frozenset([_LEGACY_MIDNIGHT, _LEGACY_TIME]): _LEGACY_TIME,
}

_TRUE, _FALSE = (
    ["".join(letters) for letters in itertools.product(*zip(word, word.upper(), strict=True))]
    for word in ("true", "false")
)


class ColumnTypes:
    """Finds the type of each column while records stream in."""

    def __init__(self, header: Sequence[str], delimiter: str = ",", decimal_separator: str = ".") -> None:
        self.delimiter = delimiter
        self.decimal_separator = decimal_separator
        self.names, self.warnings = _distinct(header)
        self._columns = [_Column(decimal_separator) for _ in header]
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
        options |= {"true_values": _TRUE, "false_values": _FALSE, "decimal_point": self.decimal_separator}
        return read_records(records, types, self.delimiter, **options)


class _Column:
    def __init__(self, decimal_separator: str) -> None:
        # An integer is also a decimal, and midnight is also a time: the narrower form comes first.
        numbers, dates = [_INTEGER, _DECIMAL[decimal_separator]], [_ISO_DATE, _LEGACY_DATE, _LEGACY_MIDNIGHT]
        self._forms = [*numbers, *dates, _LEGACY_TIME, _ISO_TIME, _ISO_LOCAL_TIME, _BOOLEAN]
        self._seen: set[_Form] = set()
        self._is_exact_in_float64 = True

    @property
    def form(self) -> _Form:
        if len(self._seen) == 1:
            return next(iter(self._seen))
        together = _TOGETHER.get(frozenset(self._seen), _TEXT)
        return together if together.type != pa.float64() or self._is_exact_in_float64 else _TEXT

    @property
    def is_text(self) -> bool:
        """Whether the column is text, whatever follows."""
        return bool(self._seen) and self.form is _TEXT

    def feed(self, cells: Any) -> None:
        cells = cells.drop_null()
        while len(cells) and not self.is_text:
            first = cells[0].as_py()
            form = next((form for form in self._forms if form.fits(first)), _TEXT)
            fits = form.fits_each(cells)
            self._add(form, cells.filter(fits))
            cells = cells.filter(pc.invert(fits))

    def _add(self, form: _Form, cells: Any) -> None:
        if form is _INTEGER:
            self._is_exact_in_float64 = self._is_exact_in_float64 and _are_exact_in_float64(cells)
        elif pa.types.is_temporal(form.type) and not _are_in_the_calendar(form, cells):
            form = _TEXT
        if form not in self._seen:
            self._seen.add(form)
            # Most columns continue as they began.
            self._forms.sort(key=lambda known: known is not form)


def write(blocks: Iterable[bytes], to: Sink, types: ColumnTypes, *, metadata: Mapping[str, str] | None = None) -> int:
    """Write a CSV file with its header as Parquet, and return the number of rows. Raises Internal if it is another file
    than the one whose types were found.
    """
    schema = types.schema().with_metadata(metadata)
    sink = _ArrowFile(to)
    options = {"compression": "zstd", "dictionary_pagesize_limit": _DICTIONARY_BYTES}
    writer = pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, **options)
    group_bytes = min(max(_LEAST_ROW_GROUP_BYTES, len(schema) * _ROW_GROUP_BYTES_PER_COLUMN), _MOST_ROW_GROUP_BYTES)
    rows = 0
    try:
        for group in _row_groups(_tables(blocks, types), group_bytes):
            writer.write_table(group, row_group_size=len(group))
            rows += len(group)
        writer.close()
    except BaseException:
        # Otherwise Arrow would end the file as if it were complete, now or when the writer is deleted.
        sink.is_abandoned = True
        writer.close()
        raise
    return rows


class _ArrowFile:
    """The file that Arrow writes to; it needs more methods than `write`."""

    closed = False
    is_abandoned = False

    def __init__(self, to: Sink) -> None:
        self._to = to
        self._position = 0

    def write(self, content: bytes) -> int:
        if not self.is_abandoned:
            try:
                self._to.write(bytes(content))
            except BaseException:
                # Arrow still writes its buffer before it raises the exception.
                self.is_abandoned = True
                raise
        self._position += len(content)
        return len(content)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def _tables(blocks: Iterable[bytes], types: ColumnTypes) -> Iterator[Any]:
    with_header = True
    for records in complete_records(blocks, _PIECE_BYTES):
        try:
            table = types.values(records, with_header=with_header)
        except pa.ArrowInvalid:
            # Arrow's message quotes the cell.
            raise Internal("The CSV to convert to Parquet is not the one that was checked.") from None
        with_header = False
        if len(table):
            yield table


def _row_groups(tables: Iterable[Any], group_bytes: int) -> Iterator[Any]:
    waiting: list[Any] = []
    for table in tables:
        waiting.append(table)
        if sum(each.nbytes for each in waiting) >= group_bytes:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _are_exact_in_float64(integers: Any) -> bool:
    least, most = pc.min_max(integers.cast(pa.int64())).values()
    return bool(least.as_py() >= -_MOST_EXACT_IN_FLOAT64 and most.as_py() <= _MOST_EXACT_IN_FLOAT64)


def _are_in_the_calendar(form: _Form, cells: Any) -> bool:
    try:
        first, last = pc.min_max(form.values(cells)).values()
    except pa.ArrowInvalid:
        return False
    day = 1 if form.type == pa.date32() else _DAY_US
    return bool(first.value // day >= _FIRST_DAY and last.value // day <= _LAST_DAY)


def _distinct(header: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return names that are unique in any case, because BigQuery would refuse others, and warnings."""
    taken = {name.casefold() for name in header}
    names: list[str] = []
    warnings: list[str] = []
    used: set[str] = set()
    for name in header:
        new = name
        if name.casefold() in used:
            new = next(other for turn in itertools.count(2) if (other := f"{name} ({turn})").casefold() not in taken)
            warnings.append(f"The header contains {name} more than once: in the Parquet file one of them is {new}.")
            taken.add(new.casefold())
        used.add(new.casefold())
        names.append(new)
    return names, warnings
