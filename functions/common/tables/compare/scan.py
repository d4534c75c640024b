"""Run one query of DuckDB over checked CSV, which is read while the query runs."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from common.tables.arrow import read_records
from common.tables.compare.file import ReadableCsv
from common.tables.staging import ProgressCallback

PLACE = "place"
"The column with the number of each record."


def open_database(**limits: str) -> duckdb.DuckDBPyConnection:
    """Open a database in memory for `scan`. It needs no disk: a function's disk is its memory.

    It has one thread, because DuckDB reads the file on the threads of its query: Ctrl-C, and what a test or a log keeps
    for each thread, reach only the one that asks.
    """
    return duckdb.connect(config={"temp_directory": "", "threads": 1, **limits})


class Scan(NamedTuple):
    answer: list[tuple[Any, ...]]
    rows: int
    "The number of records that the file has."


def scan(
    database: duckdb.DuckDBPyConnection,
    file: ReadableCsv,
    query: str,
    progress: ProgressCallback,
    parameters: Mapping[str, Any] | None = None,
    *,
    begin: int = 0,
) -> Scan:
    """Run a query over the table `records`.

    One query reads the whole file: planning a query of many columns takes as long as running it over a megabyte.
    Raises StorageRefused if the file is not CSV any more, and what reading it raises.

    Args:
        query: its columns are texts named by their numbers, and `place`.
        begin: the place of the first record.
    """
    columns = [pa.field(str(number), pa.string()) for number in range(len(file.header))]
    schema = pa.schema([*columns, pa.field(PLACE, pa.uint32())])
    batches = _Batches(file, begin, progress)
    database.register("records", pa.RecordBatchReader.from_batches(schema, batches))
    try:
        return Scan(database.execute(query, parameters or {}).fetchall(), batches.end - begin)
    except BaseException:
        # DuckDB raises an error of its own for whatever ends the batches.
        if batches.failure:
            raise batches.failure from None
        raise
    finally:
        database.unregister("records")


class _Batches:
    """The records with their places."""

    def __init__(self, file: ReadableCsv, begin: int, progress: ProgressCallback) -> None:
        self.end = begin
        self.failure: BaseException | None = None
        self._file = file
        self._progress = progress

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            for records in self._file.pieces():
                yield from self._batches(records)
        except pa.ArrowInvalid:
            # Arrow quotes the record.
            self.failure = self._file.refusal()
            raise
        except (Exception, KeyboardInterrupt) as error:
            self.failure = error
            raise

    def _batches(self, records: bytes) -> Iterator[pa.RecordBatch]:
        cells = read_records(records, len(self._file.header), self._file.delimiter)
        end = self.end + len(cells)
        yield from cells.append_column(PLACE, pa.arange(self.end, end).cast(pa.uint32())).to_batches()
        self.end = end
        self._progress("rows compared", end)
