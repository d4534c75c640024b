"""The schedules that Cloud Scheduler takes: unix-cron, five fields.

https://cloud.google.com/scheduler/docs/configuring/cron-job-schedules; names in capitals, as it asks for them there.
"""

from collections.abc import Iterator
from typing import NamedTuple

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_LONGEST = {1: 31, 2: 29, 3: 31, 4: 30, 5: 31, 6: 30, 7: 31, 8: 31, 9: 30, 10: 31, 11: 30, 12: 31}


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


def cron_fault(text: str) -> str | None:
    """Why this is no schedule, or None if it is one that comes round."""
    parts = text.split()
    if len(parts) != len(_FIELDS):
        return f"has {len(parts)} fields, not 5 (minute, hour, day of the month, month, day of the week)"
    try:
        _, _, days, months, _ = (set(_values(part, field)) for part, field in zip(parts, _FIELDS, strict=True))
    except ValueError as fault:
        return str(fault)
    if parts[4] == "*" and min(days) > max(_LONGEST[month] for month in months):
        return "never comes round: none of its months has such a day"
    return None


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
