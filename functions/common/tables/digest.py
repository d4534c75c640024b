"""Write a file and compute its digests at the same time."""

import base64
import hashlib
from typing import Protocol

import google_crc32c


class Sink(Protocol):
    def write(self, content: bytes) -> object: ...


class DigestingWriter:
    """Passes bytes on, and counts and digests them."""

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
        """In the form that Cloud Storage uses: base64 of the big-endian bytes."""
        return base64.b64encode(self._crc32c.digest()).decode()
