"""`columns` of an export pins the types of columns: a value of another type is refused, and the row is named."""

import csv
import io
import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.platform.errors import TypeMismatch
from common.tables import parquet
from common.tables.column_types import ColumnTypes, KeptTypes
from tests.support.world import World

PINS = {"Account": "text", "Amount": "number", "Hired": "date"}
STAFF = b"Account;Amount;Hired\n4.1;1.50;2024-11-21\n4.10;3;\n"
PRIVATE = "private"


def exported(table: Mapping[str, Sequence[str]], pins: Mapping[str, str], **how: Any) -> tuple[ColumnTypes, pa.Table]:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(
        [list(table), *zip(*table.values(), strict=True)]
    )
    content = out.getvalue().encode()
    types = ColumnTypes(list(table), pins=pins, **how)
    types.feed(content.partition(b"\n")[2])
    file = io.BytesIO()
    parquet.write([content], file, types)
    return types, pq.read_table(io.BytesIO(file.getvalue()))


def column(kind: str, *cells: str, **how: Any) -> tuple[str, list[Any]]:
    _, table = exported({"c": cells}, {"c": kind}, **how)
    return str(table.schema.field(0).type), table.column(0).to_pylist()


def refusal(kind: str, *cells: str, **how: Any) -> str:
    with pytest.raises(TypeMismatch) as refused:
        column(kind, *cells, **how)
    return refused.value.cause


@pytest.mark.parametrize(
    ("kind", "cells", "type_", "values"),
    [
        ("text", ["1", "007", ""], "string", ["1", "007", None]),
        ("text", ["2024-11-21", "TRUE"], "string", ["2024-11-21", "TRUE"]),
        ("number", ["4.1", "4.10", "007", "12E4", "-0.5", ""], "double", [4.1, 4.1, 7.0, 120000.0, -0.5, None]),
        ("number", ["16.66666666666667", "1E-120"], "double", [16.66666666666667, 1e-120]),
        ("number", ["", ""], "double", [None, None]),
        ("decimal", ["4.1", "4.10", "-0.000000001", "007"], "decimal128(38, 9)", ["4.1", "4.1", "-0.000000001", "7"]),
        ("decimal", ["9" * 29 + ".5"], "decimal128(38, 9)", ["9" * 29 + ".5"]),
        ("date", ["2024-11-21", ""], "date32[day]", [date(2024, 11, 21), None]),
        ("date", [""], "date32[day]", [None]),
        ("timestamp", [""], "timestamp[us, tz=UTC]", [None]),
        ("datetime", [""], "timestamp[us]", [None]),
        ("boolean", ["TRUE", "FALSE", ""], "bool", [True, False, None]),
    ],
)
def test_a_pinned_column_has_its_type_whatever_its_values(
    kind: str, cells: list[str], type_: str, values: list[Any]
) -> None:
    if kind == "decimal":
        values = [Decimal(each) for each in values]
    assert column(kind, *cells) == (type_, values)


def test_a_pinned_number_has_the_decimal_separator_of_the_file() -> None:
    assert column("number", "16,5", "1,50", decimal_separator=",") == ("double", [16.5, 1.5])
    assert column("decimal", "16,5", decimal_separator=",") == ("decimal128(38, 9)", [Decimal("16.5")])
    assert "row 1 has another decimal separator" in refusal("number", "16.5", decimal_separator=",")


