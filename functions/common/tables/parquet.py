"""Write CSV as Parquet with the types of its columns, in bounded memory.

The types must be known when the first row group is written. They are those of earlier runs, of bridge.yaml, and of the
rows so far, and later rows seldom change them: so a file is written while its rows arrive. If one does change them, the
whole file is written once more, from a CSV.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from common.platform.errors import Internal, RowsMalformed
from common.tables.column_types import ColumnTypes
from common.tables.digest import Sink
from common.tables.records import complete_records, end_of_first_record

_PIECE_BYTES = 1024 * 1024

# A row group is in memory while it is written; the footer, which lists every column of every group, until the end.
_LEAST_ROW_GROUP_BYTES = 4 * 1024 * 1024
_MOST_ROW_GROUP_BYTES = 32 * 1024 * 1024
_ROW_GROUP_BYTES_PER_COLUMN = 512 * 1024

# A column with more distinct values is smaller, and needs less memory, without a dictionary.
_DICTIONARY_BYTES = 64 * 1024


class TypesChanged(Exception):  # a signal between modules, which no user sees
    """A column has got another type after rows were written, so this file cannot be completed."""


def write_while_found(pieces: Iterable[bytes], to: Sink, types: ColumnTypes, group_bytes: int | None = None) -> int:
    """Write a CSV file with its header as Parquet while the types are found, and return the number of rows.

    Raises TypesChanged, as soon as it is known; RowsMalformed or TypeMismatch as `ColumnTypes`.

    Args:
        pieces: complete records, of which one is in memory besides a row group.
        group_bytes: of the cells of a row group; by default, a number that fits the number of columns.
    """
    return _write_groups(pieces, types, _RowGroups(to, types, types.look_at, group_bytes))


def write(blocks: Iterable[bytes], to: Sink, types: ColumnTypes) -> int:
    """Write a CSV file with its header as Parquet, and return the number of rows. Raises Internal if it is another file
    than the one whose types were found.
    """
    try:
        return _write_groups(complete_records(blocks, _PIECE_BYTES), types, _RowGroups(to, types))
    except (pa.ArrowInvalid, RowsMalformed):
        # Arrow's message quotes the cell.
        raise Internal("The CSV to convert to Parquet is not the one that was checked.") from None


def _write_groups(pieces: Iterable[bytes], types: ColumnTypes, groups: "_RowGroups") -> int:
    try:
        for records in _without_header(pieces):
            groups.add(types.cells(records))
        groups.finish()
    except BaseException:
        groups.abandon()
        raise
    return groups.rows


def _without_header(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces of a file, the first one without the header and only if it has more."""
    is_first = True
    for piece in pieces:
        records = piece[end_of_first_record(piece) :] if is_first else piece
        is_first = False
        if records:
            yield records


class _RowGroups:
    """Collects cells until they are a row group, and writes it; the groups are the same however the types are found.

    A group is converted and compressed in a thread while the next one is collected: both take about as long.
    """

    def __init__(
        self,
        to: Sink,
        types: ColumnTypes,
        look_at: Callable[[Any], None] = lambda _: None,
        group_bytes: int | None = None,
    ) -> None:
        self._types = types
        self._look_at = look_at
        self._sink = _ArrowFile(to)
        self._writer: Any = None
        self._waiting: list[Any] = []
        self._waiting_bytes = 0
        self._pool = ThreadPoolExecutor(1, "row groups")
        self._being_written: Future[None] | None = None
        columns_bytes = len(types.names) * _ROW_GROUP_BYTES_PER_COLUMN
        self._group_bytes = group_bytes or min(max(_LEAST_ROW_GROUP_BYTES, columns_bytes), _MOST_ROW_GROUP_BYTES)
        self.rows = 0

    def add(self, cells: Any) -> None:
        self._waiting.append(cells)
        self._waiting_bytes += cells.nbytes
        if self._waiting_bytes >= self._group_bytes:
            self._write()

    def finish(self) -> None:
        if self._waiting:
            self._write()
        self._wait()
        self._pool.shutdown()
        self._open(self._types.schema()).close()

    def abandon(self) -> None:
        """Write no more: otherwise Arrow would end the file as if it were complete, now or when it is deleted."""
        self._sink.is_abandoned = True
        self._pool.shutdown()
        if self._writer is not None:
            self._writer.close()

    def _write(self) -> None:
        cells = pa.concat_tables(self._waiting)
        self._waiting, self._waiting_bytes = [], 0
        self._look_at(cells)
        # Before TypesChanged: a file that cannot be written is not begun anew.
        self._wait()
        schema = self._types.schema()
        writer = self._open(schema)
        if schema != writer.schema:
            raise TypesChanged
        self.rows += len(cells)
        convert = self._types.conversion()
        # Otherwise the memory that Arrow has freed grows by a tenth with the number of row groups.
        pa.default_memory_pool().release_unused()
        self._being_written = self._pool.submit(lambda: writer.write_table(convert(cells), row_group_size=len(cells)))

    def _wait(self) -> None:
        """Wait until the last group is written, and raise what writing it raised."""
        written, self._being_written = self._being_written, None
        try:
            if written:
                written.result()
        finally:
            # The exception's traceback has this frame. With the group in a circle, it would stay in memory.
            del written

    def _open(self, schema: Any) -> Any:
        """Return the writer, which begins the file with the first schema."""
        if self._writer is None:
            self._writer = pq.ParquetWriter(pa.PythonFile(self._sink, mode="w"), schema, **_options(schema))
        return self._writer


def _options(schema: Any) -> dict[str, Any]:
    # Numbers become as small without a dictionary, in less time.
    others = [field.name for field in schema if field.type != pa.float64()]
    return {"compression": "zstd", "use_dictionary": others, "dictionary_pagesize_limit": _DICTIONARY_BYTES}


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
