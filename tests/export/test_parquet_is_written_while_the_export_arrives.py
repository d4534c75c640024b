"""Parquet is written while the rows arrive. If a column then gets another type, the file is converted from CSV."""

import functools
import io
import itertools
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.platform.errors import TypeMismatch
from common.runs.leases import LIFETIME_S
from common.tables import parquet
from common.tables.column_types import ColumnTypes
from common.tables.records import complete_records, write_records
from tests.support.kills import ProcessCall, Processes, StopPoint
from tests.support.world import STORAGE_WRITES, VIEW, World

pytestmark = pytest.mark.long

Cells = Sequence[Sequence[str]]
"By column."

EXPORT = ProcessCall.of_job("export", "revenue")
SOURCE = {"view": VIEW, "delimiter": ","}
FIRST_ROWS = 60_000
"So many that they are written before the last rows arrive."


def export_of(first: str, last: Sequence[str]) -> bytes:
    rows = [[str(number), first, "a remark of a row " * 5] for number in range(FIRST_ROWS)]
    return write_records([["Id", "Late", "Remark"], *rows, *([str(FIRST_ROWS), cell, ""] for cell in last)])


@pytest.fixture
def revenue(world: World) -> World:
    world.add_export("revenue", format="parquet", path="revenue.parquet", source=SOURCE)
    world.storage_server.keep_bytes = 1
    return world


def published(world: World) -> pa.Table:
    return pq.read_table(io.BytesIO(world.bucket.read("exports/revenue.parquet")))


def was_converted(world: World) -> bool:
    """Whether the CSV beside it became an object, to be read."""
    used = {each.method for each in world.storage_server.exchanges if each.path.endswith(".csv")}
    assert used in (set(), {"GET", "DELETE"})
    return bool(used)


@pytest.mark.parametrize(
    ("first", "last", "type_", "warning"),
    [
        ("", ["7"], "double", ""),
        ("", ["2024-11-21"], "date32[day]", ""),
        ("7", ["n/a"], "string", f"row {FIRST_ROWS + 1} has a text of 3 characters"),
    ],
)
def test_a_column_that_changes_its_type_late_gives_one_correct_file(
    revenue: World, first: str, last: list[str], type_: str, warning: str
) -> None:
    revenue.answer_exports(export_of(first, last))

    answer = revenue.run_export("revenue")

    assert answer.status == 200, answer.body
    assert was_converted(revenue)
    late = published(revenue).column("Late")
    assert str(late.type) == type_
    assert late[:FIRST_ROWS].to_pylist() == [first or None] * FIRST_ROWS
    assert [str(value) for value in late[FIRST_ROWS:].cast(pa.string())] == last
    warnings = [each for each in answer.receipt["warnings"] if each.startswith("Column")]
    assert [each.partition("text: ")[2] for each in warnings] == ([f"{warning}."] if warning else [])
    assert revenue.objects("tmp/") == []


@pytest.mark.parametrize("last", [["7"], [""], ["text"]])
def test_a_column_that_keeps_its_type_is_written_once(revenue: World, last: list[str]) -> None:
    revenue.answer_exports(export_of("text" if last == ["text"] else last[0], last))

    assert revenue.run_export("revenue").status == 200
    assert not was_converted(revenue)
    assert len(published(revenue)) == FIRST_ROWS + 1


def test_the_types_of_the_run_before_decide_an_empty_column(revenue: World) -> None:
    for content in (b"Id,Late,Remark\n1,7,\n", export_of("", ["7"])):
        revenue.answer_exports(content)
        assert revenue.run_export("revenue").status == 200
        revenue.clock.advance(3600)

    assert not was_converted(revenue)
    assert published(revenue).column("Late")[-1].as_py() == 7


def test_a_late_value_that_has_not_the_pinned_type_publishes_nothing(world: World) -> None:
    world.add_export("revenue", format="parquet", path="r.parquet", source=SOURCE, columns={"Late": "number"})
    world.answer_exports(export_of("", ["n/a"]))

    answer = world.run_export("revenue")

    assert answer.code == "type_mismatch"
    assert f"row {FIRST_ROWS + 1} " in answer.error["message"]
    assert world.objects("exports/") == world.objects("tmp/") == []


@pytest.mark.parametrize("how", ["cut_after_bytes", "reset_after_bytes"])
@pytest.mark.parametrize("last", [["7"], ["n/a"]], ids=["of one type", "of another type"])
def test_a_stream_cut_after_rows_were_written_publishes_nothing(revenue: World, how: str, last: list[str]) -> None:
    content = export_of("7", last)
    revenue.answer_exports([content], **{how: len(content) - 1})

    assert revenue.run_export("revenue").code in ("stream_cut", "pigment_busy")
    assert revenue.objects("exports/") == revenue.objects("tmp/") == []


