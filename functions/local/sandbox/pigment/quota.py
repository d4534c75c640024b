"""A limit on calls per time window, counted for each caller."""

import threading
from collections.abc import Callable


class Quota:
    def __init__(self, limit: int | None, window_s: float, clock: Callable[[], float]) -> None:
        self.limit = limit
        "None means no limit."
        self._window_s = window_s
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}
        "The start of each window and the number of calls in it."
        self._lock = threading.Lock()

    def allows(self, caller: str) -> bool:
        now = self._clock()
        with self._lock:
            began, taken = self._windows.get(caller, (now, 0))
            if now >= began + self._window_s:
                began, taken = now, 0
            if self.limit is not None and taken >= self.limit:
                return False
            self._windows[caller] = (began, taken + 1)
            return True
