"""CSV from Pigment becomes Parquet with typed columns; Python's own parsers are the reference."""

import csv
import datetime as dt
import decimal
import functools
import io
import itertools
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.platform.errors import Internal, RowsMalformed
from common.tables import parquet
from common.tables.column_types import ColumnTypes
from tests.support.brittle import Brittle, FullDisk

PROOF = settings(deadline=None, max_examples=100)

UTC = dt.UTC


def written(table: Iterable[Sequence[str]], delimiter: str = ",", line_end: str = "\n", *, bare: bool = False) -> bytes:
    """Write a CSV with Python; if not `bare`, every cell is quoted."""
    out = io.StringIO(newline="")
    csv.writer(
        out, delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_MINIMAL if bare else csv.QUOTE_ALL
    ).writerows(table)
    return out.getvalue().encode()


def cut_up(content: bytes, size: int) -> Iterator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


def shown(header: Sequence[str], *looks: bytes, delimiter: str = ",", **how: Any) -> ColumnTypes:
    types = ColumnTypes(list(header), delimiter, **how)
    for records in looks:
        types.feed(records)
        types.schema()
    return types


def converted(content: bytes, header: Sequence[str], **how: str) -> Any:
    """Convert a file whose header is one line, and return it as a pyarrow table."""
    types = shown(header, content.partition(b"\n")[2], **how)
    out = io.BytesIO()
    rows = parquet.write([content], out, types)
    table = pq.read_table(io.BytesIO(out.getvalue()))
    assert rows == len(table)
    return table


def column(*cells: str, **how: str) -> tuple[str, list[Any]]:
    """Return the type and the values of a column of these cells."""
    content = written([["c"], *([cell] for cell in cells)])
    table = converted(content, ["c"], **how)
    return str(table.schema.field(0).type), table.column(0).to_pylist()


