"""Write an export to an object under `tmp/`, check it while it arrives, and compute its digests.

An incomplete file never has a public name. After an error there is no object. Files that a killed process left under
`tmp/` are deleted by a later run, or by the bucket's lifecycle, within a day.
"""

import base64
import codecs
import contextlib
import functools
import itertools
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol, TypeVar

import google_crc32c
import msgspec

from common import bridge_yaml
from common.platform.errors import Internal
from common.platform.http import in_blocks
from common.storage import paths
from common.storage.background import read_ahead, written_behind
from common.storage.bucket import Bucket
from common.tables import column_names, pinned_columns
from common.tables.check import Checked, Checker, Contract, Origin
from common.tables.compare.file import PIECE_BYTES, ArrivingCsv, CheckedCsv
from common.tables.digest import DigestingWriter, Sink
from common.tables.records import complete_records, end_of_first_record, with_last_line_end
from common.tables.staging import CheckedFile, FileBeginning, ProgressCallback, Sample

if TYPE_CHECKING:
    from common.tables.column_types import ColumnTypes

T = TypeVar("T")

_CSV, _GZIP, _PARQUET = "text/csv", "application/gzip", "application/vnd.apache.parquet"

_PIECE_BYTES = 1024 * 1024
_PIECES_AHEAD = 4
"As many arrive while others are compared, or a row group is written."
_PARQUET_CHUNK_BYTES = 1024 * 1024
"Less than for CSV: Parquet has a tenth of its bytes, and both are in memory."

_A_DAY = timedelta(days=1)
_AS_GZIP = 16 + zlib.MAX_WBITS
"Without a time in its header: the same rows give the same bytes."
_GZIP_LEVEL = 6


class ExportFile(CheckedFile, frozen=True):
    """A file under `tmp/`, ready to be published."""

    source: bridge_yaml.ExportSource
    "The job's source, or its fallback if the view was too big."
    content_type: str
    crc32c: str
    types: Mapping[str, Sequence[str]] = {}
    "The types of Parquet's columns, for the next run."


class PublishedColumns(msgspec.Struct, frozen=True):
    """The columns of the file that was published last."""

    header: Sequence[str] = ()
    types: Mapping[str, Sequence[str]] = {}


