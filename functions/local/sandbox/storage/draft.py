"""Incoming content: a file with running checksums, which becomes a blob when it is complete."""

import base64
import contextlib
import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import google_crc32c

BLOCK_BYTES = 1024 * 1024


class Draft:
    """A file of incoming content."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._crc32c = google_crc32c.Checksum()
        self._md5 = hashlib.md5(usedforsecurity=False)

    @classmethod
    def found(cls, path: Path) -> Self:
        """Open a draft that an earlier process may have begun."""
        draft = cls(path)
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                draft._count(block)
        return draft

    def append(self, blocks: Iterable[bytes]) -> None:
        """Append content; the blocks before a failure are kept."""
        # MD5 is no faster than a disk, so both run in parallel. The first block does not use the thread, which would
        # cost more than a small object.
        with self.path.open("ab") as file, ThreadPoolExecutor(1) as beside:
            for block in blocks:
                counted = beside.submit(self._count, block) if self.size else None
                file.write(block)
                if counted:
                    counted.result()
                else:
                    self._count(block)

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)

    @property
    def content(self) -> dict[str, Any]:
        """The content's fields in the API."""
        return {"size": str(self.size), "crc32c": _text(self._crc32c.digest()), "md5Hash": _text(self._md5.digest())}

    def _count(self, block: bytes) -> None:
        self._crc32c.update(block)
        self._md5.update(block)
        self.size += len(block)


def _text(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
