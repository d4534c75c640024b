"""Windows along a cursor: which rows a landing takes, and how Looker is asked for them.

A window is half open, `begin` in and `end` out, as Looker's `A to B` and `[A,B)` are (Looker docs, "filter
expressions"): the end of one is the beginning of the next, and no row falls between two or into both.

A time here is a wall clock in the query's time zone, since that is what Looker's filters are. A border never stands at
a time that the clocks skip or repeat, where two readers could mean two moments by it.
"""

import calendar
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from common.bridge_yaml import Incremental, Step
from common.platform.errors import CursorUnfit, WindowIgnored

Grain = Literal["number", "second", "minute", "hour", "day"]
"The smallest step that a cursor's values take."

Position = Any
"A `config.Position`: a time or a number, which no load mixes (`config.rules`), so that two of them can be compared."

_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_FORMS: dict[Grain, str] = {
    "second": "%Y-%m-%d %H:%M:%S",
    "minute": "%Y-%m-%d %H:%M",
    "hour": "%Y-%m-%d %H",
    "day": "%Y-%m-%d",
}
"How Looker writes a time of each grain."
_LENGTHS = {"second": 19, "minute": 16, "hour": 13, "day": 10}
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9:.]+)?(?: ?Z| UTC)?")


class Window(msgspec.Struct, frozen=True):
    """Rows whose cursor is `begin` or more, and less than `end`."""

    begin: Position
    end: Position
    grain: Grain

    def expression(self) -> str:
        """As a filter of Looker's."""
        begin, end = self.texts()
        return f"[{begin},{end})" if self.grain == "number" else f"{begin} to {end}"

    def texts(self) -> list[str]:
        return [written(self.begin, self.grain), written(self.end, self.grain)]

    def expect(self, values: Sequence[str]) -> None:
        """See that rows lie within; their values as Looker writes them.

        Raises:
            WindowIgnored: one of them does not, so that Looker did not filter as it was asked.
        """
        if not values:
            return
        try:
            held = self._holds_numbers(values) if self.grain == "number" else self._holds_times(values)
        except (ValueError, InvalidOperation):
            raise WindowIgnored("Looker sent rows whose cursor is empty, or is neither a time nor a number.") from None
        if not held:
            raise WindowIgnored(f"Looker sent rows from outside the window {' to '.join(self.texts())}.")

    def _holds_numbers(self, values: Sequence[str]) -> bool:
        try:
            numbers: list[int] | list[Decimal] = list(map(int, values))
        except ValueError:
            numbers = list(map(Decimal, values))
        return bool(self.begin <= min(numbers) and max(numbers) < self.end)

    def _holds_times(self, values: Sequence[str]) -> bool:
        """Texts of one form sort as the times they mean."""
        first, last = (_cut(value, self.grain) for value in (min(values), max(values)))
        begin, end = self.texts()
        return begin <= first and last < end


def next_window(
    load: Incremental, grain: Grain, zone: ZoneInfo, landed: Position | None, horizon: Position, *, reach_back: bool
) -> Window | None:
    """The window after what has landed; None where there is nothing left to read.

    Args:
        horizon: what must not be read beyond.
        reach_back: whether to read the overlap again, for rows that came late.

    Raises:
        CursorUnfit: the window is shorter than the cursor's own steps.
    """
    start = floored(load.start, grain)
    reached = start if landed is None else landed
    begin = reached
    if reach_back and load.overlap is not None and landed is not None:
        begin = clear(floored(_before(reached, load.overlap, zone), grain), grain, zone)
        begin = max(begin, min(start, reached))
    end = max(reached, min(_border_after(reached, start, load.window, grain, zone), horizon))
    return Window(begin, end, grain) if begin < end else None


def horizon_of(now: datetime, delay: Step | None, grain: Grain, zone: ZoneInfo) -> datetime:
    """The latest time that may be read to: rows before it have settled."""
    local = now.astimezone(zone).replace(tzinfo=None)
    settled = _before(local, delay, zone) if delay is not None else local
    horizon: datetime = clear(floored(settled, grain), grain, zone)
    return horizon


