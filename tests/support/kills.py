"""Calls in separate processes that are killed or stopped at a chosen request. All tests do this here."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self

import pytest

from local.sandbox.wire import Server
from tests.support.sites import WEBHOOK_TOKEN
from tests.support.world import World

When = Literal["before", "after"]

AT_EVERY_WRITE = [pytest.param("after", id="after"), pytest.param("before", id="before", marks=pytest.mark.slow)]
"Before a write the bucket is the same as after the previous write, so only the slow proofs test this half."

_JSON = {"Content-Type": "application/json"}


@dataclasses.dataclass(frozen=True)
class ProcessCall:
    """A call of a function, or of the command line."""

    function: str
    body: str
    path: str = "/"
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    clock_off_s: float = 0
    "How much the clock of the process differs from the bucket's."

    @classmethod
    def of_job(cls, function: str, job: str, headers: Mapping[str, str] | None = None, **more: Any) -> Self:
        """Return a call as Cloud Scheduler posts it."""
        return cls(function, json.dumps({"job": job, **more}), headers={**_JSON, **(headers or {})})

    @classmethod
    def of_delivery(cls, relay: str, body: bytes) -> Self:
        """Return a call as Looker posts it."""
        return cls("receive", body.decode(), f"/{relay}", {"X-Looker-Webhook-Token": WEBHOOK_TOKEN})

    @classmethod
    def of_command(cls, *arguments: str) -> Self:
        """Return a command as a person types it, on the deployed bridge."""
        return cls("bridge", " ".join(arguments))


DELIVER = ProcessCall("deliver", "{}", headers=_JSON)


@dataclasses.dataclass(frozen=True)
class StopPoint:
    """The nth request of a kind (from 0), before or after the server acts on it."""

    server: Server
    on: str
    nth: int
    when: When


class Processes:
    """Runs calls through `tests.support.zygote`."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._stopped_s = Path(self._folder.name) / "stopped_s"
        self._zygote = subprocess.Popen(
            [sys.executable, "-m", "tests.support.zygote"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._child: Future[int] = Future()

    def dies(self, world: World, call: ProcessCall, point: StopPoint) -> bool:
        """Make a call that is killed at a request; return False if it ended well without such a request."""
        how: dict[str, Any] = (
            {"then": self._kill, "reset_after": True}
            if point.when == "after"
            else {"act": self._kill, "reset_before": True}
        )
        fault = point.server.fault(point.on, after=point.nth, **how)
        code = self._run(world, call)
        point.server.faults.remove(fault)
        assert code == (-signal.SIGKILL if fault.hits else 0)
        return bool(fault.hits)

    def stalls(self, world: World, call: ProcessCall, point: StopPoint, meanwhile: Callable[[], object]) -> bool:
        """Make a call whose process is stopped at a request, call `meanwhile`, and continue the process.

        Return False if the call ended without such a request.
        """

        def stop() -> None:
            began_s = world.clock.monotonic_s()
            os.kill(self._child.result(10), signal.SIGSTOP)
            meanwhile()
            self._stopped_s.write_text(str(world.clock.monotonic_s() - began_s))
            os.kill(self._child.result(10), signal.SIGCONT)

        self._stopped_s.write_text("0")
        how = {"then" if point.when == "after" else "act": stop}
        fault = point.server.fault(point.on, after=point.nth, **how)
        code = self._run(world, call)
        point.server.faults.remove(fault)
        assert code >= 0, code
        return bool(fault.hits)

    def close(self) -> None:
        self._zygote.communicate()
        self._folder.cleanup()

    def _run(self, world: World, call: ProcessCall) -> int:
        """Return the exit code of a call, or the signal that ended it."""
        assert self._zygote.stdin
        assert self._zygote.stdout
        self._child = Future()
        asked = {
            **dataclasses.asdict(call),
            "environment": world.environment(),
            "now": (world.clock.now() + timedelta(seconds=call.clock_off_s)).isoformat(),
            "stopped_s": str(self._stopped_s),
        }
        self._zygote.stdin.write(json.dumps(asked) + "\n")
        self._zygote.stdin.flush()
        self._child.set_result(int(self._zygote.stdout.readline()))
        return int(self._zygote.stdout.readline())

    def _kill(self) -> None:
        os.kill(self._child.result(10), signal.SIGKILL)