def asked(question: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as database:
        return database.sql(question).fetchall()


def types_by_duckdb(path: Path) -> dict[str, str]:
    return {name: type_ for name, type_, *_ in asked(f"DESCRIBE FROM '{path}'")}


def utc(*fields: int) -> dt.datetime:
    return dt.datetime(*fields, tzinfo=UTC)  # type: ignore[arg-type,misc]


def test_the_view_of_pigments_guide_has_numbers_and_text(tmp_path: Path) -> None:
    content = (
        b"Country;Month;Cost;Revenue;Margin\n"
        b"FR;Jan 21;50.00;150.00;100.00\n"
        b"DE;Jan 21;16.66666666666667;50.00;33.33333333333333\n"
    )
    types = shown(["Country", "Month", "Cost", "Revenue", "Margin"], content.partition(b"\n")[2], delimiter=";")
    with (tmp_path / "view.parquet").open("wb") as file:
        assert parquet.write([content], file, types) == 2

    assert types_by_duckdb(tmp_path / "view.parquet") == {
        "Country": "VARCHAR",
        "Month": "VARCHAR",
        "Cost": "DOUBLE",
        "Revenue": "DOUBLE",
        "Margin": "DOUBLE",
    }
    assert asked(f"FROM '{tmp_path}/view.parquet'") == [
        ("FR", "Jan 21", 50.0, 150.0, 100.0),
        ("DE", "Jan 21", 16.66666666666667, 50.0, 33.33333333333333),
    ]


def test_duckdb_sees_each_type_and_can_skip_by_statistics(tmp_path: Path) -> None:
    header = ["n", "x", "day", "time", "local", "yes", "text"]
    rows = [
        ["1", "0.5", "2024-11-21", "2024-11-21T10:00:00+02:00", "2024-11-21 10:00:00.25", "TRUE", "a"],
        ["", "", "", "", "", "", ""],
        ["-3", "2.5", "2025-01-01", "2024-11-21T09:30:00Z", "2024-11-22T00:00", "FALSE", "b"],
    ]
    types = shown(header, written(rows))
    with (tmp_path / "all.parquet").open("wb") as file:
        parquet.write([written([header, *rows])], file, types)

    assert types_by_duckdb(tmp_path / "all.parquet") == {
        "n": "DOUBLE",
        "x": "DOUBLE",
        "day": "DATE",
        "time": "TIMESTAMP WITH TIME ZONE",
        "local": "TIMESTAMP",
        "yes": "BOOLEAN",
        "text": "VARCHAR",
    }
    from_file = f"FROM '{tmp_path}/all.parquet'"
    assert asked(f"SELECT sum(n), sum(x), max(day), epoch(min(time)), max(local), count(*) {from_file}") == [
        (-2, 3.0, dt.date(2025, 1, 1), utc(2024, 11, 21, 8).timestamp(), dt.datetime(2024, 11, 22), 3)  # noqa: DTZ001  # it has no zone
    ]
    assert asked(f"SELECT count(COLUMNS(*)) {from_file}") == [(2,) * 7]
    statistics = pq.ParquetFile(tmp_path / "all.parquet").metadata.row_group(0).column(2).statistics
    assert (statistics.min, statistics.max) == (dt.date(2024, 11, 21), dt.date(2025, 1, 1))


@pytest.mark.parametrize(
    ("cells", "type_", "values"),
    [
        (["1", "-20", "0", "-0"], "double", [1.0, -20.0, 0.0, -0.0]),
        (["5", "6\n7"], "string", ["5", "6\n7"]),
        (["5", "6\n"], "string", ["5", "6\n"]),
        (["1001"], "double", [1001.0]),
        (["007"], "string", ["007"]),
        (["007", "7"], "string", ["007", "7"]),
        (["4.1", "4.10"], "string", ["4.1", "4.10"]),
        (["1.0", "1.00"], "string", ["1.0", "1.00"]),
        (["1", "1.0"], "string", ["1", "1.0"]),
        (["1", "1.00"], "string", ["1", "1.00"]),
        (["1.000"], "string", ["1.000"]),
        (["4.10", "4.20", "4.255"], "double", [4.1, 4.2, 4.255]),
        (["50.00", "16.66666666666667", "0.00"], "double", [50.0, 16.66666666666667, 0.0]),
        (["1", "2.5", "16.66666666666667"], "double", [1.0, 2.5, 16.66666666666667]),
        (["1.0", "2.5"], "double", [1.0, 2.5]),
        (["12E4"], "string", ["12E4"]),
        (["1.5", "1E-120"], "string", ["1.5", "1E-120"]),
        (["12E4", "120000"], "string", ["12E4", "120000"]),
        (["999999999999999999"], "string", ["999999999999999999"]),
        (["+1"], "string", ["+1"]),
        (["1 000"], "string", ["1 000"]),
        (["2.5", "9007199254740992"], "double", [2.5, 2.0**53]),
        (["9007199254740992", "-9007199254740992"], "double", [2.0**53, -(2.0**53)]),
        (["2.5", "9007199254740993"], "string", ["2.5", "9007199254740993"]),
        (["9007199254740993", "2.5"], "string", ["9007199254740993", "2.5"]),
        (["1234567890123456.7"], "string", ["1234567890123456.7"]),
        (["0.1", "0.10000000000000000555"], "string", ["0.1", "0.10000000000000000555"]),
        (["12345678901234.50"], "double", [12345678901234.5]),
        (["0.00001234567890123456"], "double", [1.234567890123456e-05]),
        ([".5"], "string", [".5"]),
        (["NaN"], "string", ["NaN"]),
        (["1.5", "n/a"], "string", ["1.5", "n/a"]),
        (["TRUE", "FALSE"], "bool", [True, False]),
        (["TRUE", "true"], "string", ["TRUE", "true"]),
        (["TRUE", "1"], "string", ["TRUE", "1"]),
        (["TRUE", "yes"], "string", ["TRUE", "yes"]),
        (["", ""], "string", [None, None]),
        (["", "5", ""], "double", [None, 5.0, None]),
        ([" ", "5"], "string", [" ", "5"]),
        (
            ["", "a\nb", 'say "x"', "c,d;e", "f\rg", "\r\n"],
            "string",
            [None, "a\nb", 'say "x"', "c,d;e", "f\rg", "\r\n"],
        ),
        (["\ufeffa", "b"], "string", ["\ufeffa", "b"]),
        (["NULL", "NA"], "string", ["NULL", "NA"]),
    ],
)
def test_numbers_booleans_and_text(cells: list[str], type_: str, values: list[Any]) -> None:
    assert column(*cells) == (type_, values)


@pytest.mark.parametrize(
    ("cells", "type_", "values"),
    [
        (["2024-11-21", "2024-02-29"], "date32[day]", [dt.date(2024, 11, 21), dt.date(2024, 2, 29)]),
        (["2024-11-21T10:00:00Z"], "timestamp[us, tz=UTC]", [utc(2024, 11, 21, 10)]),
        (["2024-11-21T10:00:00.1234560+01:30"], "timestamp[us, tz=UTC]", [utc(2024, 11, 21, 8, 30, 0, 123456)]),
        (["2024-11-21T10:00:00.1234567Z"], "string", ["2024-11-21T10:00:00.1234567Z"]),
        (["2024-11-21T10:00:00"], "timestamp[us]", [dt.datetime(2024, 11, 21, 10)]),  # noqa: DTZ001  # it has no zone
        (["2024-11-21T10:00:00", "2024-11-21T10:00:00Z"], "string", ["2024-11-21T10:00:00", "2024-11-21T10:00:00Z"]),
        (["2024-11-21", "2024-11-21T10:00:00Z"], "string", ["2024-11-21", "2024-11-21T10:00:00Z"]),
        (["2023-02-29"], "string", ["2023-02-29"]),
        (["0000-01-01"], "string", ["0000-01-01"]),
        (["9999-12-31T23:00:00-02:00"], "string", ["9999-12-31T23:00:00-02:00"]),
        (["0001-01-01", "9999-12-31"], "date32[day]", [dt.date.min, dt.date.max]),
        (["2024-11-21T24:00:00Z"], "string", ["2024-11-21T24:00:00Z"]),
        (["Jan 21"], "string", ["Jan 21"]),
        (["2024-11"], "string", ["2024-11"]),
        (["03/04/2024"], "string", ["03/04/2024"]),
        (["10/25/2024 00:00:00 +00:00"], "string", ["10/25/2024 00:00:00 +00:00"]),
    ],
)
def test_only_iso_dates_and_times_are_dates_where_they_were_asked_for(
    cells: list[str], type_: str, values: list[Any]
) -> None:
    assert column(*cells) == (type_, values)


@pytest.mark.parametrize(
    ("cells", "type_", "values"),
    [
        (["10/25/2024"], "date32[day]", [dt.date(2024, 10, 25)]),
        (["10/25/2024 00:00:00 +00:00"], "date32[day]", [dt.date(2024, 10, 25)]),
        (
            ["10/25/2024", "10/26/2024 00:00:00 +00:00"],
            "date32[day]",
            [dt.date(2024, 10, day) for day in (25, 26)],
        ),
        (
            ["10/25/2024 00:00:00 +00:00", "10/25/2024 13:45:00 +00:00"],
            "timestamp[us, tz=UTC]",
            [utc(2024, 10, 25), utc(2024, 10, 25, 13, 45)],
        ),
        (["10/25/2024 00:00:00 +02:00"], "timestamp[us, tz=UTC]", [utc(2024, 10, 24, 22)]),
        (["10/25/2024", "10/25/2024 13:45:00 +00:00"], "string", ["10/25/2024", "10/25/2024 13:45:00 +00:00"]),
        (["2024-11-21", "10/25/2024"], "string", ["2024-11-21", "10/25/2024"]),
        (["10/25/2024", "02/30/2024"], "string", ["10/25/2024", "02/30/2024"]),
        (["02/30/2024 00:00:00 +00:00"], "string", ["02/30/2024 00:00:00 +00:00"]),
        (["25/10/2024"], "string", ["25/10/2024"]),
        (["1/5/2024"], "string", ["1/5/2024"]),
        (["2024-11-21"], "string", ["2024-11-21"]),
        (["2024-11-21T10:00:00Z"], "string", ["2024-11-21T10:00:00Z"]),
    ],
)
def test_only_legacy_dates_and_times_are_dates_where_they_were_asked_for(
    cells: list[str], type_: str, values: list[Any]
) -> None:
    assert column(*cells, date_format="Legacy") == (type_, values)


@pytest.mark.parametrize(
    ("cells", "type_", "values"),
    [
        (["16,5", "-0,25", "3"], "double", [16.5, -0.25, 3.0]),
        (["50,00", "16,66666666666667"], "double", [50.0, 16.66666666666667]),
        (["4,1", "4,10"], "string", ["4,1", "4,10"]),
        (["16.5"], "string", ["16.5"]),
        (["16,5", "16.5"], "string", ["16,5", "16.5"]),
        (["1", "2"], "double", [1.0, 2.0]),
    ],
)
def test_decimals_may_use_a_comma(cells: list[str], type_: str, values: list[Any]) -> None:
    assert column(*cells, decimal_separator=",") == (type_, values)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (["1.5", "NaN", "2.5"], "is not a number but text: row 2 is NaN"),
        (["NaN", "1.5", "2.5"], "is not a number but text: row 1 is NaN"),
        (["1.5", "", "1E-120"], "is not a number but text: row 3 has an exponent"),
        (["1.5", "9007199254740993"], "is not a number but text: row 2 has 16 digits, of which a number keeps 15"),
        (["4.1", "4.10"], "is not a number but text: row 2 has other decimals or zeros than a number of this column"),
        (["1", "2", "Ann"], "is not a number but text: row 3 has a text of 3 characters"),
        (["2024-11-21", "03/04/2024"], "is not a date but text: row 2 is no day of the format Iso8601"),
        (["2024-11-21", "2024-02-30"], "is not a date but text: row 2 is no day of the format Iso8601"),
        (["TRUE", "FALSE", "true"], "is not a boolean but text: row 3 has a text of 4 characters"),
    ],
)
def test_the_row_that_turns_a_column_into_text_is_named_without_its_value(cells: list[str], reason: str) -> None:
    (warning,) = shown(["Cost"], written([cell] for cell in cells)).warnings()
    assert warning == f"Column Cost {reason}."


