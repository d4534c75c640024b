"""A schedule is what Cloud Scheduler takes, and one that comes round."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.config import cron_fault

BOUNDS = ((0, 59), (0, 23), (1, 28), (1, 12), (0, 7))


@pytest.mark.parametrize(
    "text",
    [
        "* * * * *",
        "15 6 * * *",
        "*/15 * * * *",
        "0 0-23/2 * * *",
        "0 9 1,15 * *",
        "0 9 * JAN-MAR,DEC MON-FRI",
        "0 0 29 2 *",
        "0 0 31 * *",
        "0 0 * * 7",
        "0 0 30 2 1",
        "  5   4  *  *  SUN ",
    ],
)
def test_unix_cron_is_taken(text: str) -> None:
    assert cron_fault(text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has 0 fields, not 5"),
        ("@daily", "has 1 fields"),
        ("every 5 minutes", "has 3 fields"),
        ("0 0 * * * *", "has 6 fields"),
        ("60 * * * *", "the minute 60 is not within 0-59"),
        ("* 24 * * *", "the hour 24 is not within 0-23"),
        ("* * 0 * *", "the day of the month 0 is not within 1-31"),
        ("* * * 13 *", "the month 13 is not within 1-12"),
        ("* * * * 8", "the day of the week 8 is not within 0-7"),
        ("* * L * *", "the day of the month is neither * nor a number from 1 to 31"),
        ("* * * * mon", "the day of the week is neither * nor a number from 0 to 7 or a name such as MON"),
        ("* * * MON *", "the month is neither"),
        ("5/15 * * * *", "the minute has a step without a range such as 5-59/15"),
        ("*/0 * * * *", "the minute has a step that is no number from 1 to 59"),
        ("*/90 * * * *", "the minute has a step that is no number"),
        ("30-10 * * * *", "the minute has a range that runs backwards, 30-10"),
        ("1, * * * *", "the minute is neither"),
        ("-1 * * * *", "the minute is neither"),
        ("1-2-3 * * * *", "the minute is neither"),
        ("*-5 * * * *", "the minute is neither"),
        ("٣ * * * *", "the minute is neither"),
        ("0 0 31 2,4 *", "never comes round"),
    ],
)
def test_anything_else_is_a_fault_that_says_why(text: str, words: str) -> None:
    assert words in (cron_fault(text) or "")


@given(st.text(alphabet="0123456789*,-/ JANMONabc?L#", max_size=30))
def test_any_text_is_a_schedule_or_a_fault(text: str) -> None:
    fault = cron_fault(text)
    assert fault is None or fault


@st.composite
def fields(draw: st.DrawFn, first: int, last: int) -> str:
    low = draw(st.integers(first, last))
    high = draw(st.integers(low, last))
    step = draw(st.integers(1, last))
    return draw(st.sampled_from(["*", f"*/{step}", f"{low}", f"{low}-{high}", f"{low}-{high}/{step}", f"{low},{high}"]))


@given(st.tuples(*(fields(first, last) for first, last in BOUNDS)))
def test_all_that_lies_within_its_bounds_is_taken(parts: tuple[str, ...]) -> None:
    assert cron_fault(" ".join(parts)) is None


@given(st.integers(0, 4), st.integers(61, 99))
def test_all_that_lies_beyond_its_bounds_is_a_fault(place: int, number: int) -> None:
    parts = ["*"] * 5
    parts[place] = str(number)
    assert f"{number} is not within" in (cron_fault(" ".join(parts)) or "")
