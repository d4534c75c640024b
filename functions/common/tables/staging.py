"""Staged files: complete, checked CSV files in the bucket, with exactly the bytes that are sent to Pigment."""

import csv
import hashlib
import io
import itertools
from collections.abc import Callable, Iterable, Iterator

import msgspec

from common.platform.errors import StorageRefused
from common.storage.background import written_behind
from common.storage.bucket import Bucket, ObjectStream
from common.tables.check import Checked, Checker, Contract
from common.tables.digest import DigestingWriter

_SAMPLE_ROWS = 5
_SAMPLE_BYTES = 64 * 1024

ProgressCallback = Callable[[str, int], None]
"Called with what is counted and the count so far."


class Sample(msgspec.Struct, frozen=True):
    """The first rows of a file. It is part of a preview's answer, and is never stored or logged."""

    header: list[str]
    first_rows: list[list[str]]


class CheckedFile(msgspec.Struct, frozen=True):
    """A complete file in the bucket, and what its check found."""

    path: str
    sha256: str
    "Of the object as it is stored; for a compressed file, of the compressed bytes."
    bytes: int
    checked: Checked
    sample: Sample


class Staged(CheckedFile, frozen=True):
    """A CSV on its way into Pigment."""


class FileBeginning:
    """Keeps the first bytes of a file for its sample."""

    def __init__(self) -> None:
        self._content = b""

    def add(self, content: bytes) -> None:
        if len(self._content) < _SAMPLE_BYTES:
            self._content += content[: _SAMPLE_BYTES - len(self._content)]

    def sample(self, delimiter: str) -> Sample:
        """Return the header and the first rows."""
        text = io.StringIO(self._content.decode("utf-8", "ignore"), newline="")
        records = list(itertools.islice(csv.reader(text, delimiter=delimiter), _SAMPLE_ROWS + 2))
        if len(self._content) >= _SAMPLE_BYTES and len(records) < _SAMPLE_ROWS + 2:
            # The last record may be cut off.
            del records[-1:]
        return Sample(records[0] if records else [], records[1 : _SAMPLE_ROWS + 1])


class StagingWriter(DigestingWriter):
    """Writes a staged file, and keeps its beginning for the sample."""

    def __init__(self, file: ObjectStream) -> None:
        super().__init__(file)
        self._beginning = FileBeginning()

    def write(self, content: bytes) -> int:
        self._beginning.add(content)
        return super().write(content)

    def staged(self, path: str, checked: Checked, delimiter: str) -> Staged:
        return Staged(path, self.sha256, self.bytes, checked, self._beginning.sample(delimiter))


def stage(bucket: Bucket, path: str, blocks: Iterable[bytes], contract: Contract, progress: ProgressCallback) -> Staged:
    """Check a CSV while it arrives and write it to the bucket; after an error there is no object.

    Raises:
        QueryFailed, RowsMalformed, StreamCut, ColumnsChanged: the file must not be sent on.
        StorageRefused, StorageBusy: it was not written.
    """
    checker = Checker(contract)
    with bucket.writing(path) as file:
        staging = StagingWriter(file)
        with written_behind(staging.write) as write:
            for block in blocks:
                write(checker.feed(block))
                progress("rows read", checker.rows)
        checked = checker.finish()
    return staging.staged(path, checked, contract.delimiter)


def nothing(path: str) -> Staged:
    """Return what stands for a file with neither rows nor a header. It is not written, because it is never sent."""
    return Staged(path, hashlib.sha256().hexdigest(), 0, Checked([], 0, []), Sample([], []))


def read_back(bucket: Bucket, staged_path: str, sha256: str, progress: ProgressCallback) -> Iterator[bytes]:
    """Yield the blocks of a staged file. Raises StorageRefused before the last one if the file has changed."""
    digest, sent_bytes, blocks = hashlib.sha256(), 0, bucket.reading(staged_path).blocks()
    block = next(blocks, b"")
    while block:
        following = next(blocks, b"")
        digest.update(block)
        if not following and digest.hexdigest() != sha256:
            raise StorageRefused(f"The staged file {staged_path} has changed since it was written.")
        yield block
        sent_bytes += len(block)
        progress("bytes sent", sent_bytes)
        block = following
