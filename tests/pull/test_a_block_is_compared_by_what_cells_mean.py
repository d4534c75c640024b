"""What was sent and what a Pigment block exports are compared by meaning: nothing else is a difference."""

import csv
import io
from typing import Any

import pytest

from common.tables.equality.result import BlockEquality, DifferentCell, DifferentRow, NotComparable, Pairing, SentFile
from tests.support.equality import compare_with_block
from tests.support.pieces import InPieces


def written(table: list[list[str]], delimiter: str = ",") -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(table)
    return out.getvalue().encode()


def compared(sent: list[list[str]], block: list[list[str]], *later: list[list[str]], **how: Any) -> BlockEquality:
    shows = how.pop("shows_values", False)
    files = {f"sent{number}": written(table) for number, table in enumerate([sent, *later])}
    bucket: Any = InPieces(64, block=written(block, ";"), **files)
    pairing = Pairing(**{"key": ["Id"], **how})
    paths = [SentFile(path, ",") for path in files]
    rows = len(sent) + len(block)
    return compare_with_block(bucket, paths, SentFile("block", ";"), pairing, rows, shows_values=shows)


def equality_of(cell: str, pigments: str, *, in_column_of: str = "", **how: Any) -> BlockEquality:
    """Compare one cell with Pigment's, in a column with another cell that is equal and shows the column's form."""
    sent = [["Id", "Value"], ["a", cell], ["b", in_column_of or pigments]]
    return compared(sent, [["Id", "Value"], ["b", in_column_of or pigments], ["a", pigments]], **how)


@pytest.mark.parametrize(
    ("cell", "pigments"),
    [
        ("1234.50", "1234.5"),
        ("1234.5", "1234.500"),
        ("1E3", "1000"),
        ("-0", "0"),
        ("007", "7"),
        ("16.666666666666668", "16.66666666666667"),
        ("0.1234567890123456449", "0.1234567890123456"),
        ("2024-11-21 00:00:00", "2024-11-21"),
        ("2024-11", "2024-11-01"),
        ("11/21/2024", "2024-11-21"),
        ("21.11.2024", "2024-11-21"),
        ("20241121", "2024-11-21"),
        ("2024-11-21", "Nov 24"),
        ("2024-11", "Nov 24"),
        ("Yes", "TRUE"),
        ("no", "FALSE"),
        ("", ""),
        ("two\nlines", "two\nlines"),
        ("ünïcödé, “quoted”", "ünïcödé, “quoted”"),
    ],
)
def test_cells_with_the_same_meaning_are_equal(cell: str, pigments: str) -> None:
    found = equality_of(cell, pigments)

    assert not found.differs(accepts_extra=False), found
    assert (found.sent, found.block) == (2, 2)


@pytest.mark.parametrize(
    ("cell", "pigments", "in_column_of"),
    [
        ("1234.5", "1234.6", ""),
        ("1234.5", "12345", ""),
        ("0.123456789012345", "0.123456789012346", ""),
        ("1.5", "15", "2"),
        ("", "0", ""),
        ("0", "", "3"),
        ("2024-04-03", "2024-03-04", ""),
        ("2024-11-21", "Oct 24", ""),
        ("Yes", "FALSE", ""),
        ("007", "7", "B12"),
        ("Paris ", "Paris", ""),
        ("Paris", "paris", ""),
        ("é", "e\u0301", ""),
        ("abc", "7", "3"),
        ("n/a", "", "3"),
        ("abc", "abd", "3.5"),
        ("not yet", "", "2024-11-21 10:25:00"),
        ("soon", "later", "2024-11-21 10:25:00"),
        ("not yet", "", "2024-11-21"),
        ("soon", "", "Nov 24"),
        ("maybe", "", "TRUE"),
    ],
)
def test_cells_with_another_meaning_differ(cell: str, pigments: str, in_column_of: str) -> None:
    found = equality_of(cell, pigments, in_column_of=in_column_of)

    assert (found.changed, found.columns) == (1, {"Value": 1})
    assert found.rows == [DifferentRow("changed", ["a"], ["Value"])]


def test_what_a_comma_means_is_decided_for_the_whole_column() -> None:
    decimals = [["Id", "Value"], ["a", "1,234"], ["b", "0,5"]]
    thousands = [["Id", "Value"], ["a", "1,234"], ["b", "1,234,567.5"]]

    assert not compared(decimals, [["Id", "Value"], ["a", "1.234"], ["b", "0.5"]]).differs(accepts_extra=False)
    assert compared(decimals, [["Id", "Value"], ["a", "1234"], ["b", "5"]]).changed == 2
    assert not compared(thousands, [["Id", "Value"], ["a", "1234"], ["b", "1234567.5"]]).differs(accepts_extra=False)
    assert compared(thousands, [["Id", "Value"], ["a", "1.234"], ["b", "1234567.5"]]).changed == 1


