"""Write CSV as Parquet with the types of its columns, in bounded memory.

The types are found while the CSV streams in, and the file is written in a second reading.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from common.platform.errors import Internal
from common.tables.column_types import ColumnTypes
from common.tables.digest import Sink
from common.tables.records import complete_records

_PIECE_BYTES = 1024 * 1024

# A row group is in memory while it is written; the footer, which lists every column of every group, until the end.
_LEAST_ROW_GROUP_BYTES = 4 * 1024 * 1024
_MOST_ROW_GROUP_BYTES = 32 * 1024 * 1024
_ROW_GROUP_BYTES_PER_COLUMN = 512 * 1024

# A column with more distinct values is smaller, and needs less memory, without a dictionary.
_DICTIONARY_BYTES = 64 * 1024


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
