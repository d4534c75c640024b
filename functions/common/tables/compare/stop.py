"""The end of a scan that nobody waits for any more."""

import threading

from common.tables.staging import ProgressCallback


class Unwanted(Exception):  # a signal between threads, which no user sees
    """Nobody waits for the rest of a scan."""


def unless(is_unwanted: threading.Event, progress: ProgressCallback) -> ProgressCallback:
    """Return a callback that ends a scan at its next piece, once it is unwanted; also one that has not begun yet."""

    def note(what: str, count: int) -> None:
        if is_unwanted.is_set():
            raise Unwanted
        progress(what, count)

    return note