def test_a_column_of_text_is_no_warning() -> None:
    assert shown(["Name"], written([["Alice"], ["7"], ["Bob"]])).warnings() == []


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (["Month", "month", "Cost", "Cost_2", "Cost"], ["Month", "month_2", "Cost", "Cost_2", "Cost_3"]),
        (["a.b", "a/b", "Cost (EUR)"], ["a_b", "a_b_2", "Cost _EUR_"]),
        (["", "x", ""], ["column_1", "x", "column_3"]),
        (["_FILE_NAME", "_partitionTIME", "_TABLE_x"], ["column_FILE_NAME", "column_partitionTIME", "column_TABLE_x"]),
        (["n" * 301, "N" * 300], ["n" * 300, "N" * 298 + "_2"]),
        (["Größe", "利益", "R&D", "a-b c"], ["Größe", "利益", "R&D", "a-b c"]),
    ],
)
def test_names_that_bigquery_refuses_are_renamed_with_a_warning(header: list[str], names: list[str]) -> None:
    table = converted(written([header, [str(place) for place in range(len(header))]]), header)
    assert table.schema.names == names
    assert [values for (values,) in table.to_pydict().values()] == list(range(len(header)))
    assert len(shown(header, written([["x"] * len(header)])).warnings()) == sum(
        name != new for name, new in zip(header, names, strict=True)
    )


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (["Month", "a b", "A_B", "Cost (EUR)"], ["Month", "a_b", "A_B_2", "Cost__EUR_"]),
        (["Größe", "Coût", "利益", "R&D", "1st"], ["Gro_e", "Cout", "__", "R_D", "_1st"]),
        (["", " FILE_x", "_PARTITIONTIME"], ["column_1", "column_FILE_x", "column_PARTITIONTIME"]),
        (["ä" * 301, "a" * 300], ["a" * 300, "a" * 298 + "_2"]),
    ],
)
def test_external_tables_of_bigquery_have_only_plain_names(header: list[str], names: list[str]) -> None:
    types = shown(header, written([["x"] * len(header)]), for_bigquery=True)
    assert types.names == names
    assert len(types.warnings()) == sum(name != new for name, new in zip(header, names, strict=True))


