"""A row group of Parquet is written in a thread. A failure ends the file with its own error, and leaves no memory."""

import gc
import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest

from common.tables import parquet
from common.tables.column_types import ColumnTypes
from tests.support.brittle import Brittle, FullDisk

ROWS = 2_000


def pieces(last: str) -> Iterator[bytes]:
    yield b"Id,Amount\n"
    for _ in range(10):
        yield b"".join(b"%d,%d\n" % (number, number * 7) for number in range(ROWS))
    yield f"1,{last}\n".encode()


def write_to(file: Brittle, last: str = "1") -> None:
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

    for writes in (3, 6, 21):
        with pytest.raises(FullDisk) as caught:
            write_to(Brittle(writes))
        del caught

    assert pa.total_allocated_bytes() == before
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("row groups")]


def writes_before_a_text() -> int:
    out = Brittle(-1)
    with pytest.raises(parquet.TypesChanged):
        write_to(out, last="a text")
    return -1 - out.writes_left


def test_a_later_change_of_type_does_not_hide_it() -> None:
    writes_until_then = writes_before_a_text()
    assert writes_until_then > 10

    for writes in range(1, writes_until_then + 1):
        out = Brittle(writes)
        with pytest.raises(FullDisk):
            write_to(out, last="a text")
        assert out.writes_left == 0
