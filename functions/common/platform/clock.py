"""Clocks and deadlines. They are passed as arguments, so that tests do not wait and time budgets are explicit."""

import dataclasses
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the current time in UTC."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds from an arbitrary start. They never go back."""
        ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclasses.dataclass(frozen=True)
class Deadline:
    """The end of a time budget."""

    clock: Clock
    ends_s: float
    "In seconds of the clock's `monotonic_s`."

    @classmethod
    def after(cls, clock: Clock, budget_s: float) -> "Deadline":
        """Return the deadline for a budget that starts now."""
        return cls(clock, clock.monotonic_s() + budget_s)

    def remaining_s(self) -> float:
        """Return the seconds until the deadline; negative after it."""
        return self.ends_s - self.clock.monotonic_s()

    def allows(self, seconds: float) -> bool:
        """Whether something that takes `seconds` ends before the deadline."""
        return seconds < self.remaining_s()

    def earlier(self, seconds: float) -> "Deadline":
        """Return a deadline that is `seconds` earlier."""
        return dataclasses.replace(self, ends_s=self.ends_s - seconds)


def stamp(moment: datetime) -> str:
    """Format a time as in all objects of the bucket: RFC 3339 in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
