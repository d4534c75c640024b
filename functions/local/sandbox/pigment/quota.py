"""So many a window, counted apart for each caller, and none beyond until the window is over."""

import threading
from collections.abc import Callable


class Quota:
    def __init__(self, limit: int | None, window_s: float, clock: Callable[[], float]) -> None:
        self.limit = limit
        "None takes everything."
        self._window_s = window_s
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}
        "When each window began, and what it took."
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
