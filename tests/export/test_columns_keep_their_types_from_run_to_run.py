"""The Parquet files of several days are one dataset: a column keeps its type, or becomes text with a warning."""

import csv
import io
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.tables import parquet
from common.tables.column_types import ColumnTypes, KeptTypes

Table = Mapping[str, Sequence[str]]


def exported(table: Table, path: Path, earlier: KeptTypes) -> ColumnTypes:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(
        [list(table), *zip(*table.values(), strict=True)]
    )
    content = out.getvalue().encode()
    types = ColumnTypes(list(table), earlier=earlier)
    types.feed(content.partition(b"\n")[2])
    with path.open("wb") as file:
        parquet.write([content], file, types)
    return types


def two_days(folder: Path, first: Table, second: Table) -> tuple[ColumnTypes, ColumnTypes]:
    before = exported(first, folder / "1.parquet", {})
    return before, exported(second, folder / "2.parquet", before.kept())


@pytest.mark.parametrize(
    ("first", "second", "type_", "reason"),
    [
        (["1", "2"], ["1.5", "3"], "double", ""),
        (["1", "2"], ["", ""], "double", ""),
        (["2024-11-21"], [""], "date32[day]", ""),
        (["ab", "7"], ["7", "8"], "string", ""),
        (["1.55", "2.25"], ["1.50", "3.00"], "double", ""),
        (["4.1"], ["4.10"], "string", "row 1 has other decimals or zeros than a number of this column"),
        (["1"], ["2", "Ann"], "string", "row 2 has a text of 3 characters"),
        (["2024-11-21"], ["7"], "string", "row 1 is no day of the format Iso8601"),
        (["1"], ["2024-11-21"], "string", "row 1 has a text of 10 characters"),
    ],
)
def test_a_column_keeps_its_type_or_becomes_text_with_a_warning(
    tmp_path: Path, first: list[str], second: list[str], type_: str, reason: str
) -> None:
    _, types = two_days(tmp_path, {"Cost": first}, {"Cost": second})
    assert str(types.schema().field(0).type) == type_
    (warning,) = types.warnings() or [""]
    assert warning.partition("text: ")[2] == (f"{reason}." if reason else "")


def test_text_never_becomes_another_type_again(tmp_path: Path) -> None:
    _, types = two_days(tmp_path, {"Code": ["1"]}, {"Code": ["x"]})
    third = exported({"Code": ["1"]}, tmp_path / "3.parquet", types.kept())
    assert third.schema().field(0).type == pa.string()
    assert third.warnings() == []


def test_a_column_that_is_empty_at_first_stays_text_and_says_so(tmp_path: Path) -> None:
    before, types = two_days(tmp_path, {"Cost": [""]}, {"Cost": ["1"]})
    assert before.warnings() == ["Column Cost has no value yet: it is text in this file and in later ones."]
    assert (types.schema().field(0).type, types.warnings()) == (pa.string(), [])


def test_a_column_that_was_away_returns_with_its_type(tmp_path: Path) -> None:
    _, types = two_days(tmp_path, {"a": ["1"], "b": ["x"]}, {"a": ["2"]})
    third = exported({"b": ["7"]}, tmp_path / "3.parquet", types.kept())
    assert third.schema().field(0).type == pa.string()


def test_a_type_that_the_asked_for_dates_lack_becomes_text_with_a_warning() -> None:
    types = ColumnTypes(["At"], date_format="Legacy", earlier={"At": ["datetime"]})
    types.feed(b"10/25/2024 10:00:00\n")
    assert types.schema().field(0).type == pa.string()
    assert types.warnings() == ["Column At is not a datetime but text: the format Legacy has no datetime."]


CELLS = st.one_of(
    st.sampled_from(["", "1", "1.5", "4.1", "4.10", "007", "NA", "NaN", "12E4", "TRUE", "2024-11-21", "03/04/2024"]),
    st.integers().map(str),
    st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=5),
)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    names = draw(st.lists(st.sampled_from(["a", "b", "c", "a.d"]), unique=True, min_size=1))
    rows = draw(st.integers(1, 5))
    pools = [draw(st.lists(CELLS, min_size=1, max_size=3)) for _ in names]
    return {
        name: draw(st.lists(st.sampled_from(pool), min_size=rows, max_size=rows))
        for name, pool in zip(names, pools, strict=True)
    }


@pytest.mark.long
@settings(deadline=None, max_examples=25)
@given(tables(), tables())
def test_any_two_days_are_one_dataset_with_every_text_unchanged(first: Table, second: Table) -> None:
    with tempfile.TemporaryDirectory() as folder:
        days = two_days(Path(folder), first, second)
        schema = _widened(*(types.schema() for types in days))
        by_arrow = ds.dataset(folder, schema=schema, format="parquet")
        with duckdb.connect() as database:
            by_duckdb = database.read_parquet(f"{folder}/*.parquet", union_by_name=True)
            cells = dict(zip(by_duckdb.columns, zip(*by_duckdb.fetchall(), strict=True), strict=True))
        for name in schema.names:
            arrow = by_arrow.to_table([name]).column(0)
            place = 0
            for table, types in zip((first, second), days, strict=True):
                rows = len(next(iter(table.values())))
                renamed = dict(zip(types.names, table, strict=True))
                if name in renamed and types.schema().field(name).type == pa.string():
                    expected = [cell or None for cell in table[renamed[name]]]
                    assert arrow.slice(place, rows).to_pylist() == expected
                    assert list(cells[name][place : place + rows]) == expected
                place += rows


def _widened(first: pa.Schema, second: pa.Schema) -> pa.Schema:
    """Return the schema of the newest file, which is never narrower, with the columns that only the first one has."""
    return pa.schema([*second, *(field for field in first if field.name not in second.names)])
