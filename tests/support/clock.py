"""A clock that a test moves."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class FakeClock:
    """Time passes only when the code under test sleeps or a test advances the clock."""

    def __init__(self) -> None:
        self._now = datetime(2026, 3, 1, 6, 15, tzinfo=UTC)
        self._monotonic_s = 1000.0
        self._lock = threading.Lock()
        self.slept: list[float] = []
        self.meanwhile: Callable[[], None] = lambda: None
        "Called at each sleep, before time passes, for example to let Pigment's threads finish."

    def now(self) -> datetime:
        return self._now

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.meanwhile()
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._now += timedelta(seconds=seconds)
            self._monotonic_s += seconds


class ClockOff(FakeClock):
    """The clock of another instance: it shows another time than the bucket's clock, and moves with it."""

    def __init__(self, clock: FakeClock, off_s: float) -> None:
        super().__init__()
        self._clock, self._off = clock, timedelta(seconds=off_s)

    def now(self) -> datetime:
        return self._clock.now() + self._off

    def monotonic_s(self) -> float:
        return self._clock.monotonic_s()

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)
