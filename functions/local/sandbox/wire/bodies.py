"""The bodies of requests, which are read as far as a site asks for them."""

import abc
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO

BLOCK_BYTES = 256 * 1024


class Body(abc.ABC):
    """The body of a request, read from its connection as far as a site asks for it."""

    def __init__(self, keep_bytes: int) -> None:
        self._keep_bytes = keep_bytes
        self.before_block: Callable[[], None] = lambda: None
        self.kept = b""
        self.received_bytes = 0

    def read(self, size: int = -1) -> bytes:
        """Read like a file: at most `size` bytes, the whole rest without a size, and nothing at the end.

        Raises ConnectionError if the client disconnected before the end of its request.
        """
        parts: list[bytes] = []
        wanted = size
        while wanted != 0:
            self.before_block()
            block = self._next(BLOCK_BYTES if wanted < 0 else min(wanted, BLOCK_BYTES))
            if not block:
                break
            wanted -= len(block) if wanted > 0 else 0
            self.received_bytes += len(block)
            self.kept += block[: max(self._keep_bytes - len(self.kept), 0)]
            parts.append(block)
        return b"".join(parts)

    def blocks(self) -> Iterator[bytes]:
        while block := self.read(BLOCK_BYTES):
            yield block

    @abc.abstractmethod
    def _next(self, limit: int) -> bytes:
        """Return at most `limit` further bytes, or none at the end."""


class StreamBody(Body):
    """A body in HTTP/1.1: its length is announced, or it comes in chunks (RFC 9112, 7.1)."""

    def __init__(self, stream: BinaryIO, headers: Mapping[str, str], keep_bytes: int = 0) -> None:
        super().__init__(keep_bytes)
        self._stream = stream
        self._chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
        self._left = 0 if self._chunked else int(headers.get("Content-Length") or 0)
        self._over = not self._chunked and self._left == 0

    def _next(self, limit: int) -> bytes:
        if self._over or (self._left == 0 and not self._begin_chunk()):
            return b""
        block = self._stream.read(min(self._left, limit))
        if not block:
            raise ConnectionError("The client disconnected in the middle of its request.")
        self._left -= len(block)
        if self._left == 0:
            self._end_chunk()
        return block

    def _begin_chunk(self) -> bool:
        line = self._stream.readline(1024)
        try:
            self._left = int(line.split(b";")[0], 16)
        except ValueError:
            raise ConnectionError("A chunk has no size.") from None
        if self._left == 0:
            while self._stream.readline(8192) not in (b"\r\n", b"\n", b""):
                pass
            self._over = True
        return not self._over

    def _end_chunk(self) -> None:
        if self._chunked:
            self._stream.readline(8)
        else:
            self._over = True
