"""Staged files: complete, checked CSV files in the bucket, with exactly the bytes that are sent to Pigment.

A short file is written in one request, and sent from memory: Cloud Storage compared its checksum when it was written.
"""

import contextlib
import csv
import hashlib
import io
import itertools
from collections.abc import Callable, Iterable, Iterator

import msgspec

from common.platform.errors import StorageRefused
from common.storage.background import written_behind
from common.storage.bucket import Bucket
from common.storage.writer import ObjectWriter
from common.tables.check import Checked, Checker, Contract
from common.tables.digest import DigestingWriter

_SAMPLE_ROWS = 5
_SAMPLE_BYTES = 64 * 1024
"A file of at most so many bytes is short."

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

    content: bytes | None = None
    "All of a short file that this run has written."


class FileBeginning:
    """Keeps the first bytes of a file for its sample."""

    def __init__(self) -> None:
        self._content = b""

    def add(self, content: bytes) -> None:
        if len(self._content) < _SAMPLE_BYTES:
            self._content += content[: _SAMPLE_BYTES - len(self._content)]

    @property
    def content(self) -> bytes:
        return self._content

    def sample(self, delimiter: str) -> Sample:
        """Return the header and the first rows."""
        text = io.StringIO(self._content.decode("utf-8", "ignore"), newline="")
        records = list(itertools.islice(csv.reader(text, delimiter=delimiter), _SAMPLE_ROWS + 2))
        if len(self._content) >= _SAMPLE_BYTES and len(records) < _SAMPLE_ROWS + 2:
            # The last record may be cut off.
            del records[-1:]
        return Sample(records[0] if records else [], records[1 : _SAMPLE_ROWS + 1])


class StagingWriter(DigestingWriter):
    """Writes a staged file, and keeps its beginning: for the sample, and because it may be all of it."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        super().__init__(write)
        self._beginning = FileBeginning()

    def write(self, content: bytes) -> int:
        self._beginning.add(content)
        return super().write(content)

    def staged(self, path: str, checked: Checked, delimiter: str) -> Staged:
        content = self._beginning.content if self.bytes <= _SAMPLE_BYTES else None
        return Staged(path, self.sha256, self.bytes, checked, self._beginning.sample(delimiter), content)


class _NewObject:
    """Writes a new object: in one request if it is short, else as a stream that is opened once that is known."""

    def __init__(self, bucket: Bucket, path: str, streams: contextlib.ExitStack) -> None:
        self._bucket, self._path, self._streams = bucket, path, streams
        self._held = b""
        self._stream: ObjectWriter | None = None

    def write(self, content: bytes) -> int:
        if self._stream is None and len(self._held) + len(content) <= _SAMPLE_BYTES:
            self._held += content
            return len(content)
        if self._stream is None:
            self._stream = self._streams.enter_context(self._bucket.writing(self._path))
            self._stream.write(self._held)
        return self._stream.write(content)

    def finish(self) -> None:
        if self._stream is None:
            self._bucket.create(self._path, self._held, {}, content_type="text/csv")


def stage(bucket: Bucket, path: str, blocks: Iterable[bytes], contract: Contract, progress: ProgressCallback) -> Staged:
    """Check a CSV while it arrives and write it to the bucket; after an error there is no object.

    Raises:
        QueryFailed, RowsMalformed, StreamCut, ColumnsChanged: the file must not be sent on.
        StorageRefused, StorageBusy: it was not written.
    """
    checker = Checker(contract)
    with contextlib.ExitStack() as streams:
        file = _NewObject(bucket, path, streams)
        with written_behind(file.write) as write:
            # Digested here: to upload takes longer than to check, and would wait for it.
            staging = StagingWriter(write)
            for block in blocks:
                staging.write(checker.feed(block))
                progress("rows read", checker.rows)
        checked = checker.finish()
        file.finish()
    return staging.staged(path, checked, contract.delimiter)


def nothing(path: str) -> Staged:
    """Return what stands for a file with neither rows nor a header. It is not written, because it is never sent."""
    return Staged(path, hashlib.sha256().hexdigest(), 0, Checked([], 0, []), Sample([], []))


def read_back(bucket: Bucket, staged: Staged, progress: ProgressCallback) -> Iterator[bytes]:
    """Yield the blocks of a staged file. Raises StorageRefused before the last one if the file has changed."""
    if staged.content is not None:
        yield staged.content
        progress("bytes sent", staged.bytes)
        return
    digest, sent_bytes, blocks = hashlib.sha256(), 0, bucket.blocks(staged.path)
    while sent_bytes < staged.bytes:
        block = next(blocks, b"")
        digest.update(block)
        sent_bytes += len(block)
        is_last = not block or sent_bytes >= staged.bytes
        if is_last and digest.hexdigest() != staged.sha256:
            raise StorageRefused(f"The staged file {staged.path} has changed since it was written.")
        yield block
        progress("bytes sent", sent_bytes)