@pytest.mark.parametrize(
    ("kind", "cells", "reason"),
    [
        ("number", ["1", "", PRIVATE], "row 3 has a text of 7 characters"),
        ("number", ["NaN"], "row 1 is NaN"),
        ("number", ["1,5"], "row 1 has another decimal separator"),
        ("number", ["1E400"], "row 1 is too large or too small for a number"),
        ("number", ["1E-400"], "row 1 is too large or too small for a number"),
        ("number", ["9007199254740993"], "row 1 has 16 digits, of which a number keeps 15"),
        ("number", ["+1"], "row 1 has a text of 2 characters"),
        ("decimal", ["1.5", "0.0000000001"], "row 2 has 10 decimals, of which a decimal keeps 9"),
        ("decimal", ["1" * 30], "row 1 has 30 digits before the decimals, of which a decimal keeps 29"),
        ("decimal", ["1E4"], "row 1 has an exponent"),
        ("decimal", ["1,5"], "row 1 has another decimal separator"),
        ("date", ["2024-11-21", "03/04/2024"], "row 2 is no day of the format Iso8601"),
        ("date", ["2023-02-29"], "row 1 is no day of the format Iso8601"),
        ("timestamp", ["2024-11-21"], "row 1 is no time of the format Iso8601"),
        ("boolean", ["TRUE", "true"], "row 2 is neither TRUE nor FALSE"),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_row_and_without_its_content(
    kind: str, cells: list[str], reason: str
) -> None:
    assert refusal(kind, *cells) == f"Column c has the type {kind} in bridge.yaml, but {reason}."


def test_the_row_is_counted_over_all_blocks() -> None:
    types = ColumnTypes(["a", "b"], pins={"b": "number"})
    for records in (b"x,1\n" * 300_000, b"x,2\n" * 300_000, b"x,3\nx,wrong\n"):
        types.feed(records)
    with pytest.raises(TypeMismatch, match=r"row 600002 has a text of 5 characters"):
        types.finish()


# --- From run to run -----------------------------------------------------------------------------------------------


def test_a_pin_replaces_the_type_of_earlier_runs_with_a_warning() -> None:
    types, _ = exported({"Code": ["1"]}, {"Code": "text"}, earlier={"Code": ["number"]})
    assert types.schema().field(0).type == pa.string()
    assert types.warnings() == ["Column Code was number in earlier files and is text from this one on."]
    again, _ = exported({"Code": ["2"]}, {"Code": "text"}, earlier=types.kept())
    assert again.warnings() == []


@pytest.mark.parametrize(
    ("kind", "cells"), [("number", ["4.1", "4.10"]), ("decimal", ["4.1", "4.10"]), ("text", ["1"])]
)
def test_a_column_keeps_its_type_after_its_pin_was_removed(kind: str, cells: list[str]) -> None:
    pinned, before = exported({"c": cells}, {"c": kind})
    types, after = exported({"c": cells}, {}, earlier=pinned.kept())
    assert (after.schema, types.warnings()) == (before.schema, [])


CELLS = {
    "text": st.one_of(
        st.sampled_from(["", "1", "4.10", "007", "NA", "NaN", "12E4", "TRUE", "2024-11-21", "03/04/2024"]),
        st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=5),
    ),
    "number": st.one_of(st.integers(-(10**15), 10**15).map(str), st.decimals(-1000, 1000, places=2).map(str)),
    "decimal": st.decimals(-(10**20), 10**20, places=9).map("{:f}".format),
    "date": st.dates().map(date.isoformat),
    "timestamp": st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
    "datetime": st.datetimes().map(lambda moment: moment.isoformat()),
    "boolean": st.sampled_from(["TRUE", "FALSE"]),
}


@st.composite
def pinned_tables(draw: st.DrawFn) -> tuple[dict[str, str], list[dict[str, list[str]]]]:
    """Draw types of columns, and the tables of two days."""
    kinds = draw(st.lists(st.sampled_from([*CELLS]), min_size=1, max_size=5))
    pins = {f"{kind} {place}": kind for place, kind in enumerate(kinds)}
    days = []
    for _ in range(2):
        rows = draw(st.integers(1, 5))
        cells = {
            name: st.lists(st.one_of(st.just(""), CELLS[kind]), min_size=rows, max_size=rows)
            for name, kind in pins.items()
        }
        days.append(draw(st.fixed_dictionaries(cells)))
    return pins, days


@pytest.mark.long
@settings(deadline=None, max_examples=30)
@given(pinned_tables())
def test_any_two_days_with_pins_are_one_dataset_with_every_text_unchanged(
    drawn: tuple[dict[str, str], list[dict[str, list[str]]]],
) -> None:
    pins, days = drawn
    kept: KeptTypes = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, table in enumerate(days):
            types, content = exported(table, pins, earlier=kept)
            kept = types.kept()
            assert types.warnings() == []
            pq.write_table(content, Path(folder) / f"{number}.parquet")
        # Without a schema, and without union_by_name: both files have the same one.
        by_arrow = ds.dataset(folder, format="parquet").to_table()
        with duckdb.connect() as database:
            texts = ", ".join(f'"{name}"' for name in pins if pins[name] in ("text", "number", "decimal"))
            rows = database.read_parquet(f"{folder}/*.parquet").project(texts or "0").fetchall()
            by_duckdb = iter(zip(*rows, strict=True))
    for name, kind in pins.items():
        cells = [cell for table in days for cell in table[name]]
        assert by_arrow.column(name).null_count == cells.count("")
        if kind == "text":
            expected = [cell or None for cell in cells]
            assert by_arrow.column(name).to_pylist() == list(next(by_duckdb)) == expected
        if kind in ("number", "decimal"):
            read = [None if value is None else Decimal(str(value)) for value in next(by_duckdb)]
            assert read == [Decimal(cell) if cell else None for cell in cells]


# --- Through the entry point ---------------------------------------------------------------------------------------


@pytest.fixture
def staff(world: World) -> World:
    world.add_export("staff", format="parquet", path="staff.parquet", columns=PINS)
    world.answer_exports(STAFF)
    return world


def test_an_export_has_the_pinned_types(staff: World) -> None:
    answer = staff.run_export("staff")
    assert answer.receipt["outcome"] == "published", answer.body
    table = pq.read_table(io.BytesIO(staff.bucket.read("exports/staff.parquet")))
    assert [str(field.type) for field in table.schema] == ["string", "double", "date32[day]"]
    assert table.column("Account").to_pylist() == ["4.1", "4.10"]


@pytest.mark.parametrize("how", [{"format": "parquet"}, {"format": "csv"}, {"format": "csv", "compress": "gzip"}])
def test_a_value_that_does_not_fit_fails_the_export_and_publishes_nothing(world: World, how: dict[str, str]) -> None:
    world.add_export("staff", path="staff", columns=PINS, **how)
    world.answer_exports(STAFF)
    assert world.run_export("staff").status == 200
    before = world.bucket.read("exports/staff")
    world.clock.advance(3600)

    world.answer_exports(STAFF + f"4.2;{PRIVATE};\n".encode())
    answer = world.run_export("staff")

    assert (answer.status, answer.code, answer.receipt["outcome"]) == (422, "type_mismatch", "refused")
    assert "Column Amount has the type number in bridge.yaml, but row 3 has a text of 7 characters." in str(answer.body)
    assert PRIVATE not in str(answer.body)
    assert world.bucket.read("exports/staff") == before
    assert world.objects("tmp/") == world.objects("leases/") == []


def test_csv_is_published_byte_for_byte_where_its_columns_are_pinned(world: World) -> None:
    source = {"list": "5f0d3c52-7c1b-4a53-9f0e-6a1d2b3c4d5e", "delimiter": ";", "encoding": "Utf8WithBom"}
    world.add_export("staff", path="staff.csv", columns=PINS, source=source)
    content = b"\xef\xbb\xbf" + STAFF
    world.answer_exports(content)
    assert world.run_export("staff").status == 200
    assert world.bucket.read("exports/staff.csv") == content


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_a_pinned_column_that_is_missing_is_refused_with_both_headers(world: World, format_: str) -> None:
    world.add_export("staff", format=format_, path="staff", columns={"Account": "text", "Amount": "text"})
    world.answer_exports(STAFF)
    assert world.run_export("staff").status == 200
    world.clock.advance(3600)

    world.answer_exports(STAFF.replace(b"Amount", b"Amount EUR"))
    answer = world.run_export("staff")

    assert (answer.status, answer.code) == (422, "columns_changed")
    assert answer.error["message"] == (
        "Pigment's header lacks Amount. Since the last run: Renamed: Amount to Amount EUR. "
        "columns: Account, Amount. Pigment sent: Account, Amount EUR, Hired."
    )


def test_a_pinned_column_that_only_looks_the_same_is_named_by_its_signs(staff: World) -> None:
    staff.answer_exports(STAFF.replace(b"Amount", "Amount\u00a0".encode()))
    answer = staff.run_export("staff")
    assert "U+00A0" in answer.error["message"]
    assert '"Amount\\u00A0" for "Amount"' in answer.error["next_step"]


def test_a_pinned_column_that_the_header_has_twice_is_refused(staff: World) -> None:
    staff.answer_exports(STAFF.replace(b"Hired", b"Amount"))
    assert "has Amount more than once" in staff.run_export("staff").error["message"]


# --- For BigQuery --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("format_", "where"), [("csv", "the table of BigQuery"), ("parquet", "the Parquet file")])
def test_for_bigquery_columns_have_plain_names_and_a_warning(world: World, format_: str, where: str) -> None:
    columns = {"Account": "text", "Amount (€)": "number"}
    world.add_export("staff", format=format_, path="staff", columns=columns, bigquery=True)
    world.answer_exports("Account;Amount (€)\n1;2\n".encode())

    answer = world.run_export("staff")

    assert (
        f"Column 2, Amount (€), is Amount____ in {where}, because BigQuery refuses its name."
        in answer.receipt["warnings"]
    )
    content = world.bucket.read("exports/staff")
    if format_ == "parquet":
        assert pq.read_schema(io.BytesIO(content)).names == ["Account", "Amount____"]
    else:
        assert content == "Account;Amount (€)\n1;2\n".encode()


@pytest.mark.parametrize("format_", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("header", "difference"),
    [
        (b"Account;Amount;Hired;New", "New: New."),
        (b"Amount;Account;Hired", "The order of the columns, or the number of equal ones, differs."),
        (b"Account;Sum;Hired", "Renamed: Amount to Sum."),
    ],
)
def test_for_bigquery_the_pins_are_the_whole_header_in_order(
    world: World, format_: str, header: bytes, difference: str
) -> None:
    world.add_export("staff", format=format_, path="staff", columns=PINS, bigquery=True)
    world.answer_exports(header + b"\n")
    answer = world.run_export("staff")
    assert answer.code == "columns_changed"
    assert answer.error["message"].startswith("Pigment's header is not columns, which bigquery: true needs whole and")
    assert difference in answer.error["message"]
