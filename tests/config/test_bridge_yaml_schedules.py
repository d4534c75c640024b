"""Schedules are those that Cloud Scheduler accepts; the last scheduled time is known to the minute."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.bridge_yaml import cron_problem
from common.bridge_yaml.cron import last_due, longest_wait

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
def test_unix_cron_is_accepted(text: str) -> None:
    assert cron_problem(text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has 0 fields, not 5"),
        ("@daily", "has 1 fields"),
        ("every 5 minutes", "has 3 fields"),
        ("0 0 * * * *", "has 6 fields"),
        ("60 * * * *", "the minute 60 is not between 0 and 59"),
        ("* 24 * * *", "the hour 24 is not between 0 and 23"),
        ("* * 0 * *", "the day of the month 0 is not between 1 and 31"),
        ("* * * 13 *", "the month 13 is not between 1 and 12"),
        ("* * * * 8", "the day of the week 8 is not between 0 and 7"),
        ("* * L * *", "the day of the month is not * or a number from 1 to 31"),
        ("* * * * mon", "the day of the week is not * or a number from 0 to 7 or a name such as MON"),
        ("* * * MON *", "the month is not *"),
        ("5/15 * * * *", "the minute has a step but no range such as 5-59/15"),
        ("*/0 * * * *", "the step of the minute is not a number from 1 to 59"),
        ("*/90 * * * *", "the step of the minute is not a number"),
        ("30-10 * * * *", "the minute has a range whose end is before its start, 30-10"),
        ("1, * * * *", "the minute is not *"),
        ("-1 * * * *", "the minute is not *"),
        ("1-2-3 * * * *", "the minute is not *"),
        ("*-5 * * * *", "the minute is not *"),
        ("٣ * * * *", "the minute is not *"),
        ("0 0 31 2,4 *", "is never due"),
    ],
)
def test_other_schedules_are_errors_with_a_cause(text: str, words: str) -> None:
    assert words in (cron_problem(text) or "")


@given(st.text(alphabet="0123456789*,-/ JANMONabc?L#", max_size=30))
def test_any_text_is_a_schedule_or_an_error(text: str) -> None:
    fault = cron_problem(text)
    assert fault is None or fault


@st.composite
def fields(draw: st.DrawFn, first: int, last: int) -> str:
    low = draw(st.integers(first, last))
    high = draw(st.integers(low, last))
    step = draw(st.integers(1, last))
    return draw(st.sampled_from(["*", f"*/{step}", f"{low}", f"{low}-{high}", f"{low}-{high}/{step}", f"{low},{high}"]))


@given(st.tuples(*(fields(first, last) for first, last in BOUNDS)))
def test_values_within_their_bounds_are_accepted(parts: tuple[str, ...]) -> None:
    assert cron_problem(" ".join(parts)) is None


@given(st.integers(0, 4), st.integers(61, 99))
def test_values_beyond_their_bounds_are_errors(place: int, number: int) -> None:
    parts = ["*"] * 5
    parts[place] = str(number)
    assert f"{number} is not between" in (cron_problem(" ".join(parts)) or "")


@pytest.mark.parametrize(
    ("text", "time_zone", "moment", "due"),
    [
        ("15 6 * * *", "UTC", "2026-03-01T06:15:00", "2026-03-01T06:15:00"),
        ("15 6 * * *", "UTC", "2026-03-01T06:14:59", "2026-02-28T06:15:00"),
        ("15 6 * * *", "Europe/Paris", "2026-03-01T05:20:00", "2026-03-01T05:15:00"),
        ("*/5 * * * *", "UTC", "2026-03-01T00:04:00", "2026-03-01T00:00:00"),
        ("*/30 6-20 * * MON-FRI", "UTC", "2026-03-01T12:00:00", "2026-02-27T20:30:00"),
        ("0 9 * * 7", "UTC", "2026-03-05T00:00:00", "2026-03-01T09:00:00"),
        ("0 9 * * SUN", "UTC", "2026-03-05T00:00:00", "2026-03-01T09:00:00"),
        ("30 5 1 * *", "Asia/Kathmandu", "2026-03-31T00:00:00", "2026-02-28T23:45:00"),
        ("0 0 31 * *", "UTC", "2026-05-01T00:00:00", "2026-03-31T00:00:00"),
        ("59 23 31 12 *", "Pacific/Kiritimati", "2026-06-01T00:00:00", "2025-12-31T09:59:00"),
    ],
)
def test_the_last_scheduled_time_is_found(text: str, time_zone: str, moment: str, due: str) -> None:
    assert last_due(text, time_zone, at(moment)) == at(due)


@pytest.mark.parametrize(
    ("text", "moment", "due"),
    [
        ("0 9 13 * FRI", "2026-03-12T12:00:00", "2026-03-06T09:00:00"),
        ("0 9 13 * FRI", "2026-04-15T12:00:00", "2026-04-13T09:00:00"),
        ("0 9 */2 * FRI", "2026-03-12T12:00:00", "2026-02-27T09:00:00"),
        ("0 9 1-7 * */7", "2026-03-12T12:00:00", "2026-03-01T09:00:00"),
    ],
)
def test_either_of_two_restricted_days_matches(text: str, moment: str, due: str) -> None:
    assert last_due(text, "UTC", at(moment)) == at(due)


@pytest.mark.parametrize(
    ("moment", "due"),
    [("2028-02-28T23:59:00", "2024-02-29T00:00:00"), ("2104-02-28T23:59:00", "2096-02-29T00:00:00")],
)
def test_a_leap_day_years_ago_is_found(moment: str, due: str) -> None:
    assert last_due("0 0 29 2 *", "UTC", at(moment)) == at(due)


def test_a_schedule_without_a_past_time_is_not_due() -> None:
    assert last_due("0 0 31 2 */2", "UTC", at("2026-03-01T00:00:00")) is None


@pytest.mark.parametrize(
    ("text", "moment", "due"),
    [
        pytest.param("30 2 * * *", "2026-03-29T12:00:00", "2026-03-28T01:30:00", id="left out: the day before"),
        pytest.param("0 3 * * *", "2026-03-29T01:00:00", "2026-03-29T01:00:00", id="put forward: at once"),
        pytest.param("*/30 * * * *", "2026-03-29T01:10:00", "2026-03-29T01:00:00", id="put forward: no gap in time"),
        pytest.param("30 2 * * *", "2026-10-25T12:00:00", "2026-10-25T00:30:00", id="shown twice: the first time"),
        pytest.param("*/30 * * * *", "2026-10-25T01:45:00", "2026-10-25T00:30:00", id="put back: not once more"),
        pytest.param("0 3 * * *", "2026-10-25T02:00:00", "2026-10-25T02:00:00", id="put back: an hour later"),
    ],
)
def test_the_nights_in_which_the_clocks_of_paris_change(text: str, moment: str, due: str) -> None:
    assert last_due(text, "Europe/Paris", at(moment)) == at(due)


@st.composite
def choices(draw: st.DrawFn, first: int, last: int) -> tuple[str, set[int]]:
    """Draw a field and the values that it matches."""
    every = set(range(first, last + 1))
    low, high = sorted(draw(st.tuples(st.sampled_from(sorted(every)), st.sampled_from(sorted(every)))))
    step = draw(st.integers(1, max(last, 1)))
    return draw(
        st.sampled_from(
            [
                ("*", every),
                ("*/1", every),
                (f"*/{step}", set(range(first, last + 1, step))),
                (f"{low}-{high}", set(range(low, high + 1))),
                (f"{low},{high}", {low, high}),
            ]
        )
    )


CHANGES = [
    ("UTC", datetime(2026, 2, 28, 23, tzinfo=UTC)),
    ("Europe/Paris", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Paris", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("America/Nuuk", datetime(2026, 10, 25, 1, tzinfo=UTC)),  # from Sunday 0:00 back to Saturday 23:00
    ("America/Santiago", datetime(2026, 9, 6, 4, tzinfo=UTC)),  # midnight is skipped
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),  # by half an hour
    ("Asia/Kathmandu", datetime(2026, 6, 1, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),  # a whole day is skipped
]


@pytest.mark.long
@settings(deadline=None, max_examples=100)
@given(
    st.tuples(*(choices(first, last) for first, last in ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7)))),
    st.sampled_from(CHANGES),
    st.integers(-3 * 60, 26 * 60),
    st.integers(0, 59),
)
def test_the_last_scheduled_time_follows_the_local_clock(
    parts: tuple[tuple[str, set[int]], ...], change: tuple[str, datetime], minutes: int, seconds: int
) -> None:
    time_zone, changes_at = change
    moment = changes_at + timedelta(minutes=minutes, seconds=seconds)
    looked_back = timedelta(days=2)

    due = last_due(" ".join(text for text, _ in parts), time_zone, moment)

    shown = last_shown(parts, ZoneInfo(time_zone), moment, looked_back)
    assert shown == (due if due and due > moment - looked_back else None)


@pytest.mark.parametrize(
    ("text", "longest"),
    [
        ("* * * * *", timedelta(minutes=1)),
        ("15 6 * * *", timedelta(days=1)),
        ("0 6,18 * * *", timedelta(hours=12)),
        ("0,50 6 * * *", timedelta(hours=23, minutes=10)),
        ("*/10 8-18 * * *", timedelta(hours=13, minutes=10)),
        ("0 6 * * 1-5", timedelta(days=3)),
        ("0 6 1 * *", timedelta(days=31)),
        ("0 6 31 * *", timedelta(days=61)),
        ("0 0 29 2 *", timedelta(days=4 * 365 + 1)),
        ("0 6 1 1 *", timedelta(days=366)),
    ],
)
def test_the_longest_wait_of_a_schedule_is_known(text: str, longest: timedelta) -> None:
    assert longest_wait(text) == longest


@given(
    minutes=st.sets(st.integers(0, 59), min_size=1, max_size=3),
    hours=st.sets(st.integers(0, 23), min_size=1, max_size=3),
    weekdays=st.sets(st.integers(0, 6), min_size=1, max_size=3),
)
@settings(max_examples=30)
def test_no_wait_of_a_week_is_longer_than_the_longest(minutes: set[int], hours: set[int], weekdays: set[int]) -> None:
    text = " ".join([listed(minutes), listed(hours), "* *", listed(weekdays)])
    end = moment = at("2026-03-18T00:00")

    waits = set()
    while moment > end - timedelta(days=15):
        due = last_due(text, "UTC", moment - timedelta(minutes=1))
        assert due
        waits.add(moment - due)
        moment = due

    # The first is that of a moment at which nothing is due.
    assert longest_wait(text) == max(waits)


def listed(numbers: set[int]) -> str:
    return ",".join(map(str, sorted(numbers)))


def last_shown(
    parts: tuple[tuple[str, set[int]], ...], zone: ZoneInfo, moment: datetime, looked_back: timedelta
) -> datetime | None:
    """Return the last scheduled time, found by checking every minute, or None."""
    (_, minutes), (_, hours), (day_text, days), (_, months), (weekday_text, weekdays) = parts
    is_either = not day_text.startswith("*") and not weekday_text.startswith("*")
    minute = moment.replace(second=0)
    while minute > moment - looked_back:
        wall = minute.astimezone(zone)
        of_day = [wall.day in days, bool({wall.isoweekday(), wall.isoweekday() % 7} & weekdays)]
        is_day = any(of_day) if is_either else all(of_day)
        if wall.fold == 0 and wall.minute in minutes and wall.hour in hours and wall.month in months and is_day:
            return minute
        minute -= timedelta(minutes=1)
    return None


def at(moment: str) -> datetime:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC)