class _ChecksumWriter(DigestingWriter):
    """A digesting writer that also computes the checksum that Cloud Storage has of every object.

    Google's client has compared it when the object under `tmp/` is complete; here it is for the object that is
    published.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        super().__init__(write)
        self._crc32c = google_crc32c.Checksum()

    def write(self, content: bytes) -> int:
        self._crc32c.update(content)
        return super().write(content)

    @property
    def crc32c(self) -> str:
        """In the form that Cloud Storage uses: base64 of the big-endian bytes."""
        return base64.b64encode(self._crc32c.digest()).decode()


class IncomingExport(Protocol):
    @property
    def proves_its_end(self) -> bool:
        """Whether a truncation would be noticed."""

    def blocks(self) -> Iterator[bytes]: ...

    def stop(self) -> None:
        """End soon what another thread reads of it."""


def sweep(bucket: Bucket, now: datetime) -> None:
    """Delete files that killed runs left, once they are a day old; a run in progress is younger."""
    for entry in list(bucket.entries(paths.TEMPORARY)):
        if now - entry.created_at > _A_DAY:
            bucket.delete(entry.name)


def write(bucket: Bucket, run: str, export: "ArrivingExport") -> ExportFile:
    """Write an export in the job's format; columns of Parquet keep the types of earlier runs.

    Raises StreamCut, RowsMalformed, AnswerNotUnderstood or OutOfTime if the
    export is not complete; ColumnsChanged or TypeMismatch if its columns are not those that bridge.yaml pins;
    StorageBusy or StorageRefused if the file was not written.
    """
    path, job, types = paths.temporary(run), export.job, export.before.types
    if job.format == "parquet":
        content_type = _PARQUET
        digested, types = _write_parquet(bucket, path, export)
    else:
        # With the type of a gzip file: under `Content-Encoding: gzip` some readers would unpack it and others not.
        content_type = _GZIP if job.compress else _CSV
        digested = _write_blocks(bucket, path, export.csv(), content_type)
    checked, sample = export.checked, export.sample
    digests = digested.sha256, digested.bytes
    return ExportFile(path, *digests, checked, sample, export.source, content_type, digested.crc32c, types)


def write_while_read(
    bucket: Bucket, run: str, export: "ArrivingExport", read: Callable[[ArrivingCsv], T]
) -> tuple[CheckedCsv, T]:
    """Write an export as CSV. Return it, and what `read` makes of its rows while they arrive.

    Raises what `write` raises, and what `read` raises.
    """
    path, delimiter = paths.temporary(run), export.source.delimiter
    blocks = in_blocks(export.blocks(), PIECE_BYTES)
    with bucket.writing(path, content_type=_CSV) as file, _arriving(blocks, export.stop, file) as pieces:
        found = read(ArrivingCsv(path, delimiter, pieces))
        # What it has not read is stored all the same.
        deque(pieces, maxlen=0)
    return CheckedCsv(bucket, path, delimiter), found


def _write_blocks(bucket: Bucket, path: str, blocks: Iterator[bytes], content_type: str) -> _ChecksumWriter:
    """Write CSV, compressed if the content type says so."""
    with bucket.writing(path, content_type=content_type) as file, written_behind(file.write) as upload:
        # Digested here: to upload takes longer than to check, and would wait for it.
        digested = _ChecksumWriter(upload)
        if content_type == _GZIP:
            _compress(blocks, digested)
        else:
            for block in blocks:
                digested.write(block)
    return digested


def _compress(blocks: Iterator[bytes], to: Sink) -> None:
    compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _AS_GZIP)
    with written_behind(lambda block: to.write(compressor.compress(block))) as compress:
        for block in blocks:
            compress(block)
    to.write(compressor.flush())


def _write_parquet(
    bucket: Bucket, path: str, export: "ArrivingExport"
) -> tuple[_ChecksumWriter, Mapping[str, Sequence[str]]]:
    """Write the export as Parquet while it arrives, and as CSV beside it: if a column gets another type after rows were
    written as Parquet, the CSV is converted.

    Pigment could be asked again instead, but then an export that takes more than half of the time budget would never
    succeed, and the second answer could have other rows.
    """
    csv_path = f"{path}.csv"
    with bucket.writing(csv_path) as csv_file:
        with _arriving(complete_records(export.blocks(), _PIECE_BYTES), export.stop, csv_file) as arriving:
            # The types need the header, which is known once the first piece is there.
            pieces = itertools.chain([next(arriving)], arriving)
            digested = _write_while_arriving(bucket, path, export, pieces)
        if digested:
            csv_file.discard()
    if not digested:
        digested = _convert(bucket, csv_path, path, export)
    export.warn(export.types.warnings())
    return digested, export.types.kept()


@contextlib.contextmanager
def _arriving(pieces: Iterator[bytes], stop: Callable[[], None], file: Sink) -> Iterator[Iterator[bytes]]:
    """Give pieces of an export, which arrive in a thread of their own and are also written to a file."""
    arriving = read_ahead(pieces, _PIECES_AHEAD, stop)
    with written_behind(file.write) as keep, contextlib.closing(arriving):
        yield _each_also(arriving, keep)


def _write_while_arriving(
    bucket: Bucket, path: str, export: "ArrivingExport", pieces: Iterator[bytes]
) -> _ChecksumWriter | None:
    """Write Parquet while the types are found in all pieces; return None if not all of them have the first types."""
    # Arrow makes a cold start slower; CSV does not need it.
    from common.tables import parquet  # noqa: PLC0415

    try:
        with _writing_parquet(bucket, path) as file:
            _expect_rows(parquet.write_while_found(pieces, file, export.types), export.checked)
    except parquet.TypesChanged:
        for records in pieces:
            export.types.feed(records)
        return None
    return file


def _convert(bucket: Bucket, csv_path: str, path: str, export: "ArrivingExport") -> _ChecksumWriter:
    """Write a CSV of the bucket as Parquet, once all types are known."""
    from common.tables import parquet  # noqa: PLC0415

    with _writing_parquet(bucket, path) as file:
        _expect_rows(parquet.write(bucket.blocks(csv_path), file, export.types), export.checked)
    return file


@contextlib.contextmanager
def _writing_parquet(bucket: Bucket, path: str) -> Iterator[_ChecksumWriter]:
    with bucket.writing(path, content_type=_PARQUET, chunk_bytes=_PARQUET_CHUNK_BYTES) as file:
        yield _ChecksumWriter(file.write)


def _expect_rows(rows: int, checked: Checked) -> None:
    if rows != checked.rows:
        raise Internal(f"Only {rows} of {checked.rows} rows were converted to Parquet.")


def _each_also(blocks: Iterator[bytes], act: Callable[[bytes], None]) -> Iterator[bytes]:
    for block in blocks:
        act(block)
        yield block


class ArrivingExport:
    """The answer of Pigment as checked records. An answer is read once, by one of the iterators."""

    def __init__(
        self,
        answer: IncomingExport,
        source: bridge_yaml.ExportSource,
        job: bridge_yaml.Export,
        progress: ProgressCallback,
        before: PublishedColumns = PublishedColumns(),  # noqa: B008  # it is frozen
    ) -> None:
        self._answer = answer
        self.source = source
        self.job = job
        self.before = before
        self._progress = progress
        decimals = "Dot" if isinstance(source, bridge_yaml.ViewSource) else source.decimal_separator
        self._decimal_sign = "," if decimals == "Comma" else "."
        self._checker = Checker(Contract(delimiter=source.delimiter), Origin("Pigment", source.delimiter))
        self._is_marked = not isinstance(source, bridge_yaml.ViewSource) and source.encoding == "Utf8WithBom"
        self._beginning = FileBeginning()
        self.checked: Checked

    def csv(self) -> Iterator[bytes]:
        """Yield the file as it is published as CSV."""
        if self._is_marked:
            yield codecs.BOM_UTF8
        pins = self.job.columns
        # Text needs no check, and Arrow makes a cold start slower.
        yield from self._typed() if {*pins.values()} - {"text"} else self.blocks()
        if pins and self.job.bigquery:
            self.warn(column_names.distinct(self._checker.header, for_bigquery=True, of="the table of BigQuery")[1])

    def _typed(self) -> Iterator[bytes]:
        """Yield complete records as `blocks`, while the values of pinned columns are checked. Raises TypeMismatch."""
        records = self.blocks()
        first = next(records, b"")
        yield first
        self.types.feed(first[end_of_first_record(first) :])
        for block in records:
            yield block
            self.types.feed(block)
        self.types.finish()

    @functools.cached_property
    def types(self) -> "ColumnTypes":
        """The types of the columns, once the header has arrived."""
        from common.tables.column_types import ColumnTypes  # noqa: PLC0415

        is_typed = self.job.format == "parquet"
        return ColumnTypes(
            self._checker.header,
            self.source.delimiter,
            self._decimal_sign,
            self.job.date_format,
            self.before.types if is_typed else {},
            # Of CSV, only the pinned columns are looked at.
            {**({} if is_typed else dict.fromkeys(self._checker.header, "text")), **self.job.columns},
            for_bigquery=self.job.bigquery,
        )

    def blocks(self) -> Iterator[bytes]:
        """Yield complete records; the first block begins with the header."""
        blocks = self._answer.blocks()
        for block in with_last_line_end(blocks) if self._answer.proves_its_end else blocks:
            yield from self._ready(block)
        self.checked = self._checker.finish()

    def stop(self) -> None:
        """End soon what another thread reads of the answer."""
        self._answer.stop()

    @property
    def sample(self) -> Sample:
        return self._beginning.sample(self.source.delimiter)

    def warn(self, warnings: list[str]) -> None:
        self.checked = msgspec.structs.replace(self.checked, warnings=[*self.checked.warnings, *warnings])

    def _ready(self, block: bytes) -> Iterator[bytes]:
        is_first = not self._checker.header
        ready = self._checker.feed(block)
        self._progress("rows read", self._checker.rows)
        if not ready:
            return
        if is_first:
            self._expect_pinned_columns()
        self._beginning.add(ready)
        yield ready

    def _expect_pinned_columns(self) -> None:
        job, header = self.job, self._checker.header
        pinned_columns.expect_header(job.columns, header, self.before.header, is_whole=job.bigquery)
