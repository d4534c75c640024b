"""Find the values of a staged file that are not among those that Pigment knows, and leave their rows out.

Values are compared exactly, as text. Empty cells are not looked up. Of the file, memory holds these columns of a
million rows at a time, and of the values that are missing the first ten thousand. Importing this module takes a third
of a second: only what needs it imports it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import compress
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from common.platform.errors import BlockNotFound, RowsMalformed
from common.platform.text import listed
from common.storage.bucket import Bucket
from common.tables.arrow import read_records
from common.tables.check import Checked, Checker, Contract, Origin
from common.tables.compare.file import CheckedCsv
from common.tables.records import end_of_first_record, split, with_last_line_end
from common.tables.staging import Staged, StagingWriter

_MOST_DISTINCT = 10_000
_ROWS_AT_ONCE = 1_000_000

Values = Any
"A `pyarrow.StringArray`, without duplicates."


class UnknownValues(msgspec.Struct):
    """The values of one column that are not known, each with its number of rows."""

    rows_by_value: Counter[str]
    "The first of them, in the order of the file."
    other_rows: int = 0
    "Rows with further values, which are too many to be counted one by one."

    @property
    def rows(self) -> int:
        return self.rows_by_value.total() + self.other_rows

    def add(self, value: str, rows: int) -> None:
        if value in self.rows_by_value or len(self.rows_by_value) < _MOST_DISTINCT:
            self.rows_by_value[value] += rows
        else:
            self.other_rows += rows


def read_column(blocks: Iterable[bytes], delimiter: str, column: str, what: str, *, proves_its_end: bool) -> Values:
    """Return the values of one column of an export, each once.

    Args:
        what: the exported block in words: `the list 9b2c…`.
        proves_its_end: whether a truncation of the export would be noticed without a line end.

    Raises BlockNotFound if there is no such column, StreamCut or RowsMalformed if the export is not complete.
    """
    checker, found = Checker(Contract(delimiter=delimiter), Origin("Pigment", delimiter)), [pa.array([], pa.string())]
    for block in with_last_line_end(blocks) if proves_its_end else blocks:
        has_begun = bool(checker.header)
        records = checker.feed(block)
        if records and not has_begun:
            _expect_column(checker.header, column, what)
            records = records[end_of_first_record(records) :]
        if records:
            (cells,) = _columns(records, checker.header, delimiter, [checker.header.index(column)])
            found.append(cells.unique())
    checker.finish()
    return pa.chunked_array(found).unique()


def _expect_column(header: list[str], column: str, what: str) -> None:
    if header.count(column) != 1:
        next_step = f"Write the name of one of its properties as Pigment shows it: {listed(header)}."
        raise BlockNotFound(f"{what[:1].upper()}{what[1:]} does not have one property {column!r}.", next_step=next_step)


def encode(values: Values) -> bytes:
    """Return values in the format in which they are cached: Arrow's own, which is read without parsing."""
    out = pa.BufferOutputStream()
    table = pa.table({"value": values})
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return bytes(out.getvalue())


def decode(content: bytes) -> Values | None:
    """Return cached values; None if another version wrote them."""
    try:
        return pa.ipc.open_stream(content).read_all().column("value").combine_chunks()
    except (pa.ArrowInvalid, KeyError):
        return None


def find_unknown(file: CheckedCsv, known: Mapping[str, Values]) -> dict[str, UnknownValues]:
    """Return the unknown values of each column; `known` has the values by the header of the column."""
    found = {column: UnknownValues(Counter()) for column in known}
    for columns in _many(file, list(known)):
        for name, cells in zip(known, columns, strict=True):
            counted = pc.value_counts(cells)
            unknown = counted.filter(_are_unknown(counted.field("values"), known[name]))
            for each in unknown.to_pylist():
                found[name].add(each["values"], each["counts"])
    return found


