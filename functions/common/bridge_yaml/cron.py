"""The schedules that Cloud Scheduler takes, unix-cron of five fields, and when they came round.

https://cloud.google.com/scheduler/docs/configuring/cron-job-schedules; names in capitals, as it asks for them there.
"""

import datetime as dt
from collections.abc import Iterator
from typing import NamedTuple
from zoneinfo import ZoneInfo

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_LONGEST = {1: 31, 2: 29, 3: 31, 4: 30, 5: 31, 6: 30, 7: 31, 8: 31, 9: 30, 10: 31, 11: 30, 12: 31}

_LONGEST_WAIT_DAYS = 8 * 366
"From 29 February 2096 to the next one, in 2104."


class _Field(NamedTuple):
    name: str
    first: int
    last: int
    words: tuple[str, ...] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, _WEEKDAYS),
)


class _Schedule(NamedTuple):
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    "Sunday is 0, or 7."
    either_day: bool
    "Whether a day of the month or a day of the week is enough, rather than both."

    def is_on(self, day: dt.date) -> bool:
        by_month = day.day in self.days
        by_week = not self.weekdays.isdisjoint((day.isoweekday(), day.isoweekday() % 7))
        return day.month in self.months and (by_month or by_week if self.either_day else by_month and by_week)

    def times_backwards(self) -> Iterator[dt.time]:
        for hour in sorted(self.hours, reverse=True):
            for minute in sorted(self.minutes, reverse=True):
                yield dt.time(hour, minute)


def cron_fault(text: str) -> str | None:
    """Why this is no schedule, or None if it is one that comes round."""
    parts = text.split()
    if len(parts) != len(_FIELDS):
        return f"has {len(parts)} fields, not 5 (minute, hour, day of the month, month, day of the week)"
    try:
        schedule = _read(text)
    except ValueError as fault:
        return str(fault)
    if parts[4] == "*" and min(schedule.days) > max(_LONGEST[month] for month in schedule.months):
        return "never comes round: none of its months has such a day"
    return None


def last_due(text: str, time_zone: str, moment: dt.datetime) -> dt.datetime | None:
    """When a schedule last came round: at a moment, or before it.

    Cloud Scheduler goes by the clock on the wall and promises nothing for the night in which that is put forward or
    back. A time that the clock leaves out does not come round. One that it shows twice comes round once, when it shows
    for the first time: whether Scheduler then calls once or twice, the call comes no earlier.

    Args:
        text: a schedule without fault.
        moment: with a time zone, whichever.

    Returns:
        the time, in UTC; None where it did not come round within eight years.
    """
    schedule, zone = _read(text), ZoneInfo(time_zone)
    today = moment.astimezone(zone).date()
    for days in range(_LONGEST_WAIT_DAYS):
        day = today - dt.timedelta(days)
        if not schedule.is_on(day):
            continue
        for time in schedule.times_backwards():
            due = _instant(dt.datetime.combine(day, time), zone)
            if due is not None and due <= moment:
                return due
    return None


def _instant(wall: dt.datetime, zone: ZoneInfo) -> dt.datetime | None:
    """When a zone's clocks first show a time; None where they leave it out."""
    instant = wall.replace(tzinfo=zone).astimezone(dt.UTC)
    return instant if instant.astimezone(zone).replace(tzinfo=None) == wall else None


def _read(text: str) -> _Schedule:
    """
    Raises:
        ValueError: what is wrong with a field.
    """
    parts = text.split()
    minutes, hours, days, months, weekdays = (
        frozenset(_values(part, field)) for part, field in zip(parts, _FIELDS, strict=True)
    )
    # crontab(5): where both days are restricted, either is enough; a field that begins with a star is not restricted.
    either_day = not any(parts[place].startswith("*") for place in (2, 4))
    return _Schedule(minutes, hours, days, months, weekdays, either_day)


def _values(text: str, field: _Field) -> Iterator[int]:
    for item in text.split(","):
        span, slash, step = item.partition("/")
        first, last = _span(span, field)
        every = _step(step, field) if slash else 1
        if slash and span != "*" and "-" not in span:
            raise ValueError(f"the {field.name} has a step without a range such as {span}-{field.last}/{every}")
        yield from range(first, last + 1, every)


def _span(text: str, field: _Field) -> tuple[int, int]:
    if text == "*":
        return field.first, field.last
    first, dash, last = text.partition("-")
    low = _value(first, field)
    high = _value(last, field) if dash else low
    if low > high:
        raise ValueError(f"the {field.name} has a range that runs backwards, {low}-{high}")
    return low, high


def _value(text: str, field: _Field) -> int:
    if text in field.words:
        return field.first + field.words.index(text)
    if not (text.isascii() and text.isdigit() and len(text) <= 2):  # noqa: PLR2004  # no field counts beyond 59
        words = f" or a name such as {field.words[1]}" if field.words else ""
        raise ValueError(f"the {field.name} is neither * nor a number from {field.first} to {field.last}{words}")
    if not field.first <= int(text) <= field.last:
        raise ValueError(f"the {field.name} {int(text)} is not within {field.first}-{field.last}")
    return int(text)


def _step(text: str, field: _Field) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and 1 <= int(text) <= field.last):  # noqa: PLR2004  # the same
        raise ValueError(f"the {field.name} has a step that is no number from 1 to {field.last}")
    return int(text)
