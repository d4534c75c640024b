"""Windows along a cursor: which rows one landing takes.

A window is half open, as Looker's filters `A to B` and `[A,B)` are (Looker docs, "filter expressions"): `begin` is in,
`end` is out. The end of one window is the beginning of the next, so no row is lost between two or is in both.
"""

from collections.abc import Sequence

import msgspec

from common.bridge_yaml import Step
from common.loads.positions import CursorPosition
from common.platform.errors import WindowIgnored


class Window(msgspec.Struct, frozen=True):
    """All rows whose cursor is at `begin` or later, and before `end`."""

    begin: CursorPosition
    end: CursorPosition

    def filter(self) -> str:
        """Return the window as a Looker filter expression."""
        return self.begin.filter_to(self.end)

    def first_half(self, reached: CursorPosition) -> "Window | None":
        """Return the window up to halfway between `reached`, before which all rows have landed, and the end."""
        end = reached.halfway(self.end)
        return Window(self.begin, end) if reached < end < self.end else None

    def widened(self, length: Step) -> "Window":
        """Return the window with one more of this length before it and after it."""
        return Window(self.begin.advance(length, -1).shown_once(), self.end.advance(length, 1).shown_once())

    def texts(self) -> list[str]:
        return [str(self.begin), str(self.end)]

    def expect(self, values: Sequence[str]) -> None:
        """Raise WindowIgnored if a cursor value is outside the window, because Looker did not apply the filter."""
        if not values:
            return
        try:
            is_inside = self.begin.bounds(self.end, values)
        except (ValueError, ArithmeticError):
            raise WindowIgnored("Looker sent rows whose cursor is empty, or is neither a time nor a number.") from None
        if not is_inside:
            raise WindowIgnored(f"Looker sent rows from outside the window {' to '.join(self.texts())}.")


def next_window(
    start: CursorPosition,
    landed: CursorPosition | None,
    horizon: CursorPosition,
    length: Step,
    overlap: Step | None = None,
) -> Window | None:
    """Return the window after what has landed, or None if there is nothing left to read.

    Args:
        start: where the first window of all begins.
        landed: the end of the last window that landed; None if none has.
        horizon: no window reads beyond this.
        overlap: how much of what has landed is read again, for rows that came late.
    """
    reached = start if landed is None else landed
    begin = reached
    if overlap is not None and landed is not None:
        begin = max(landed.go_back(overlap), min(start, landed))
    end = max(reached, min(_border_after(reached, start, length), horizon))
    return Window(begin, end) if begin < end else None


def _border_after(reached: CursorPosition, start: CursorPosition, length: Step) -> CursorPosition:
    """Borders count from the start, so that windows of a month from the 31st end on the last day of each month."""
    steps = max(0, start.count_steps(reached, length))
    while not reached < (border := start.advance(length, steps)):
        steps += 1
    return border.shown_once(move_hours=1)
