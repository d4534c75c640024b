"""A row group of Parquet is written in a thread. A failure ends the file with its own error, and leaves no memory."""

import gc
import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest

from common.tables import parquet
from common.tables.column_types import ColumnTypes

ROWS = 2_000


class WriteFailed(Exception):
    """What the file raises."""


class Failing:
    """A file whose writes fail from one of them on."""

    def __init__(self, fails_at: int) -> None:
        self.left = fails_at

    def write(self, content: bytes) -> int:
        self.left -= 1
        if self.left < 0:
            raise WriteFailed
        return len(content)


def pieces(last: str) -> Iterator[bytes]:
    yield b"Id,Amount\n"
    for _ in range(10):
        yield b"".join(b"%d,%d\n" % (number, number * 7) for number in range(ROWS))
    yield f"1,{last}\n".encode()


def write_to(file: Failing, last: str = "1") -> None:
    parquet.write_while_found(pieces(last), file, ColumnTypes(["Id", "Amount"]), 1)


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Arrow's memory is nothing that Python's garbage collector counts, so it comes late."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection")
def test_nothing_of_it_stays_in_memory() -> None:
    before = pa.total_allocated_bytes()

    for fails_at in (2, 5, 20):
        with pytest.raises(WriteFailed) as caught:
            write_to(Failing(fails_at))
        del caught

    assert pa.total_allocated_bytes() == before
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("row groups")]


def writes_before_a_text() -> int:
    file = Failing(1_000)
    with pytest.raises(parquet.TypesChanged):
        write_to(file, last="a text")
    return 1_000 - file.left


def test_a_later_change_of_type_does_not_hide_it() -> None:
    writes = writes_before_a_text()
    assert writes > 10

    for fails_at in range(writes):
        with pytest.raises(WriteFailed):
            write_to(Failing(fails_at), last="a text")
