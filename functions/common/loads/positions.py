"""Positions along the cursor of an incremental load: moments and numbers behind one protocol.

A moment is a wall-clock time in the query's time zone, because Looker's filters are. Clocks skip some times and repeat
others; a window never begins or ends at one of these, because such a time does not name one instant.
"""

import calendar
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Protocol, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from common import bridge_yaml
from common.bridge_yaml import Grain, Step
from common.platform.errors import CursorUnfit
from common.runs.cursors import CursorColumn

_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_FORMATS: dict[Grain, str] = {
    "second": "%Y-%m-%d %H:%M:%S",
    "minute": "%Y-%m-%d %H:%M",
    "hour": "%Y-%m-%d %H",
    "day": "%Y-%m-%d",
}
"How Looker writes a time of each grain."
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9:.]+)?(?: ?(?:Z|UTC|\+00(?::?00)?))?")


class CursorPosition(Protocol):
    """A position along a cursor. Its text is what Looker writes, and what a receipt and the bucket store."""

    def __lt__(self, other: Self, /) -> bool: ...

    def filter_to(self, end: Self) -> str:
        """Return the Looker filter for all values from this position up to, but not including, `end`."""

    def bounds(self, end: Self, values: Sequence[str]) -> bool:
        """Tell if all values, as Looker writes them, lie from here up to, but not including, `end`. Raises ValueError
        or ArithmeticError for a value of another kind.
        """

    def advance(self, step: Step, times: int) -> Self:
        """Return the position some steps later."""

    def go_back(self, step: Step | None) -> Self:
        """Return the position one step earlier (or this one), rounded down to where a window may begin or end."""

    def count_steps(self, end: Self, step: Step) -> int:
        """Count the whole steps up to `end`. The result may be one too low."""

    def shown_once(self, move_hours: int = -1) -> Self:
        """Return this position, or the nearest one whole hours away that the clocks show exactly once."""

    def halfway(self, end: Self) -> Self:
        """Return a position between this one and `end` where a window may end; this one or an earlier one if there is
        none.
        """

    def in_zone(self, zone: ZoneInfo) -> Self:
        """Return the same instant, or one shortly before it, on the clocks of another time zone."""


