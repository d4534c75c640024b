"""From a stream of rows to a staged file: complete, checked, and the same bytes that Pigment will get."""

import csv
import hashlib
import io
import itertools
from collections.abc import Callable, Iterable, Iterator

import msgspec

from common.platform.errors import StorageRefused
from common.runs.receipts import Sample
from common.storage.store import CHUNK_BYTES, ObjectStream, Store
from common.tables.csv import Checked, Checker, Contract

_SAMPLE_ROWS = 5
SAMPLE_BYTES = 64 * 1024


class Staged(msgspec.Struct, frozen=True):
    """A complete, checked CSV in the bucket."""

    path: str
    sha256: str
    bytes: int
    checked: Checked
    sample: Sample


class Staging:
    """Passes a file on to the bucket, and keeps what there is to know of it."""

    def __init__(self, file: ObjectStream) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._beginning = b""
        self.bytes = 0

    def write(self, ready: bytes) -> None:
        self._digest.update(ready)
        self.bytes += len(ready)
        if len(self._beginning) < SAMPLE_BYTES:
            self._beginning += ready[: SAMPLE_BYTES - len(self._beginning)]
        self._file.write(ready)

    def staged(self, path: str, checked: Checked, delimiter: str) -> Staged:
        return Staged(path, self._digest.hexdigest(), self.bytes, checked, sample(self._beginning, delimiter))


def path_of(job: str, run: str) -> str:
    return f"staged/{job}/{run}.csv"


def stage(
    store: Store, path: str, blocks: Iterable[bytes], contract: Contract, progress: Callable[[str, int], None]
) -> Staged:
    """Check a CSV while it arrives and keep it; an error leaves no object behind.

    Raises:
        QueryFailed, RowsMalformed, StreamCut, ColumnsChanged: it is not what may be sent on.
        StorageRefused, StorageBusy: it could not be kept.
    """
    checker = Checker(contract)
    with store.writing(path) as file:
        staging = Staging(file)
        for block in blocks:
            staging.write(checker.feed(block))
            progress("rows read", checker.rows)
        checked = checker.finish()
    return staging.staged(path, checked, contract.delimiter)


def read_back(store: Store, staged_path: str, sha256: str, progress: Callable[[str, int], None]) -> Iterator[bytes]:
    """The staged file's blocks; the last one is given out only if the whole is what was staged.

    Raises:
        StorageRefused: it is not.
    """
    digest = hashlib.sha256()
    file = store.reading(staged_path)
    handed_over = 0
    block = file.read(CHUNK_BYTES)
    while block:
        following = file.read(CHUNK_BYTES)
        digest.update(block)
        if not following and digest.hexdigest() != sha256:
            raise StorageRefused(f"The staged file {staged_path} is no longer what was staged.")
        yield block
        handed_over += len(block)
        progress("bytes sent", handed_over)
        block = following


def sample(beginning: bytes, delimiter: str) -> Sample:
    # What was cut off at the end of the sample is dropped with the last record.
    reader = csv.reader(io.StringIO(beginning.decode("utf-8", "ignore"), newline=""), delimiter=delimiter)
    records = list(itertools.islice(reader, _SAMPLE_ROWS + 2))
    if len(beginning) >= SAMPLE_BYTES and len(records) < _SAMPLE_ROWS + 2:
        records = records[:-1]
    return Sample(records[0] if records else [], records[1 : _SAMPLE_ROWS + 1])