@given(st.lists(st.text(max_size=6), min_size=1, max_size=8))
def test_any_header_has_distinct_names_for_an_external_table(header: list[str]) -> None:
    names = shown(header, for_bigquery=True).names
    assert all(re.fullmatch("[A-Za-z_][A-Za-z0-9_]{0,299}", name) for name in names)
    assert len({name.lower() for name in names}) == len(header)


def test_the_warning_of_a_renamed_column_has_both_names() -> None:
    assert shown(["a.b", ""], b"1,2\n").warnings() == [
        "Column 1, a.b, is a_b in the Parquet file, because BigQuery refuses its name.",
        "Column 2 has no name and is column_2 in the Parquet file, because BigQuery refuses its name.",
    ]


def test_an_empty_line_of_a_single_column_is_a_row() -> None:
    assert converted(b"n\n\n5\n\n", ["n"]).to_pydict() == {"n": [None, 5, None]}


def test_a_header_alone_is_a_table_without_rows() -> None:
    table = converted(b"a,b\n", ["a", "b"])
    assert (table.schema.names, len(table)) == (["a", "b"], 0)


def test_a_header_may_have_line_ends_and_a_byte_order_mark() -> None:
    out = io.BytesIO()
    assert parquet.write([b'\xef\xbb\xbf"a\nb",c\n1,2\n'], out, shown(["a\nb", "c"], b"1,2\n")) == 1
    assert pq.read_table(io.BytesIO(out.getvalue())).to_pydict() == {"a_b": [1], "c": [2]}


