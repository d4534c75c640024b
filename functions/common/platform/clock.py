"""Time as the bridge sees it: passed in, so that a test need not wait and a budget can be reasoned about."""

import dataclasses
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The time of day, in UTC."""
        ...

    def monotonic_s(self) -> float: ...

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
    """What is left of a call's time budget."""

    clock: Clock
    ends_s: float
    "On the clock's monotonic scale."

    @classmethod
    def after(cls, clock: Clock, budget_s: float) -> "Deadline":
        return cls(clock, clock.monotonic_s() + budget_s)

    def remaining_s(self) -> float:
        return self.ends_s - self.clock.monotonic_s()

    def allows(self, seconds: float) -> bool:
        return seconds < self.remaining_s()

    def earlier(self, seconds: float) -> "Deadline":
        """A deadline that leaves `seconds` for what comes after."""
        return dataclasses.replace(self, ends_s=self.ends_s - seconds)


def stamp(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, as every object in the bucket writes time."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