def rezoned(position: Position, grain: Grain, before: str, after: ZoneInfo) -> Position:
    """The same moment, or one shortly before it, on the clocks of another time zone."""
    if not isinstance(position, datetime) or grain == "day":
        return position
    moment = position.replace(tzinfo=ZoneInfo(before)).astimezone(UTC)
    return clear(floored(moment.astimezone(after).replace(tzinfo=None), grain), grain, after)


def fits(position: Position, grain: Grain) -> bool:
    """Whether a position is of the kind that a cursor's values are: a number or a time."""
    return isinstance(position, int) == (grain == "number")


def written(position: Position, grain: Grain) -> str:
    return position.strftime(_FORMS[grain]) if isinstance(position, datetime) else str(position)


def read(text: str) -> Position:
    """What `written` wrote."""
    return int(text) if re.fullmatch(r"-?[0-9]+", text) else datetime.fromisoformat(text)


def moved(position: Position, step: Step, times: int) -> Position:
    """A step, or several, forwards or back; a month from the 31st ends on the last day there is."""
    if isinstance(position, int):
        return position + step.amount * times
    if step.unit in _SECONDS:
        return position + timedelta(seconds=step.amount * times * _SECONDS[step.unit])
    years, month = divmod(position.month - 1 + step.amount * times * _MONTHS[step.unit], 12)
    year = position.year + years
    day = min(position.day, calendar.monthrange(year, month + 1)[1])
    return position.replace(year=year, month=month + 1, day=day)


def _before(position: Position, step: Step, zone: ZoneInfo) -> Position:
    """A step back; hours are hours that have passed, whatever the clocks did meanwhile."""
    if step.unit not in ("second", "minute", "hour"):
        return moved(position, step, -1)
    moment = position.replace(tzinfo=zone).astimezone(UTC)
    return moved(moment, step, -1).astimezone(zone).replace(tzinfo=None)


def floored(position: Position, grain: Grain) -> Position:
    if isinstance(position, int):
        return position
    finer = {"day": 3, "hour": 4, "minute": 5}.get(grain, 6)
    return datetime(*position.timetuple()[:finer])  # noqa: DTZ001  # a wall clock


def clear(position: Position, grain: Grain, zone: ZoneInfo, hours: int = -1) -> Position:
    """The position, or the nearest one whole hours away that the clocks show exactly once; a day is always one."""
    while isinstance(position, datetime) and grain != "day" and not _is_shown_once(position, zone):
        position += timedelta(hours=hours)
    return position


def _is_shown_once(wall: datetime, zone: ZoneInfo) -> bool:
    """Both readings of a time that is skipped or repeated differ (PEP 495)."""
    return wall.replace(tzinfo=zone, fold=0).utcoffset() == wall.replace(tzinfo=zone, fold=1).utcoffset()


def _border_after(reached: Position, start: Position, window: Step, grain: Grain, zone: ZoneInfo) -> Position:
    """Borders count from the start, so that a window of a month from the 31st ends on the last of each month."""
    if grain != "number" and window.unit in _SECONDS and window.amount * _SECONDS[window.unit] < _SECONDS[grain]:
        raise CursorUnfit(f"The window of {window.amount} {window.unit} is shorter than the {grain} of the cursor.")
    steps = max(0, _steps_between(start, reached, window))
    border = floored(moved(start, window, steps), grain)
    while border <= reached:
        steps += 1
        border = floored(moved(start, window, steps), grain)
    return clear(border, grain, zone, hours=1)


def _steps_between(start: Position, reached: Position, window: Step) -> int:
    """Whole windows from one to the other, or one too few."""
    if window.unit in _MONTHS:
        months = (reached.year - start.year) * 12 + reached.month - start.month
        return int(months // (window.amount * _MONTHS[window.unit])) - 1
    each = window.amount if window.unit == "number" else timedelta(seconds=window.amount * _SECONDS[window.unit])
    return int((reached - start) // each)


def _cut(value: str, grain: Grain) -> str:
    if not _TIME.fullmatch(value):
        raise ValueError
    return value.replace("T", " ")[: _LENGTHS[grain]]
