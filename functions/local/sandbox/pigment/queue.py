"""The queue of accepted imports. Each configuration runs its imports one after the other, on its own thread."""

import collections
import threading
from collections.abc import Callable


class ImportQueue:
    def __init__(self, run: Callable[[str], None]) -> None:
        self._run = run
        self._waiting: dict[str, collections.deque[str]] = collections.defaultdict(collections.deque)
        self._running: set[str] = set()
        self._held: set[str | None] = set()
        "Configurations whose imports do not start; None stands for all."
        self._closed = False
        self._changed = threading.Condition()

    def add(self, configuration: str, import_id: str) -> None:
        with self._changed:
            self._waiting[configuration].append(import_id)
        self._wake(configuration)

    def hold(self, configuration: str | None) -> None:
        with self._changed:
            self._held.add(configuration)

    def release(self, configuration: str | None) -> None:
        with self._changed:
            self._held.discard(configuration)
            waiting = list(self._waiting)
        for each in waiting:
            self._wake(each)

    def wait_for(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for a condition, checked after every import; return False after the timeout."""
        with self._changed:
            return self._changed.wait_for(condition, timeout_s)

    def close(self) -> None:
        """Start no further import and wait for the running ones."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: not self._running)

    def _wake(self, configuration: str) -> None:
        with self._changed:
            if configuration in self._running or not self._may_run(configuration):
                return
            self._running.add(configuration)
        threading.Thread(target=self._drain, args=[configuration], daemon=True).start()

    def _drain(self, configuration: str) -> None:
        while import_id := self._next(configuration):
            self._run(import_id)
            with self._changed:
                self._changed.notify_all()

    def _next(self, configuration: str) -> str | None:
        with self._changed:
            if self._may_run(configuration):
                return self._waiting[configuration].popleft()
            self._running.discard(configuration)
            self._changed.notify_all()
            return None

    def _may_run(self, configuration: str) -> bool:
        return bool(self._waiting[configuration]) and not self._closed and self._held.isdisjoint({configuration, None})
