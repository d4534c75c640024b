"""A command that serves until it is stopped."""

import signal
import threading
from collections.abc import Callable

_SIGNAL_CHECK_S = 0.5


def run_until_signal(announce: Callable[[], None]) -> None:
    """Announce that the command is ready, then wait for SIGTERM or Ctrl-C."""
    received = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: received.set())
    # A caller may send the signal as soon as it has read the announcement.
    announce()
    # With a timeout: Python runs the handler of a signal that comes just before the wait only after the wait.
    while not received.wait(_SIGNAL_CHECK_S):
        pass
