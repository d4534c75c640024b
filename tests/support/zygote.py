"""Calls functions and commands, each call in a separate process, which a test may kill.

The functions are imported once, and this process forks for every call, so that a call does not wait for the imports.
Each line on standard input is a call as JSON. The answer is a line with the child's process ID and, when the child has
ended, a line with its exit code: 0 for an answer of 200, 3 for any other, that of a command, or the negative number of
the signal that ended it.
"""

import contextlib
import datetime as dt
import json
import os
import sys
from pathlib import Path
from typing import Any

import functions_framework
import pytest

from common.platform.clock import SystemClock
from common.runs import instance
from local import cli
from local.function_server import ENTRY_POINTS, FUNCTIONS

BRIDGE = "bridge"
"Stands in a call in the place of a function; its body is the command."


class FixedClock(SystemClock):
    """A clock with the fixed time of the test's clock. It sleeps in real time; a file has the time of a stop."""

    def __init__(self, now: str, stopped_s: Path) -> None:
        self._now = dt.datetime.fromisoformat(now)
        self._stopped_s = stopped_s

    def now(self) -> dt.datetime:
        return self._now

    def monotonic_s(self) -> float:
        return super().monotonic_s() + float(self._stopped_s.read_text() if self._stopped_s.exists() else 0)


def call(apps: dict[str, Any], asked: dict[str, Any]) -> int:
    os.environ.update(asked["environment"])
    instance.current = instance.Instance(FixedClock(asked["now"], Path(asked["stopped_s"])))
    if asked["function"] == BRIDGE:
        return run_command(asked["body"].split())
    app = apps[asked["function"]]
    answer = app.test_client().post(asked["path"], data=asked["body"].encode(), headers=asked["headers"])
    return 0 if answer.status_code == 200 else 3


def run_command(arguments: list[str]) -> int:
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere), pytest.raises(SystemExit) as end:
        cli.main(arguments)
    return int(end.value.code or 0)


def main() -> None:
    apps = {
        name: functions_framework.create_app(function, str(FUNCTIONS / f"{function}.py"), "http")
        for name, function in ENTRY_POINTS.items()
    }
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if not child:
            os._exit(call(apps, asked))
        report(child)
        report(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def report(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
