"""Files that are read in blocks of any size, which a bucket does not offer."""

import contextlib
import io
from collections.abc import Iterator
from typing import Any


class InPieces:
    """It stands for a bucket where only the cuts between blocks matter."""

    def __init__(self, block_bytes: int, **files: bytes) -> None:
        self._block_bytes = block_bytes
        self.files = files

    def reading(self, path: str) -> Any:
        content = io.BytesIO(self.files[path])
        return Blocks(iter(lambda: content.read(self._block_bytes), b""))

    @contextlib.contextmanager
    def writing(self, path: str) -> Iterator[io.BytesIO]:
        out = io.BytesIO()
        yield out
        self.files[path] = out.getvalue()


class Blocks:
    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks

    def blocks(self) -> Iterator[bytes]:
        return self._blocks
