"""A function as deployed: behind functions-framework, in a separate process."""

import contextlib
import dataclasses
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

from .contenders import ContenderFailed, Cost

FUNCTIONS = Path(__file__).parents[2] / "functions"
_SLOWEST_START_S = 30
_THREADS = "8"
"The default of functions-framework on two cores, here used on every machine."


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclasses.dataclass(frozen=True)
class ServedFunction:
    """A function in a process of its own."""

    port: int
    pid: int
    "Of gunicorn's first process, whose child serves the function."

    def peak_bytes(self) -> int:
        """The most memory that the serving process has held; on Linux."""
        found = re.search(r"VmHWM:\s+(\d+) kB", (self._child() / "status").read_text())
        assert found
        return int(found[1]) * 1024

    def cpu_s(self) -> float:
        """The CPU time of the serving process so far; on Linux."""
        # proc(5): utime and stime follow the name in parentheses as the twelfth and the thirteenth field.
        fields = (self._child() / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _child(self) -> Path:
        (child,) = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return Path(f"/proc/{child}")


@contextlib.contextmanager
def function(source: Path, environment: Mapping[str, str], port: int | None = None) -> Iterator[int]:
    """Serve the function that has the name of the file, and yield its port when it listens."""
    with process_of(source, environment, port) as served:
        yield served.port


@contextlib.contextmanager
def process_of(source: Path, environment: Mapping[str, str], port: int | None = None) -> Iterator[ServedFunction]:
    """Serve the function that has the name of the file, and yield it when it listens."""
    port = port or free_port()
    given = [f"--target={source.stem}", f"--source={source}", "--host=127.0.0.1", f"--port={port}"]
    with subprocess.Popen(
        [sys.executable, "-m", "functions_framework", *given],
        env={**os.environ, "BRIDGE_LOG_LEVEL": "ERROR", "THREADS": _THREADS, **environment},
    ) as process:
        try:
            wait_until_it_listens(process, port)
            yield ServedFunction(port, process.pid)
        finally:
            process.terminate()


@contextlib.contextmanager
def calls_of(function: str, environment: Mapping[str, str]) -> Iterator[Callable[[str], tuple[Cost, str]]]:
    """Serve a function, and yield what calls it with a job: it returns the cost of the call, and the answer."""
    with process_of(FUNCTIONS / f"{function}.py", environment) as process:

        def call(job: str) -> tuple[Cost, str]:
            before_s, began_s = process.cpu_s(), time.perf_counter()
            with closing(http.client.HTTPConnection("127.0.0.1", process.port, timeout=600)) as connection:
                connection.request("POST", "/", json.dumps({"job": job}), {"Content-Type": "application/json"})
                answer = connection.getresponse().read().decode()
            wall_s = time.perf_counter() - began_s
            return Cost(wall_s, process.cpu_s() - before_s, process.peak_bytes()), answer

        yield call


def wait_until_it_listens(process: subprocess.Popen[bytes], port: int, every_s: float = 0.05) -> None:
    give_up_s = time.monotonic() + _SLOWEST_START_S
    while process.poll() is None and time.monotonic() < give_up_s:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(every_s)
    raise ContenderFailed("A function did not start; its output is above.")


def acknowledged_in_s(
    connection: http.client.HTTPConnection, relay: str, token: str, body: bytes | Iterator[bytes]
) -> float:
    """Post a delivery with a new webhook ID, an iterator in chunks; return the seconds until it is acknowledged."""
    headers = {
        "Content-Type": "application/json",
        "X-Looker-Webhook-Token": token,
        "X-Looker-Webhook-Id": uuid.uuid4().hex,
    }
    began_s = time.perf_counter()
    connection.request("POST", f"/{relay}", body, headers, encode_chunked=not isinstance(body, bytes))
    answer = connection.getresponse()
    said = answer.read()
    took_s = time.perf_counter() - began_s
    if answer.status != http.client.OK:
        raise ContenderFailed(f"A delivery was answered {answer.status}: {said.decode()}")
    return took_s
