"""From a stream of CSV to an object under `tmp/`: checked while it arrives, and known by its digests.

Nothing half-made ever bears a public name: what fails leaves no object, and what a killed process left under `tmp/` is
taken away by a later run, or by the bucket's lifecycle, within a day.
"""

import base64
import codecs
import contextlib
import hashlib
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Protocol

import google_crc32c
import msgspec

from common import bridge_yaml
from common.pigment.exports import ExportAnswer
from common.platform.errors import Internal, StorageBusy
from common.runs.receipts import Sample
from common.storage.store import Store
from common.tables import staging
from common.tables.csv import Checked, Checker, Contract, Origin, end_of_first_record

_CSV, _GZIP, _PARQUET = "text/csv", "application/gzip", "application/vnd.apache.parquet"

_A_DAY = timedelta(days=1)
_AS_GZIP = 16 + zlib.MAX_WBITS
"With no time in its header: the same rows give the same bytes."
_GZIP_LEVEL = 6

_MOST_BLOCKS_BEHIND = 4


class ExportFile(msgspec.Struct, frozen=True):
    """A whole file under `tmp/`, ready to be published."""

    source: bridge_yaml.ExportSource
    "What it was made of: the job's fallback, where its view was too big."
    path: str
    content_type: str
    bytes: int
    sha256: str
    "Of the object as it is stored: of the compressed bytes where it is compressed."
    crc32c: str
    "As Cloud Storage writes it."
    checked: Checked
    sample: Sample


class Sink(Protocol):
    """Where bytes go."""

    def write(self, content: bytes) -> object: ...


class Digested:
    """Passes bytes on and keeps their count and digests."""

    def __init__(self, to: Sink) -> None:
        self._to = to
        self._sha256 = hashlib.sha256()
        self._crc32c = google_crc32c.Checksum()
        self.bytes = 0

    def write(self, content: bytes) -> int:
        self._to.write(content)
        self._sha256.update(content)
        self._crc32c.update(content)
        self.bytes += len(content)
        return len(content)

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    @property
    def crc32c(self) -> str:
        return base64.b64encode(self._crc32c.digest()).decode()


def path_of(run: str) -> str:
    return f"tmp/{run}"


def sweep(store: Store, now: datetime) -> None:
    """Take away what killed runs left, once it is a day old; a run that is alive is younger."""
    for entry in list(store.entries("tmp/")):
        if now - entry.created_at > _A_DAY:
            store.delete(entry.name)


def write(
    store: Store,
    run: str,
    answer: ExportAnswer,
    source: bridge_yaml.ExportSource,
    job: bridge_yaml.Export,
    progress: Callable[[str, int], None],
) -> ExportFile:
    """Keep an answer as the job's file, if it is whole.

    Raises:
        StreamCut, RowsMalformed, AnswerNotUnderstood, OutOfTime: it is not.
        StorageBusy, StorageRefused: it could not be kept.
    """
    path = path_of(run)
    incoming = _Incoming(answer, source, progress, with_mark=job.format == "csv")
    if job.format == "parquet":
        content_type = _PARQUET
        digested = _write_parquet(store, path, incoming)
    elif job.compress:
        content_type = _GZIP
        digested = _write_gzip(store, path, incoming)
    else:
        content_type = _CSV
        digested = _write_csv(store, path, incoming)
    _expect_written(store, path, digested)
    return ExportFile(
        source, path, content_type, digested.bytes, digested.sha256, digested.crc32c, incoming.checked, incoming.sample
    )


def _write_csv(store: Store, path: str, incoming: "_Incoming") -> Digested:
    with store.writing(path) as file:
        digested = Digested(file)
        with _behind(digested.write) as write_behind:
            for block in incoming.blocks():
                write_behind(block)
    return digested


def _write_gzip(store: Store, path: str, incoming: "_Incoming") -> Digested:
    # A file of its own kind: under `Content-Encoding: gzip` some readers would unpack it and others not.
    with store.writing(path, content_type=_GZIP) as file:
        digested = Digested(file)
        squeezer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _AS_GZIP)
        with _behind(lambda block: digested.write(squeezer.compress(block))) as write_behind:
            for block in incoming.blocks():
                write_behind(block)
        digested.write(squeezer.flush())
    return digested


