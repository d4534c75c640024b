"""A function in a process of its own, which dies at a chosen side effect."""

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from local.sandbox.wire import Server

STORAGE_WRITES = r"(POST|PUT|DELETE) /(upload/)?storage"
AT_EVERY_WRITE = [pytest.param(True, id="after"), pytest.param(False, id="before", marks=pytest.mark.slow)]
"Before a write the bucket is as it was after the one before it, so that this half can be left to the slow proofs."

_PREAMBLE = """
import sys, datetime
from werkzeug.datastructures import Headers
from common.platform import clock
from common.runs import instance

class Morning(clock.SystemClock):
    "The day on which the test's own clock begins."
    def now(self):
        return datetime.datetime(2026, 3, 1, 6, 15, tzinfo=datetime.UTC)

instance.current = instance.Instance(Morning())
"""


def run_until_killed(script: str, server: Server, on: str, nth: int, *, after_effect: bool) -> bool:
    """Run a function in a process of its own that dies at its nth side effect; whether it came that far."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PREAMBLE + script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.DEVNULL,
    )

    def kill() -> None:
        process.send_signal(signal.SIGKILL)
        process.wait()

    how: dict[str, Any] = {"then": kill, "reset_after": True} if after_effect else {"act": kill, "reset_before": True}
    fault = server.fault(on, after=nth, **how)
    code = process.wait()
    server.faults.remove(fault)
    assert code == (-signal.SIGKILL if fault.hits else 0)
    return bool(fault.hits)