# --- Any table -----------------------------------------------------------------------------------------------------


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
AWKWARD = st.sampled_from(
    ["", " ", '"', ",", ";", "\n", "\r", "\r\n", "\ufeff", "'", "-", "0", "00", "-0", "1e5", "TRUE "]
)
INTEGERS = st.one_of(st.integers(-100, 100), st.integers(-(10**19), 10**19), st.integers(2**53 - 2, 2**53 + 2)).map(str)
DECIMALS = st.one_of(
    st.decimals(-(10**16), 10**16, places=3).map(str),
    st.decimals(-1000, 1000, places=2).map(str),
    st.sampled_from(["4.1", "4.10", "1.0", "1.00", "12E4", "0.00001", "-0", "-0.00"]),
    st.floats(-(10**15), 10**15, allow_nan=False).map(repr),
    st.floats(allow_nan=True).map(repr),
)
DAYS = st.dates()
INSTANTS = st.datetimes(timezones=st.sampled_from([UTC, dt.timezone(dt.timedelta(hours=-5, minutes=-30))]))


def legacy(moment: dt.date, form: str = "") -> str:
    return f"{moment:%m/%d}/{moment.year:04}" + (f"{moment:{form}}" if form else "")


KINDS = [
    ANY_TEXT,
    AWKWARD,
    INTEGERS,
    st.integers(0, 9).map(str),
    DECIMALS,
    st.sampled_from(["TRUE", "FALSE", "true", "False"]),
    DAYS.map(dt.date.isoformat),
    st.datetimes().map(dt.datetime.isoformat),
    INSTANTS.map(dt.datetime.isoformat),
    INSTANTS.map(lambda moment: moment.isoformat(" ").replace("+00:00", "Z")),
    DAYS.map(legacy),
    DAYS.map(lambda day: legacy(day) + " 00:00:00 +00:00"),
    INSTANTS.map(lambda moment: legacy(moment, " %H:%M:%S ") + moment.isoformat()[-6:]),
    st.sampled_from(["02/30/2024", "2023-02-29", "13/01/2024", "0000-01-01", "2024-01-01T25:00:00Z"]),
]


@st.composite
def columns(draw: st.DrawFn) -> list[list[str]]:
    """Draw columns of one or several kinds, with empty cells."""
    rows = draw(st.integers(0, 6))
    kinds = draw(st.lists(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3), min_size=1, max_size=4))
    return [
        draw(st.lists(st.one_of(st.just(""), *mixture, *mixture), min_size=rows, max_size=rows)) for mixture in kinds
    ]


def meaning(cells: Sequence[str], date_format: str) -> tuple[str, list[Any]]:
    """Return the type and the values by the rules, cell by cell."""
    filled = [cell for cell in cells if cell]
    for type_, read in [*NUMBERS, *TIMES[date_format]]:
        try:
            values = {cell: read(cell) for cell in filled}
        except (ValueError, OverflowError):
            continue
        if filled:
            return type_, [values.get(cell) for cell in cells]
    return "string", [cell or None for cell in cells]