def _write_parquet(store: Store, path: str, incoming: "_Incoming") -> Digested:
    """First as CSV, to learn what the columns hold; then from there, with types."""
    # Arrow costs a cold start that CSV does not need.
    from common.tables import parquet  # noqa: PLC0415

    types = parquet.Types([])
    csv_path = f"{path}.csv"
    with store.writing(csv_path) as file:
        as_csv = Digested(file)
        with _behind(as_csv.write) as write_behind:
            for block in incoming.blocks():
                write_behind(block)
                records = block
                if not types.names:
                    types = parquet.Types(incoming.header, incoming.delimiter, incoming.decimal_sign)
                    records = block[end_of_first_record(block) :]
                types.look_at(records)
    _expect_written(store, csv_path, as_csv)
    incoming.warn(types.warnings)
    with store.writing(path, content_type=_PARQUET) as file:
        digested = Digested(file)
        rows = parquet.write(store.reading(csv_path).blocks(), digested, types)
        if rows != incoming.checked.rows:
            raise Internal(f"Of {incoming.checked.rows} rows, {rows} became Parquet.")
    return digested


@contextlib.contextmanager
def _behind(write: Callable[[bytes], object]) -> Iterator[Callable[[bytes], None]]:
    """Writes on a thread of its own, a few blocks behind: rows are read while Cloud Storage takes those before."""
    with ThreadPoolExecutor(1, thread_name_prefix="writing") as pool:
        waiting: deque[Future[object]] = deque()

        def write_behind(block: bytes) -> None:
            if len(waiting) == _MOST_BLOCKS_BEHIND:
                waiting.popleft().result()
            waiting.append(pool.submit(write, block))

        try:
            yield write_behind
            for each in waiting:
                each.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _expect_written(store: Store, path: str, written: Digested) -> None:
    """
    Raises:
        StorageBusy: what lies in the bucket is not what was sent there.
    """
    there = store.look_at(path)
    if there is None or there.crc32c != written.crc32c:
        raise StorageBusy(f"The object {path} does not have the checksum of what was written.")


class _Incoming:
    """The answer's records as they are checked."""

    def __init__(
        self,
        answer: ExportAnswer,
        source: bridge_yaml.ExportSource,
        progress: Callable[[str, int], None],
        *,
        with_mark: bool,
    ) -> None:
        self._answer = answer
        self._progress = progress
        self.delimiter = source.delimiter
        decimals = "Dot" if isinstance(source, bridge_yaml.ViewSource) else source.decimal_separator
        self.decimal_sign = "," if decimals == "Comma" else "."
        self._checker = Checker(Contract(delimiter=source.delimiter), Origin("Pigment", source.delimiter))
        self._with_mark = (
            with_mark and not isinstance(source, bridge_yaml.ViewSource) and source.encoding == "Utf8WithBom"
        )
        self._beginning = b""
        self.checked: Checked

    def blocks(self) -> Iterator[bytes]:
        """Whole records; the first block begins with the header."""
        last = b"\n"
        for block in self._answer.blocks():
            last = block[-1:] or last
            yield from self._ready(block)
        if last != b"\n" and self._answer.proves_its_end:
            # Whole all the same; without that proof it may have been cut within its last field.
            yield from self._ready(b"\n")
        self.checked = self._checker.finish()

    @property
    def header(self) -> list[str]:
        return self._checker.header

    @property
    def sample(self) -> Sample:
        return staging.sample(self._beginning, self.delimiter)

    def warn(self, warnings: list[str]) -> None:
        self.checked = msgspec.structs.replace(self.checked, warnings=[*self.checked.warnings, *warnings])

    def _ready(self, block: bytes) -> Iterator[bytes]:
        ready = self._checker.feed(block)
        self._progress("rows read", self._checker.rows)
        if not ready:
            return
        if not self._beginning and self._with_mark:
            yield codecs.BOM_UTF8
        if len(self._beginning) < staging.SAMPLE_BYTES:
            self._beginning += ready[: staging.SAMPLE_BYTES - len(self._beginning)]
        yield ready