@pytest.mark.parametrize("last", ["7", "n/a"], ids=["of one type", "of another type"])
def test_a_killed_export_publishes_nothing_and_the_next_run_all_of_it(
    world: World, processes: Processes, last: str
) -> None:
    world.add_export("revenue", format="parquet", path="revenue.parquet", source=SOURCE)
    world.answer_exports(export_of("7", [last]))
    for step in itertools.count():
        is_killed = processes.dies(world, EXPORT, StopPoint(world.storage_server, STORAGE_WRITES, step, "after"))
        world.clock.advance(LIFETIME_S + 1)
        if not is_killed:
            break
        there = world.bucket.find("exports/revenue.parquet")
        if there is not None:
            assert len(published(world)) == FIRST_ROWS + 1
            break
    assert world.run_export("revenue").status == 200
    assert len(published(world)) == FIRST_ROWS + 1
    assert step >= 5


CELLS = st.one_of(
    st.sampled_from(["", "1", "1.50", "4.1", "007", "NaN", "12E4", "TRUE", "2024-11-21", "2024-11-21 10:00", "a\nb"]),
    st.integers().map(str),
    st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=5),
)


@st.composite
def tables(draw: st.DrawFn) -> Cells:
    pools = draw(st.lists(st.lists(CELLS, min_size=1, max_size=3), min_size=1, max_size=4))
    rows = draw(st.integers(1, 12))
    return [draw(st.lists(st.sampled_from(pool), min_size=rows, max_size=rows)) for pool in pools]


def columns_of(cells: Cells) -> list[str]:
    return [f"c{place}" for place in range(len(cells))]


def by_csv(cells: Cells, **how: Any) -> tuple[pa.Table, ColumnTypes]:
    """Find all types first, and then write the file."""
    header, rows = columns_of(cells), list(zip(*cells, strict=True))
    out, types = io.BytesIO(), ColumnTypes(header, **how)
    types.feed(write_records(rows))
    types.finish()
    parquet.write([write_records([header, *rows])], out, types)
    return pq.read_table(out), types


def while_arriving(
    cells: Cells, piece_bytes: int, group_bytes: int | None, **how: Any
) -> tuple[pa.Table | None, ColumnTypes]:
    """Write the file while the types are found; there is none if the first ones did not last."""
    header = columns_of(cells)
    content = write_records([header, *zip(*cells, strict=True)])
    out, types = io.BytesIO(), ColumnTypes(header, **how)
    pieces = complete_records([content], piece_bytes)
    try:
        parquet.write_while_found(pieces, out, types, group_bytes)
    except parquet.TypesChanged:
        assert not out.getvalue().endswith(b"PAR1") or out.getvalue() == b"PAR1"
        for piece in pieces:
            types.feed(piece)
        return None, types
    return pq.read_table(out), types


@settings(deadline=None, max_examples=200)
@given(tables(), st.integers(1, 60), st.sampled_from([None, 1, 30]), st.sampled_from([{}, {"c0": ["number"]}]))
@example([["", "1"]], 1, 1, {})
@example([["1", "x"]], 1, 1, {})
@example([["", "x"]], 1, 1, {})
def test_both_ways_give_the_same_file_and_types(
    cells: Cells, piece_bytes: int, group_bytes: int | None, earlier: dict[str, list[str]]
) -> None:
    expected, expected_types = by_csv(cells, earlier=earlier)
    found, types = while_arriving(cells, piece_bytes, group_bytes, earlier=earlier)

    assert types.schema() == expected_types.schema()
    assert types.kept() == expected_types.kept()
    if found is not None:
        assert found.equals(expected)
    if group_bytes is None:
        # The rows that are looked at together decide which of them a warning names.
        assert found is not None
        assert types.warnings() == expected_types.warnings()


@settings(deadline=None, max_examples=50)
@given(st.lists(CELLS, min_size=1, max_size=12), st.integers(1, 60), st.sampled_from(["number", "date", "decimal"]))
def test_both_ways_refuse_the_same_value_of_a_pinned_column(cells: list[str], piece_bytes: int, pin: str) -> None:
    said = []
    for write in (by_csv, functools.partial(while_arriving, piece_bytes=piece_bytes, group_bytes=1)):
        try:
            file, _ = write([cells, cells], pins={"c0": pin})
        except TypeMismatch as error:
            said.append(str(error))
        else:
            said.append(str(file and file.column("c0").to_pylist()))
    assert said[0] == said[1] or said[1] == "None"
