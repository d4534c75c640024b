"""A complete file is copied unchanged or as its contract says; Python's csv reader is the reference."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.platform.errors import ColumnsChanged, QueryFailed, RowsMalformed, StreamCut
from common.tables.check import LONGEST_RECORD_BYTES, MOST_COLUMNS, Checked, Checker, Contract

PROOF = settings(deadline=None, max_examples=100)

CsvRows = list[list[str]]

AS_IT_IS = Contract()
REFUSALS = (StreamCut, RowsMalformed, QueryFailed)
NOTHING_BUT_TEXT = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
AWKWARD = ["", '"', ",", ";", "\n", "\r", "\r\n", '""', "'", "'-5", " ", "é", "😀", "\u2028", "\x0b", "a,b", '5" x 4"']


def looks_like_an_error(cell: str) -> bool:
    """Whether the checker could mistake a cell for an error text or for a page in place of rows."""
    return "error" in cell.lower() or "exception" in cell.lower() or cell.lstrip().startswith(("<", "[", "{"))


CELLS = st.one_of(st.text(NOTHING_BUT_TEXT, max_size=8), st.lists(st.sampled_from(AWKWARD), max_size=3).map("".join))
ORDINARY_CELLS = CELLS.filter(lambda cell: not looks_like_an_error(cell))


@st.composite
def tables(draw: st.DrawFn, *, min_rows: int = 0, distinct: bool = False) -> CsvRows:
    """Draw a header and rows of the same width."""
    width = draw(st.integers(1, 5))
    names = ORDINARY_CELLS.filter(lambda name: not name.startswith("\ufeff"))
    header = draw(st.lists(names, min_size=width, max_size=width, unique=distinct))
    rows = draw(st.lists(st.lists(ORDINARY_CELLS, min_size=width, max_size=width), min_size=min_rows, max_size=6))
    return [header, *rows]


def written(table: Iterable[Sequence[str]], line_end: str = "\n") -> bytes:
    """Write a CSV with Python. A carriage return is quoted, which Python before 3.13 does not do."""
    out = io.StringIO(newline="")
    for record in table:
        with_return = any("\r" in cell for cell in record)
        csv.writer(out, lineterminator=line_end, quoting=csv.QUOTE_ALL if with_return else csv.QUOTE_MINIMAL).writerow(
            record
        )
    return out.getvalue().encode()


def read(content: bytes, delimiter: str = ",") -> CsvRows:
    """Read a CSV with Python in strict mode. An empty line is a record of a single column."""
    reader = csv.reader(io.StringIO(content.decode(), newline=""), delimiter=delimiter, strict=True)
    return [record or [""] for record in reader]


def cut_up(content: bytes, sizes: Sequence[int]) -> Iterable[bytes]:
    """Yield blocks of these sizes, repeatedly."""
    start = turn = 0
    while start < len(content):
        size = sizes[turn % len(sizes)]
        yield content[start : start + size]
        start, turn = start + size, turn + 1


def check(content: bytes, contract: Contract = AS_IT_IS, sizes: Sequence[int] = (1 << 20,)) -> tuple[bytes, Checked]:
    checker = Checker(contract)
    ready = b"".join([checker.feed(block) for block in cut_up(content, sizes)])
    return ready, checker.finish()


SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=4)


@PROOF
@given(table=tables(), sizes=SIZES, line_end=st.sampled_from(["\n", "\r\n"]))
def test_a_complete_file_is_copied_byte_for_byte(table: CsvRows, sizes: list[int], line_end: str) -> None:
    content = written(table, line_end)

    ready, checked = check(content, sizes=sizes)

    assert ready == content
    assert checked.header == table[0]
    assert checked.rows == len(table) - 1


@st.composite
def contracts(draw: st.DrawFn, header: list[str]) -> tuple[Contract, list[int]]:
    """Draw a contract that this header meets, and the positions of its columns."""
    order = draw(st.lists(st.integers(0, len(header) - 1), min_size=1, unique=True))
    names = draw(st.lists(ORDINARY_CELLS, min_size=len(order), max_size=len(order)))
    columns = dict(zip((header[place] for place in order), names, strict=True))
    return Contract(columns, draw(st.sampled_from([",", ";"]))), order


@PROOF
@given(data=st.data(), table=tables(distinct=True), sizes=SIZES, line_end=st.sampled_from(["\n", "\r\n"]))
def test_columns_are_chosen_renamed_and_put_in_order(
    data: Any, table: CsvRows, sizes: list[int], line_end: str
) -> None:
    contract, order = data.draw(contracts(table[0]))

    ready, checked = check(written(table, line_end), contract, sizes)

    names = list((contract.columns or {}).values())
    assert read(ready, contract.delimiter) == [names, *([row[place] for place in order] for row in table[1:])]
    assert (checked.header, checked.rows) == (names, len(table) - 1)


@PROOF
@given(table=tables(), sizes=SIZES)
def test_changing_the_delimiter_changes_no_cell(table: CsvRows, sizes: list[int]) -> None:
    ready, checked = check(written(table), Contract(delimiter=";"), sizes)

    assert read(ready, ";") == table
    assert (checked.header, checked.rows) == (table[0], len(table) - 1)


@PROOF
@given(data=st.data(), table=tables(), sizes=SIZES, line_end=st.sampled_from(["\n", "\r\n"]))
def test_a_file_cut_within_its_last_record_is_refused(
    data: Any, table: CsvRows, sizes: list[int], line_end: str
) -> None:
    content, last = written(table, line_end), written(table[-1:], line_end)
    # A file that is cut between two records looks complete; only the transport can detect this.
    missing = data.draw(st.integers(1, len(last) if len(table) == 1 else len(last) - 1))

    with pytest.raises(REFUSALS):
        check(content[:-missing], sizes=sizes)


@PROOF
@given(data=st.data(), table=tables(min_rows=1), sizes=SIZES, contract=st.sampled_from([AS_IT_IS, Contract(None, ";")]))
def test_one_record_of_another_width_is_refused(
    data: Any, table: CsvRows, sizes: list[int], contract: Contract
) -> None:
    row = table[data.draw(st.integers(1, len(table) - 1))]
    if len(row) > 1 and data.draw(st.booleans()):
        row.pop()
    else:
        row.append(data.draw(ORDINARY_CELLS))

    with pytest.raises(REFUSALS):
        check(written(table), contract, sizes)


PIECES = [
    b"a",
    b"1",
    b",",
    b",",
    b'"',
    b'"',
    b"\n",
    b"\n",
    b"\r",
    b"\r\n",
    b'""',
    b"\xc3",
    b"\xa9",
    b"\xff",
    b"\0",
    b"\xef\xbb\xbf",
]
SCRAPS = st.lists(st.sampled_from(PIECES), max_size=24).map(b"".join) | st.binary(max_size=40)


@settings(PROOF, max_examples=250)
@given(content=SCRAPS, sizes=SIZES)
@example(content=b"a\rb,c\nx\n", sizes=[99])
@example(content=b"\xef\xbb\xbf\xef\xbb\xbfa\n", sizes=[1])
@example(content=b"\n", sizes=[99])
@example(content=b"\nx\n", sizes=[99])
def test_any_bytes_are_refused_or_read_as_python_reads_them(content: bytes, sizes: list[int]) -> None:
    try:
        ready, checked = check(content, sizes=sizes)
    except REFUSALS as refusal:
        with pytest.raises(type(refusal)):
            check(content)
        return

    assert ready == content.removeprefix(b"\xef\xbb\xbf")
    header, *rows = read(ready)
    assert checked.header == header
    assert checked.rows == len(rows)
    assert {len(row) for row in rows} <= {len(header)}


@settings(PROOF, max_examples=250)
@given(content=SCRAPS, sizes=SIZES, columns=st.sampled_from([None, {"a": "b"}, {"": "x"}, {"1": "1", "a": "a"}]))
def test_any_bytes_meet_the_contract_or_are_refused(
    content: bytes, sizes: list[int], columns: dict[str, str] | None
) -> None:
    try:
        ready, checked = check(content, Contract(columns, ";"), sizes)
    except (*REFUSALS, ColumnsChanged):
        return

    header, *rows = read(ready, ";")
    assert header == checked.header == (list(columns.values()) if columns else checked.header)
    assert checked.rows == len(rows)
    assert {len(row) for row in rows} <= {len(header)}


@pytest.mark.long
@pytest.mark.parametrize("line", [b"x\n", b'"a"\n', b"x"], ids=["lines", "quoted lines", "no line end"])
def test_an_unclosed_quote_is_refused_in_bounded_memory(line: bytes) -> None:
    checker = Checker(AS_IT_IS)
    block = line * (1024 * 1024 // len(line))

    def feed_without_end() -> None:
        fed = 0
        while fed < LONGEST_RECORD_BYTES + len(block):
            assert checker.feed(block) == b""
            fed += len(block)

    assert checker.feed(b'a\n"') == b"a\n"
    with pytest.raises(RowsMalformed, match="after row 0"):
        feed_without_end()


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b'a,b\n1,2\n"3"x,4\n', RowsMalformed, "Row 2 has a quote"),
        (b'a,b\n1,2\n3,x"4"\n', RowsMalformed, "Row 2 has a quote"),
        (b'"a"x,b\n1,2\n', RowsMalformed, "The header has a quote"),
        (b"a,b\n1,2\n3\r,4\n", RowsMalformed, "Row 2 has a carriage return"),
        (b"a\r,b\n1,2\n", RowsMalformed, "The header has a carriage return"),
        (b"a,b\n1,2\n3,4,5\n", RowsMalformed, "Row 2 has 3 fields, the header has 2"),
        (b"a,b\n1,2\n\n", RowsMalformed, "Row 2 has 0 fields, the header has 2"),
        (b"a,b\n1,\0\n", RowsMalformed, "NUL"),
        (b"a,b\n1,\xe9\n", RowsMalformed, "not UTF-8"),
        (b"\n1\n", RowsMalformed, "The header is an empty line"),
        (b"", StreamCut, "it has no header"),
        (b"a,b", StreamCut, "after row 0"),
        (b"a,b\n1,2\n3,4", StreamCut, "after row 1"),
        (b'a,b\n1,"2\n', StreamCut, "after row 0"),
        (b"a,b\n1,2\nError: no more\n", QueryFailed, "after row 1"),
        (b"a,b\n1,2\n\nSQL Error: no more", QueryFailed, "after row 1"),
        (b"a,b\n1,2\nError: one, two\n", QueryFailed, "after row 1"),
        (b'[{"looker_error": "x"}]', QueryFailed, "after row 0"),
        (b'\xef\xbb\xbf[{"a": 1}]\n', QueryFailed, "JSON or a web page"),
        (b"<!DOCTYPE html>\n", QueryFailed, "JSON or a web page"),
    ],
)
def test_an_error_names_its_place(content: bytes, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        check(content)


def test_a_header_of_many_lines_or_too_many_columns_is_refused_early() -> None:
    lines = "\n" * 500_000
    assert check(f'"{lines}",b\n1,2\n'.encode())[1].header == [lines, "b"]
    with pytest.raises(RowsMalformed, match="columns"):
        check(b"," * MOST_COLUMNS + b"\n" + b"\n" * 500_000)


def test_a_byte_order_mark_is_removed_wherever_blocks_end() -> None:
    for size in range(1, 6):
        assert check(b"\xef\xbb\xbfday,delay\n1,2\n", sizes=[size])[0] == b"day,delay\n1,2\n"


def test_a_header_that_names_a_column_twice_is_a_warning() -> None:
    assert check(b"day,delay,day\n1,2,3\n")[1].warnings == ["The header contains day more than once."]


def test_a_contract_refuses_two_columns_of_one_name() -> None:
    with pytest.raises(ColumnsChanged, match="day more than once"):
        check(b"day,delay,day\n1,2,3\n", Contract({"day": "day"}))


def test_a_missing_column_is_refused_with_both_headers() -> None:
    with pytest.raises(
        ColumnsChanged, match=r"Renamed: carrier to delay\. target.columns: day, carrier.*sent: day, delay"
    ):
        check(b"day,delay\n1,2\n", Contract({"day": "d", "carrier": "c"}))


@pytest.mark.parametrize("cell", ["'-5", "'=1+1", "'+5", "'@name", '"\'-5,3"'])
def test_cells_escaped_by_lookers_formula_guard_are_counted(cell: str) -> None:
    (warning,) = check(f"day,delay\n{cell},1\n1,{cell}\n".encode())[1].warnings

    assert warning.startswith("2 cells begin with an apostrophe")


@pytest.mark.parametrize("cell", ["-5", "it's", "' -5", "O'-5"])
def test_other_cells_are_not_counted(cell: str) -> None:
    assert check(f"day,delay\n{cell},{cell}\n".encode())[1].warnings == []


def test_a_carriage_return_within_quotes_is_preserved_when_columns_are_chosen() -> None:
    ready, _ = check(b'a,b\n"x\ry",2\n', Contract({"b": "b", "a": "a"}))

    assert ready == b'b,a\n2,"x\ry"\n'


def test_an_empty_cell_of_a_single_column_is_a_row() -> None:
    ready, checked = check(b"a\n\nx\n", Contract({"a": "b"}, ";"))

    assert ready == b'b\n""\nx\n'
    assert checked.rows == 2


def test_a_cell_longer_than_pythons_limit_is_accepted() -> None:
    long = b"x" * 200_000

    assert check(b"a,b\n1," + long + b"\n", Contract({"b": "b"}))[0] == b"b\n" + long + b"\n"


def test_an_error_text_within_the_last_record_is_data() -> None:
    content = b'a,b\n1,"a note:\nError: disk full"\n'

    assert check(content)[0] == content