def expect(condition: object) -> None:
    if not condition:
        raise ValueError


def padded(cell: str, least_decimals: int) -> float:
    """Read a number, which a writer with so many decimals at least would write with the same text."""
    found = re.fullmatch(r"-?([0-9]{1,16})(\.[0-9]+)?", cell)
    if found is None:
        raise ValueError
    digits = f"{decimal.Decimal(repr(float(cell))):f}".partition(".")
    fraction = digits[2].rstrip("0").ljust(least_decimals, "0")
    expect(cell == digits[0] + ("." + fraction if fraction else ""))
    return float(cell)


def boolean(cell: str) -> bool:
    return ("FALSE", "TRUE").index(cell) == 1


def iso_date(cell: str) -> dt.date:
    expect(len(cell) == 10)
    return dt.date.fromisoformat(cell)


def legacy_date(cell: str) -> dt.date:
    day = cell.removesuffix(" 00:00:00 +00:00")
    found = dt.datetime.strptime(day, "%m/%d/%Y").date()  # noqa: DTZ007  # a day has no zone
    expect(legacy(found) == day)
    return found


def iso_time(cell: str) -> dt.datetime:
    expect(re.fullmatch(r"[-0-9]{10}[T ][0-9:]{8}(\.[0-9]{6})?(Z|[+-][0-9:]{5})", cell))
    return dt.datetime.fromisoformat(cell).astimezone(UTC)


def local_time(cell: str) -> dt.datetime:
    expect(re.fullmatch(r"[-0-9]{10}[T ][0-9:]{8}(\.[0-9]{6})?", cell))
    return dt.datetime.fromisoformat(cell)


def legacy_time(cell: str) -> dt.datetime:
    expect(re.fullmatch(r"[/0-9]{10} [:0-9]{8} [-+:0-9]{6}", cell))
    return iso_time(f"{cell[6:10]}-{cell[:2]}-{cell[3:5]}T{cell[11:19]}{cell[20:]}")


NUMBERS: list[tuple[str, Any]] = [
    *(("double", functools.partial(padded, least_decimals=least)) for least in range(3)),
    ("bool", boolean),
]
TIMES: dict[str, list[tuple[str, Any]]] = {
    "Iso8601": [("date32[day]", iso_date), ("timestamp[us, tz=UTC]", iso_time), ("timestamp[us]", local_time)],
    "Legacy": [("date32[day]", legacy_date), ("timestamp[us, tz=UTC]", legacy_time)],
}


@pytest.mark.long
@PROOF
@given(
    table=columns(),
    delimiter=st.sampled_from(",;"),
    line_end=st.sampled_from(["\n", "\r\n"]),
    bare=st.booleans(),
    size=st.integers(1, 50),
    looks=st.integers(1, 3),
    date_format=st.sampled_from(["Iso8601", "Legacy"]),
)
@example([["10/25/2024 00:00:00 +00:00", "10/26/2024 10:00:00 +00:00"]], ",", "\n", True, 1, 3, "Legacy")
@example([["2.5", "9007199254740993"]], ",", "\n", True, 9, 2, "Iso8601")
@example([["9007199254740993", "2.5"]], ",", "\n", True, 9, 2, "Iso8601")
def test_any_table_is_read_back_with_its_types_for_any_blocks(
    table: list[list[str]], delimiter: str, line_end: str, bare: bool, size: int, looks: int, date_format: str
) -> None:
    # Before 3.13 Python does not quote a carriage return unless it ends lines.
    bare = bare and "\r" not in "".join(itertools.chain(*table))
    header = [f"c{place}" for place in range(len(table))]
    rows = list(zip(*table, strict=True))
    write = functools.partial(written, delimiter=delimiter, line_end=line_end, bare=bare)
    content = write([header, *rows])
    types = shown(
        header, *(write(rows[turn::looks]) for turn in range(looks)), delimiter=delimiter, date_format=date_format
    )
    cut, whole = io.BytesIO(), io.BytesIO()
    assert parquet.write(cut_up(content, size), cut, types) == parquet.write([content], whole, types) == len(rows)
    assert cut.getvalue() == whole.getvalue()

    found = pq.read_table(io.BytesIO(whole.getvalue()))
    assert [
        (str(field.type), column.to_pylist()) for field, column in zip(found.schema, found.columns, strict=True)
    ] == [meaning(cells, date_format) for cells in table]


