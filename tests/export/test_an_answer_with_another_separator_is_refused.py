"""A file with another separator than the one asked for is one column of whole rows; it is refused with the reason."""

import pytest

from common.platform.errors import AnswerNotUnderstood
from common.tables.check import LOOKER, Checker, Contract, Origin


def checked(content: bytes, delimiter: str) -> list[str]:
    checker = Checker(Contract(delimiter=delimiter), Origin("Pigment", delimiter))
    checker.feed(content)
    return checker.finish().header


@pytest.mark.parametrize(
    ("content", "asked", "found"),
    [
        (b"Month;Cost\nJan;1\n", ",", "semicolons"),
        (b'"Month";"Cost"\n"Jan";"1"\n', ",", "semicolons"),
        (b"Month,Cost\nJan,1\n", ";", "commas"),
        (b"\xef\xbb\xbfMonth\tCost\nJan\t1\n", ",", "tabs"),
        (b"sep=;\nMonth;Cost\nJan;1\n", ",", "sep=;"),
        (b"sep=;\r\nMonth;Cost\r\nJan;1\r\n", ";", "sep=;"),
    ],
)
def test_another_separator_is_refused_with_the_reason(content: bytes, asked: str, found: str) -> None:
    with pytest.raises(AnswerNotUnderstood) as refused:
        checked(content, asked)
    assert found in refused.value.cause
    assert "separator" in refused.value.cause
    assert "delimiter" in refused.value.next_step


@pytest.mark.parametrize(
    ("content", "header"),
    [
        (b'"Revenue; net"\n1\n', ["Revenue; net"]),
        (b"Revenue; net,Cost\n1,2\n", ["Revenue; net", "Cost"]),
        (b"Month\nJan; Feb\n", ["Month"]),
        (b"sep=,Cost\n1,2\n", ["sep=", "Cost"]),
    ],
)
def test_the_sign_inside_a_name_is_no_separator(content: bytes, header: list[str]) -> None:
    assert checked(content, ",") == header


def test_a_label_in_looker_may_hold_any_sign() -> None:
    checker = Checker(Contract(), LOOKER)
    checker.feed(b"Revenue; net\n1\n")
    assert checker.finish().header == ["Revenue; net"]
