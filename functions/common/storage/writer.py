"""A stream into a new object."""

import contextlib
from collections.abc import Iterator
from typing import Any

from common.storage.refusals import storage_errors


@contextlib.contextmanager
def writing_to(blob: Any, chunk_bytes: int, **options: Any) -> Iterator["ObjectWriter"]:
    """Open a stream into a blob, which is created at the end, unless there was an exception or `discard`.

    Args:
        chunk_bytes: how much of it is sent at once.
        options: further ones of Google's client.
    """
    with storage_errors(f"write {blob.name}"):
        writer = blob.open("wb", if_generation_match=0, chunk_size=chunk_bytes, ignore_flush=True, **options)
    writer._buffer = _OneChunk()  # noqa: SLF001  # no public option changes it
    chunks = _WholeChunks(writer, chunk_bytes)
    stream = ObjectWriter(chunks, blob.name)
    try:
        yield stream
        if stream.is_discarded:
            _abandon(writer)
            return
        with storage_errors(f"write {blob.name}"):
            chunks.close()
    except BaseException:
        _abandon(writer)
        raise


class ObjectWriter:
    """A blob's writer that raises the bridge's errors."""

    is_discarded = False
    "Whether it creates no object."

    def __init__(self, stream: Any, path: str) -> None:
        self._stream, self._path = stream, path

    def write(self, content: bytes) -> int:
        with storage_errors(f"write {self._path}"):
            return int(self._stream.write(content))

    def discard(self) -> None:
        """Create no object of what was written."""
        self.is_discarded = True


class _OneChunk:
    """The buffer of Google's writer, with one chunk at a time. Its own one copies each chunk several times, which takes
    longer than to send it.
    """

    def __init__(self) -> None:
        self.closed = False
        self._chunk = b""
        self._position = 0

    def write(self, chunk: bytes) -> int:
        self._chunk = chunk
        return len(chunk)

    def read(self, _size: int) -> bytes:
        chunk, self._chunk = self._chunk, b""
        self._position += len(chunk)
        return chunk

    def tell(self) -> int:
        return self._position

    def __len__(self) -> int:
        return len(self._chunk)

    def flush(self) -> None:
        """What was read is no longer kept."""

    def close(self) -> None:
        self.closed, self._chunk = True, b""


class _WholeChunks:
    """Gives Google's writer one whole chunk at a time."""

    def __init__(self, writer: Any, chunk_bytes: int) -> None:
        self._writer = writer
        self._chunk_bytes = self._missing_bytes = chunk_bytes
        self._parts: list[bytes | memoryview] = []

    def write(self, content: bytes) -> int:
        rest = memoryview(content)
        while len(rest) >= self._missing_bytes:
            self._parts.append(rest[: self._missing_bytes])
            rest = rest[self._missing_bytes :]
            self._send()
        if rest:
            self._parts.append(rest)
            self._missing_bytes -= len(rest)
        return len(content)

    def close(self) -> None:
        self._send()
        self._writer.close()

    def _send(self) -> None:
        chunk, self._parts, self._missing_bytes = b"".join(self._parts), [], self._chunk_bytes
        self._writer.write(chunk)


def _abandon(writer: Any) -> None:
    """Never finalise an upload; its session expires within a week.

    Python closes a writer that is left open when it deletes it. Google's writer then uploads the rest, and creates an
    object that may be incomplete.
    """
    with contextlib.suppress(Exception):
        writer.terminate()
    writer._buffer.close()  # noqa: SLF001  # `terminate` leaves it open if Cloud Storage does not answer
