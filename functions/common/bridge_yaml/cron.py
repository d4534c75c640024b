"""Schedules in the unix-cron format of Cloud Scheduler, and the times at which they are due.

The format is described at https://cloud.google.com/scheduler/docs/configuring/cron-job-schedules, which requires names
in capitals.
"""

import bisect
import datetime as dt
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_LAST_DAYS = {1: 31, 2: 29, 3: 31, 4: 30, 5: 31, 6: 30, 7: 31, 8: 31, 9: 30, 10: 31, 11: 30, 12: 31}

_LONGEST_WAIT_DAYS = 8 * 366
"The longest time between two due times: from 29 February 2096 to 29 February 2104."


_CYCLE_BEGINS = dt.date(2001, 1, 1)
_DAYS_OF_A_CYCLE = 28 * 365 + 7
"Then the days of the week and 29 February fall on the same dates again, until 2100."


class _CronField(NamedTuple):
    name: str
    first: int
    last: int
    words: tuple[str, ...] = ()


_FIELDS = (
    _CronField("minute", 0, 59),
    _CronField("hour", 0, 23),
    _CronField("day of the month", 1, 31),
    _CronField("month", 1, 12, _MONTHS),
    _CronField("day of the week", 0, 7, _WEEKDAYS),
)


class _CronSchedule(NamedTuple):
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    "Sunday is 0, or 7."
    either_day: bool
    "Whether a match of either the day of the month or the day of the week is enough."

    def is_on(self, day: dt.date) -> bool:
        by_month = day.day in self.days
        by_week = not self.weekdays.isdisjoint((day.isoweekday(), day.isoweekday() % 7))
        return day.month in self.months and (by_month or by_week if self.either_day else by_month and by_week)

    def times_backwards(self) -> Iterator[dt.time]:
        for hour in sorted(self.hours, reverse=True):
            for minute in sorted(self.minutes, reverse=True):
                yield dt.time(hour, minute)


def cron_problem(text: str) -> str | None:
    """Return the fault of a schedule, or None if it is valid and is due at some time."""
    parts = text.split()
    if len(parts) != len(_FIELDS):
        return f"has {len(parts)} fields, not 5 (minute, hour, day of the month, month, day of the week)"
    try:
        schedule = _parse(text)
    except ValueError as problem:
        return str(problem)
    if parts[4] == "*" and min(schedule.days) > max(_LAST_DAYS[month] for month in schedule.months):
        return "is never due, because none of its months has such a day"
    return None


def last_due(text: str, time_zone: str, moment: dt.datetime) -> dt.datetime | None:
    """Return the last time, at or before a moment, at which a schedule was due.

    Cloud Scheduler follows the local clock and guarantees nothing for the night of a clock change. Here a local time
    that is skipped is not due. A local time that occurs twice is due at its first occurrence: Cloud Scheduler does not
    call earlier than that, whether it calls once or twice.

    Args:
        text: a valid schedule.
        moment: a time in any time zone.

    Returns:
        The time in UTC, or None if the schedule was not due within the last eight years.
    """
    return next((due for due in _due_times(text, time_zone, moment, -1) if due <= moment), None)


def next_due(text: str, time_zone: str, moment: dt.datetime) -> dt.datetime | None:
    """Return the first time after a moment at which a schedule is due, in UTC; None if it is not within eight years.

    It follows the same rules as `last_due`.
    """
    return next((due for due in _due_times(text, time_zone, moment, 1) if due > moment), None)


def _due_times(text: str, time_zone: str, moment: dt.datetime, step: Literal[-1, 1]) -> Iterator[dt.datetime]:
    """Yield the due times from the day of a moment on: backwards or forwards, for eight years."""
    schedule, zone = _parse(text), ZoneInfo(time_zone)
    today, times = moment.astimezone(zone).date(), list(schedule.times_backwards())[::-step]
    for days in range(_LONGEST_WAIT_DAYS):
        day = today + dt.timedelta(step * days)
        if schedule.is_on(day):
            yield from filter(None, (_instant(dt.datetime.combine(day, time), zone) for time in times))


