"""A stream is split into complete records, wherever its blocks are cut and whatever its fields contain."""

import csv
import io
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from common.tables.records import (
    RecordSplitter,
    begin_of_last_record,
    complete_records,
    end_of_first_record,
    split,
    write_records,
)

FIELDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
AWKWARD = st.text('",\n;x', max_size=6)
TABLES = st.lists(st.lists(FIELDS | AWKWARD, min_size=2, max_size=2), min_size=1, max_size=20)


def cut(content: bytes, size: int) -> Iterator[bytes]:
    for begin in range(0, len(content), size):
        yield content[begin : begin + size]


def read(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


@given(table=TABLES, size=st.integers(1, 50))
def test_each_piece_is_complete_and_nothing_is_lost(table: list[list[str]], size: int) -> None:
    content = write_records(table)
    splitter = RecordSplitter()

    pieces = [splitter.feed(block) for block in cut(content, size)]

    assert b"".join(pieces) == content
    assert splitter.rest == b""
    assert [record for piece in pieces for record in read(piece)] == table


@given(table=TABLES, size=st.integers(1, 50), missing=st.integers(1, 30))
def test_an_incomplete_last_record_remains(table: list[list[str]], size: int, missing: int) -> None:
    content = write_records(table)[:-missing]
    splitter = RecordSplitter()

    pieces = b"".join(splitter.feed(block) for block in cut(content, size))

    assert pieces + splitter.rest == content
    assert read(pieces) == table[: len(read(pieces))]


@given(table=TABLES, sizes=st.tuples(st.integers(1, 50), st.integers(1, 50)), piece_bytes=st.integers(1, 64))
def test_the_pieces_of_a_file_do_not_depend_on_its_blocks(
    table: list[list[str]], sizes: tuple[int, int], piece_bytes: int
) -> None:
    content = write_records(table)

    pieces, same = (list(complete_records(cut(content, size), piece_bytes)) for size in sizes)

    assert pieces == same
    assert [record for piece in pieces for record in read(piece)] == table


@given(table=TABLES)
def test_records_are_found_one_by_one(table: list[list[str]]) -> None:
    content = write_records(table)

    records = split(content)

    assert [read(record + b"\n") for record in records] == [[row] for row in table]
    assert content[: end_of_first_record(content)] == records[0] + b"\n"
    assert content[begin_of_last_record(content) :] == records[-1] + b"\n"