def test_a_file_of_many_pieces_is_read_back_exactly(tmp_path: Path) -> None:
    header = ["n", "text", "day"]
    rows = [
        [str(n), "" if n % 7 == 0 else f'line {n}\nand "{n % 10}",;', f"2024-{n % 12 + 1:02}-21"]
        for n in range(150_000)
    ]
    rows.insert(70_000, ["-1", "long" * 600_000, "2024-01-01"])
    content = written([header, *rows])
    types = shown(header, written(rows[:90_000]), written(rows[90_000:]))
    with (tmp_path / "many.parquet").open("wb") as file:
        assert parquet.write(cut_up(content, 65_537), file, types) == len(rows)

    metadata = pq.ParquetFile(tmp_path / "many.parquet").metadata
    assert metadata.num_row_groups > 1
    found = pq.read_table(tmp_path / "many.parquet")
    assert found.column("n").to_pylist() == [int(n) for n, _, _ in rows]
    assert found.column("text").to_pylist() == [text or None for _, text, _ in rows]
    assert found.column("day").to_pylist() == [dt.date.fromisoformat(day) for _, _, day in rows]


# --- What goes wrong -----------------------------------------------------------------------------------------------


def test_a_csv_of_another_width_is_refused_without_its_content() -> None:
    with pytest.raises(RowsMalformed) as refusal:
        shown(["a", "b"], b"1,private\n1,2,3\n")
    assert "private" not in str(refusal.value)
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize("other", [b"n\nprivate\n", b"n\n1,private\n"])
def test_a_file_that_changed_after_the_first_reading_is_refused(other: bytes) -> None:
    out = io.BytesIO()
    with pytest.raises(Internal) as fault:
        parquet.write([other], out, shown(["n"], b"1\n"))
    assert "private" not in str(fault.value)
    assert not out.getvalue()[4:]


def writes_of_a_small_file() -> int:
    out = Brittle(-1)
    parquet.write([b"n\n1\n"], out, shown(["n"], b"1\n"))
    return -1 - out.writes_left


@pytest.mark.parametrize("writes", range(1, writes_of_a_small_file() + 1))
def test_a_failed_write_raises_its_own_error(writes: int) -> None:
    out = Brittle(writes)
    with pytest.raises(FullDisk):
        parquet.write([b"n\n1\n"], out, shown(["n"], b"1\n"))
    assert out.writes_left == 0


def test_a_failed_read_raises_its_own_error() -> None:
    def cut_short() -> Iterator[bytes]:
        yield b"n\n1\n"
        raise ConnectionResetError

    out = io.BytesIO()
    with pytest.raises(ConnectionResetError):
        parquet.write(cut_short(), out, shown(["n"], b"1\n"))
    assert not out.getvalue()


PEAK_OF_ROWS = """
import resource, sys
from common.tables.column_types import ColumnTypes
from common.tables.parquet import write
rows = b"".join(b"FR%d,Jan 21,2024-11-%02d,%d.5,%d\\n" % (n, n % 28 + 1, n, n * 7) for n in range(25_000))
times = int(sys.argv[1])
types = ColumnTypes(["country", "month", "day", "cost", "units"])
for _ in range(times):
    types.feed(rows)

class Nowhere:
    def write(self, content):
        pass

def blocks():
    yield b"country,month,day,cost,units\\n"
    for _ in range(times):
        yield rows

assert write(blocks(), Nowhere(), types) == 25_000 * times
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.long
def test_ten_times_the_rows_take_no_more_memory() -> None:
    functions = str(Path(parquet.__file__).parents[2])
    few, many = (
        int(
            subprocess.run(
                [sys.executable, "-c", PEAK_OF_ROWS, str(times)],
                env={"PYTHONPATH": functions},
                capture_output=True,
                check=True,
                text=True,
            ).stdout
        )
        for times in (8, 80)
    )
    assert many < 1.1 * few