def _many(file: CheckedCsv, names: list[str]) -> Iterator[list[Any]]:
    """Yield the cells of some columns, many at a time: each lookup begins with a table of all known values."""
    places, pending, rows = [file.header.index(name) for name in names], [], 0
    for records in file.pieces():
        pending.append(_columns(records, file.header, file.delimiter, places))
        rows += len(pending[-1][0])
        if rows >= _ROWS_AT_ONCE:
            yield _joined(pending)
            pending, rows = [], 0
    if pending:
        yield _joined(pending)


def _joined(columns: list[list[Any]]) -> list[Any]:
    return [
        pa.chunked_array([chunk for each in pieces for chunk in each.chunks]) for pieces in zip(*columns, strict=True)
    ]


def find_alike(unknown: list[str], known: Values) -> dict[str, str]:
    """Return the known value from which an unknown one differs only in case or in the spaces around it, if any does."""
    if not unknown:
        return {}
    places = pc.index_in(_folded(pa.array(unknown)), value_set=_folded(known)).to_pylist()
    return {value: known[place].as_py() for value, place in zip(unknown, places, strict=True) if place is not None}


def _folded(values: Any) -> Any:
    return pc.utf8_lower(pc.utf8_trim_whitespace(values))


def write_known(bucket: Bucket, file: CheckedCsv, known: Mapping[str, Values], to: str) -> Staged:
    """Write the rows of which all values are known to a file of their own, byte for byte and in their order."""
    rows = 0
    with bucket.writing(to) as stream:
        staging = StagingWriter(stream.write)
        staging.write(file.header_record)
        for records, is_unknown in _judged(file, known):
            if chosen := list(compress(records, (not each for each in is_unknown))):
                rows += len(chosen)
                staging.write(b"\n".join(chosen) + b"\n")
    return staging.staged(to, Checked(file.header, rows, []), file.delimiter)


def write_without_unknown(
    bucket: Bucket, whole: CheckedCsv, file: CheckedCsv, known: Mapping[str, Values], to: str
) -> Staged:
    """Write the rows of a file, without those that are unknown in another file, whose rows are all from this one and in
    the same order.
    """
    unknown = (row for records, is_unknown in _judged(file, known) for row in compress(records, is_unknown))
    rows, following = 0, next(unknown, None)
    with bucket.writing(to) as stream:
        staging = StagingWriter(stream.write)
        staging.write(whole.header_record)
        for piece in whole.pieces():
            kept = []
            for row in split(piece):
                if row == following:
                    following = next(unknown, None)
                else:
                    kept.append(row)
            rows += len(kept)
            staging.write(b"".join(row + b"\n" for row in kept))
    if following is not None:
        raise whole.refusal()
    return staging.staged(to, Checked(whole.header, rows, []), whole.delimiter)


def _judged(file: CheckedCsv, known: Mapping[str, Values]) -> Iterator[tuple[list[bytes], list[bool]]]:
    """Yield records, many at a time, and for each whether one of its values is unknown."""
    places = [file.header.index(name) for name in known]
    for piece in file.pieces():
        columns = _columns(piece, file.header, file.delimiter, places)
        masks = [_are_unknown(cells, known[name]) for name, cells in zip(known, columns, strict=True)]
        is_unknown = masks[0]
        for mask in masks[1:]:
            is_unknown = pc.or_(is_unknown, mask)
        yield split(piece), is_unknown.to_pylist()


def _are_unknown(values: Any, known: Values) -> Any:
    return pc.and_(pc.invert(pc.is_in(values, value_set=known)), pc.not_equal(values, ""))


def _columns(records: bytes, header: list[str], delimiter: str, places: list[int]) -> list[Any]:
    names = [str(place) for place in places]
    try:
        table = read_records(records, len(header), delimiter, include_columns=names)
    except pa.ArrowInvalid:
        # Arrow quotes the record.
        raise RowsMalformed(f"Records that were checked cannot be read as CSV of {len(header)} columns.") from None
    return [table.column(name) for name in names]
