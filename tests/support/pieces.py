"""Files that are read in blocks of any size, which a bucket does not offer."""

import contextlib
import io
from collections.abc import Iterator


class InPieces:
    """It stands for a bucket where only the cuts between blocks matter."""

    def __init__(self, block_bytes: int, **files: bytes) -> None:
        self._block_bytes = block_bytes
        self.files = files

    def blocks(self, path: str) -> Iterator[bytes]:
        content = io.BytesIO(self.files[path])
        return iter(lambda: content.read(self._block_bytes), b"")

    @contextlib.contextmanager
    def writing(self, path: str) -> Iterator[io.BytesIO]:
        out = io.BytesIO()
        yield out
        self.files[path] = out.getvalue()