def count_due(text: str, time_zone: str, begin: dt.datetime, end: dt.datetime) -> int:
    """Count the due times of a valid schedule at or after `begin` and before `end`, by the local clock.

    In the night of a clock change, times that are skipped count too, and times that occur twice count once.
    """
    schedule, zone = _parse(text), ZoneInfo(time_zone)
    first, last = (moment.astimezone(zone).replace(tzinfo=None) for moment in (begin, end))
    times = sorted(schedule.times_backwards())
    days = [first.date() + dt.timedelta(place) for place in range((last.date() - first.date()).days + 1)]
    due = {day: len(times) for day in days if schedule.is_on(day)}
    for moment, sign in ((first, -1), (last, 1)):
        if moment.date() in due:
            before = bisect.bisect_left(times, moment.time())
            due[moment.date()] += -before if sign < 0 else before - len(times)
    return sum(due.values())


def longest_wait(text: str) -> dt.timedelta:
    """Return the longest time between two due times of a valid schedule, by the local clock.

    A change of the clock makes it an hour longer, or shorter.
    """
    schedule = _parse(text)
    times = [dt.timedelta(hours=time.hour, minutes=time.minute) for time in schedule.times_backwards()][::-1]
    days = [place for place in range(_DAYS_OF_A_CYCLE) if schedule.is_on(_CYCLE_BEGINS + dt.timedelta(place))]
    overnight = dt.timedelta(max(later - day for day, later in pairwise([*days, days[0] + _DAYS_OF_A_CYCLE])))
    return max([overnight + times[0] - times[-1], *(later - time for time, later in pairwise(times))])


def _instant(wall: dt.datetime, zone: ZoneInfo) -> dt.datetime | None:
    """Return the first instant at which clocks in a zone show a local time, or None if they skip it."""
    instant = wall.replace(tzinfo=zone).astimezone(dt.UTC)
    return instant if instant.astimezone(zone).replace(tzinfo=None) == wall else None


def _parse(text: str) -> _CronSchedule:
    """Parse a schedule of five fields. Raises ValueError, whose message says why, if a field is invalid."""
    parts = text.split()
    minutes, hours, days, months, weekdays = (
        frozenset(_parse_field(part, field)) for part, field in zip(parts, _FIELDS, strict=True)
    )
    # crontab(5): if both days are restricted, either is enough. A field that begins with * does not restrict.
    either_day = not any(parts[place].startswith("*") for place in (2, 4))
    return _CronSchedule(minutes, hours, days, months, weekdays, either_day)


def _parse_field(text: str, field: _CronField) -> Iterator[int]:
    for item in text.split(","):
        span, slash, step = item.partition("/")
        first, last = _parse_range(span, field)
        every = _parse_step(step, field) if slash else 1
        if slash and span != "*" and "-" not in span:
            raise ValueError(f"the {field.name} has a step but no range such as {span}-{field.last}/{every}")
        yield from range(first, last + 1, every)


def _parse_range(text: str, field: _CronField) -> tuple[int, int]:
    if text == "*":
        return field.first, field.last
    first, dash, last = text.partition("-")
    low = _parse_number(first, field)
    high = _parse_number(last, field) if dash else low
    if low > high:
        raise ValueError(f"the {field.name} has a range whose end is before its start, {low}-{high}")
    return low, high


def _parse_number(text: str, field: _CronField) -> int:
    if text in field.words:
        return field.first + field.words.index(text)
    if not (text.isascii() and text.isdigit() and len(text) <= 2):  # noqa: PLR2004  # no field goes beyond 59
        words = f" or a name such as {field.words[1]}" if field.words else ""
        raise ValueError(f"the {field.name} is not * or a number from {field.first} to {field.last}{words}")
    if not field.first <= int(text) <= field.last:
        raise ValueError(f"the {field.name} {int(text)} is not between {field.first} and {field.last}")
    return int(text)


def _parse_step(text: str, field: _CronField) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and 1 <= int(text) <= field.last):  # noqa: PLR2004  # the same
        raise ValueError(f"the step of the {field.name} is not a number from 1 to {field.last}")
    return int(text)