@pytest.mark.parametrize("text", [",", "-,"])
def test_a_comma_without_a_digit_says_nothing_of_the_other_numbers(text: str) -> None:
    sent = [["Id", "Value"], ["a", text], ["b", "1.5"]]

    assert compared(sent, [["Id", "Value"], ["a", ""], ["b", "1.5"]]).changed == 1


def test_a_number_with_a_comma_can_be_a_key() -> None:
    sent = [["Id", "Value"], ["1,5", "x"], ["2,5", "y"]]

    assert not compared(sent, [["Id", "Value"], ["2.5", "y"], ["1.5", "x"]]).differs(accepts_extra=False)


def test_a_block_with_decimal_commas_is_read_as_such() -> None:
    sent = [["Id", "Value"], ["a", "1.234"], ["b", "0.5"]]

    assert not compared(sent, [["Id", "Value"], ["a", "1,234"], ["b", "0,500"]], decimal_sign=",").differs(
        accepts_extra=False
    )


def test_days_before_months_are_read_as_the_job_says() -> None:
    assert equality_of("03/04/2024", "2024-04-03").changed == 1
    assert not equality_of("03/04/2024", "2024-04-03", is_day_first=True).changed


def test_rows_are_told_apart_by_key() -> None:
    sent = [["Id", "Value"], ["a", "1"], ["b", "2"], ["c", "3"], ["d", "4"]]
    block = [["Id", "Value"], ["d", "4"], ["b", "2"], ["b", "2"], ["c", "30"], ["e", "5"]]

    found = compared(sent, block, shows_values=True)

    assert (found.sent, found.block) == (4, 5)
    assert (found.missing, found.extra, found.doubled, found.changed) == (1, 1, 1, 1)
    assert found.rows == [
        DifferentRow("changed", ["c"], ["Value"], [DifferentCell("Value", "3", "30")]),
        DifferentRow("missing", ["a"]),
        DifferentRow("doubled", ["b"]),
        DifferentRow("extra", ["e"]),
    ]
    assert found.in_words(accepts_extra=False) == (
        "4 rows were sent, the block has 5. "
        "By key: 1 missing, 1 not sent, 1 more than once, 1 with other values (cells: Value 1)."
    )


def test_names_may_differ_and_columns_may_be_left_out() -> None:
    sent = [["Id", "Value", "Loaded at"], ["a", "1", "06:00"]]
    block = [["Amount", "Code", "Id"], ["1", "x", "a"]]

    assert not compared(sent, block, columns={"Value": "Amount"}, ignored=["Loaded at"]).differs(accepts_extra=False)


def test_a_block_that_kept_the_rows_that_a_later_file_replaces_has_them_doubled() -> None:
    first, second = [["Id", "Name"], ["1", "a"], ["2", "b"]], [["Id", "Name"], ["2", "b"], ["3", "c"]]

    found = compared(first, [*first, *second[1:]], second, replaces=True)

    assert (found.doubled, found.missing, found.extra) == (1, 0, 0)
    assert found.differs(accepts_extra=False)


def test_a_later_file_replaces_rows_of_an_earlier_one_where_the_target_does() -> None:
    first, second = [["Id", "Value"], ["a", "1"], ["b", "2"]], [["Value", "Id"], ["20", "b"], ["3", "c"]]
    block = [["Id", "Value"], ["a", "1"], ["b", "20"], ["c", "3"]]

    found = compared(first, block, second, replaces=True)

    assert not found.differs(accepts_extra=False), found
    assert found.sent == 3


@pytest.mark.parametrize(
    ("block", "how", "reason"),
    [
        ([["Id", "Amount"]], {}, "The block does not have exactly one column Value. It has: Id, Amount."),
        ([["Id", "Value"]], {"key": ["Code"]}, "verify.key has Code, which was not sent. Sent: Id, Value."),
        (
            [["Id", "Value"], ["a", "1"]],
            {"key": ["Value"]},
            "verify.key does not identify rows: 1 of its keys were sent more than once.",
        ),
    ],
)
def test_what_cannot_be_compared_says_why(block: list[list[str]], how: dict[str, Any], reason: str) -> None:
    with pytest.raises(NotComparable) as refused:
        compared([["Id", "Value"], ["a", "1"], ["b", "1"]], block, **how)

    assert str(refused.value).startswith(reason)
