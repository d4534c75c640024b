"""Write a file and compute its digest at the same time."""

import hashlib
from collections.abc import Callable
from typing import Protocol


class Sink(Protocol):
    def write(self, content: bytes) -> object: ...


class DigestingWriter:
    """Passes bytes on, and counts and digests them."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._sha256 = hashlib.sha256()
        self.bytes = 0

    def write(self, content: bytes) -> int:
        self._write(content)
        self._sha256.update(content)
        self.bytes += len(content)
        return len(content)

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()