class Number(msgspec.Struct, frozen=True):
    value: int

    def __str__(self) -> str:
        return str(self.value)

    def __lt__(self, other: Self) -> bool:
        return self.value < other.value

    def filter_to(self, end: Self) -> str:
        return f"[{self},{end})"

    def bounds(self, end: Self, values: Sequence[str]) -> bool:
        try:
            numbers: list[int] | list[Decimal] = list(map(int, values))
        except ValueError:
            numbers = list(map(Decimal, values))
        return self.value <= min(numbers) and max(numbers) < end.value

    def advance(self, step: Step, times: int) -> Self:
        return msgspec.structs.replace(self, value=self.value + step.amount * times)

    def go_back(self, step: Step | None) -> Self:
        return self.advance(step, -1) if step else self

    def count_steps(self, end: Self, step: Step) -> int:
        return (end.value - self.value) // step.amount

    def shown_once(self, move_hours: int = -1) -> Self:  # noqa: ARG002  # no clock shows it
        return self

    def halfway(self, end: Self) -> Self:
        return msgspec.structs.replace(self, value=(self.value + end.value) // 2)

    def in_zone(self, zone: ZoneInfo) -> Self:  # noqa: ARG002
        return self


class Moment(msgspec.Struct, frozen=True):
    """A position along a cursor of times: a wall-clock time in a time zone, and the smallest step of the cursor."""

    wall: datetime
    grain: Grain
    zone: ZoneInfo

    def __str__(self) -> str:
        return self.wall.strftime(_FORMATS[self.grain])

    def __lt__(self, other: Self) -> bool:
        return self.wall < other.wall

    def filter_to(self, end: Self) -> str:
        return f"{self} to {end}"

    def bounds(self, end: Self, values: Sequence[str]) -> bool:
        # Texts of one format sort as the times they mean.
        first, last = (_cut(value, len(str(self))) for value in (min(values), max(values)))
        return str(self) <= first and last < str(end)

    def advance(self, step: Step, times: int) -> Self:
        return self._at(_advance(self.wall, step, times))

    def go_back(self, step: Step | None) -> Self:
        if step is None:
            earlier = self.wall
        elif step.unit in ("second", "minute", "hour"):
            # Hours that have passed, whatever the clocks did meanwhile.
            instant = _advance(self.wall.replace(tzinfo=self.zone).astimezone(UTC), step, -1)
            earlier = instant.astimezone(self.zone).replace(tzinfo=None)
        else:
            earlier = _advance(self.wall, step, -1)
        return self._at(earlier).shown_once()

    def count_steps(self, end: Self, step: Step) -> int:
        if step.unit in _MONTHS:
            months = (end.wall.year - self.wall.year) * 12 + end.wall.month - self.wall.month
            return months // (step.amount * _MONTHS[step.unit]) - 1
        return (end.wall - self.wall) // timedelta(seconds=step.amount * _SECONDS[step.unit])

    def shown_once(self, move_hours: int = -1) -> Self:
        wall = self.wall
        while depends_on_zone(self.grain) and not _is_shown_once(wall, self.zone):
            wall += timedelta(hours=move_hours)
        return msgspec.structs.replace(self, wall=wall)

    def halfway(self, end: Self) -> Self:
        return self._at(self.wall + (end.wall - self.wall) / 2).shown_once()

    def in_zone(self, zone: ZoneInfo) -> Self:
        # Also of a date: Looker shows the day of a time in the query's time zone.
        local = self.wall.replace(tzinfo=self.zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None)
        return msgspec.structs.replace(self, wall=_floor(local, self.grain), zone=zone).shown_once()

    def _at(self, wall: datetime) -> Self:
        return msgspec.structs.replace(self, wall=_floor(wall, self.grain))


def position(value: bridge_yaml.Position, column: CursorColumn) -> CursorPosition | None:
    """Return a value as a position; None if its kind is not the cursor's. Raises CursorUnfit for an unknown zone."""
    if not fits(value, column.grain):
        return None
    if isinstance(value, int):
        return Number(value)
    return Moment(_floor(value, column.grain), column.grain, zone_named(column.time_zone))


def parse(text: str, column: CursorColumn) -> CursorPosition | None:
    """Return a position from its text, as `position` does."""
    return position(parse_value(text), column)


def parse_value(text: str) -> bridge_yaml.Position:
    """Return the time or the number that a position's text means."""
    return int(text) if re.fullmatch(r"-?[0-9]+", text) else datetime.fromisoformat(text)


def now(instant: datetime, column: CursorColumn) -> Moment:
    """Return an instant on the clocks of a cursor of times. It is more exact than the cursor's own values."""
    zone = zone_named(column.time_zone)
    return Moment(instant.astimezone(zone).replace(tzinfo=None), column.grain, zone)


def fits(value: bridge_yaml.Position, grain: Grain) -> bool:
    """Tell if a value is of the kind of a cursor's values: a number or a time."""
    return isinstance(value, int) == (grain == "number")


def depends_on_zone(grain: Grain) -> bool:
    """Tell if a cursor's values mean another instant in another time zone."""
    return grain not in ("number", "day")


def is_shorter(step: Step, grain: Grain) -> bool:
    """Tell if a step is shorter than the smallest step of a cursor."""
    return step.unit in _SECONDS and step.amount * _SECONDS[step.unit] < _SECONDS.get(grain, 0)


def zone_named(name: str) -> ZoneInfo:
    """Raise CursorUnfit if there is no such time zone."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        next_step = "Set source.query_timezone to an IANA name such as Europe/Paris."
        raise CursorUnfit(f"The time zone {name} of the query is unknown.", next_step=next_step) from None


def _advance(time: datetime, step: Step, times: int) -> datetime:
    """Return the time some steps later. A month after the 31st is the last day of the next month."""
    if step.unit in _SECONDS:
        return time + timedelta(seconds=step.amount * times * _SECONDS[step.unit])
    years, month = divmod(time.month - 1 + step.amount * times * _MONTHS[step.unit], 12)
    year = time.year + years
    day = min(time.day, calendar.monthrange(year, month + 1)[1])
    return time.replace(year=year, month=month + 1, day=day)


def _floor(wall: datetime, grain: Grain) -> datetime:
    midnight = datetime(1, 1, 1)  # noqa: DTZ001  # a wall-clock time
    return wall - (wall - midnight) % timedelta(seconds=_SECONDS[grain])


def _is_shown_once(wall: datetime, zone: ZoneInfo) -> bool:
    """Tell if the clocks show a time exactly once. The two readings of any other time differ (PEP 495)."""
    return wall.replace(tzinfo=zone, fold=0).utcoffset() == wall.replace(tzinfo=zone, fold=1).utcoffset()


def _cut(time: str, length: int) -> str:
    if not _TIME.fullmatch(time):
        raise ValueError
    return time.replace("T", " ")[:length]
