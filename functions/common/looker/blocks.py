"""Joining small pieces of a file, because checking and storing cost time for each piece."""

from collections.abc import Iterable, Iterator

from common.platform.http import BLOCK_BYTES


def in_blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces joined into blocks of about a megabyte."""
    buffered: list[bytes] = []
    size = 0
    for piece in pieces:
        buffered.append(piece)
        size += len(piece)
        if size >= BLOCK_BYTES:
            yield b"".join(buffered)
            buffered, size = [], 0
    yield b"".join(buffered)
