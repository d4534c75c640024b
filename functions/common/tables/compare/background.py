"""A computation in a thread, for as long as somebody waits for its result."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, Self, TypeVar

from common.tables.staging import ProgressCallback

T = TypeVar("T")

_FOR_ENDING_S = 1.0
"""For how long whoever leaves waits for the thread. A piece takes milliseconds. But a read that Cloud Storage does not
answer takes as long as Google's client has patience, and no run may end so late; the thread, which only reads, may."""


class Background(Generic[T]):
    """The computation ends at its next piece once the `with` block is left, also if it has not begun its first one. If
    it waits for Cloud Storage at that moment, it ends after the block.

    Args:
        name: of the thread.
        compute: it is given the callback to which it reports its progress.
        progress: is told of it.
    """

    def __init__(self, name: str, compute: Callable[[ProgressCallback], T], progress: ProgressCallback) -> None:
        self._pool = ThreadPoolExecutor(1, name)
        self._compute = compute
        self._progress = progress
        self._is_unwanted = threading.Event()
        self._computed: Future[T] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_unwanted.set()
        has_ended = self._computed is None or bool(wait([self._computed], _FOR_ENDING_S).done)
        self._pool.shutdown(wait=has_ended)

    @property
    def has_begun(self) -> bool:
        return self._computed is not None

    def begin(self) -> Future[T]:
        """Begin, unless it has begun."""
        if self._computed is None:
            self._computed = self._pool.submit(self._compute, self._note)
        return self._computed

    def result(self, timeout_s: float | None = None) -> T:
        """Begin, unless it has begun, and wait. Raises what the computation raises, and TimeoutError."""
        return self.begin().result(timeout_s)

    def _note(self, what: str, count: int) -> None:
        if self._is_unwanted.is_set():
            raise _Unwanted
        self._progress(what, count)


class _Unwanted(Exception):
    """A signal between threads, which no user sees."""
