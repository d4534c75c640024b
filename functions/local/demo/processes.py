"""The functions of the demo, each in a process of its own behind functions-framework, as they are deployed."""

import concurrent.futures
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import requests

from common.platform.errors import OurFault
from common.runs.leases import Journal
from common.runs.receipts import Receipt
from local import function_server
from local.demo.vendors import EXPORT, PULL
from local.state_folder import StateServices
from local.terminal import TerminalConsole

_STEPS = {
    (PULL, "reading"): "reading all rows from Looker, storing them as a file, checking it",
    (PULL, "pushing"): "pushing the file to Pigment",
    (PULL, "importing"): "waiting until Pigment has imported the file",
    (EXPORT, "reading"): "reading all rows from Pigment, checking them, storing them as a file",
    (EXPORT, "publishing"): "publishing the file under its name",
}
"The descriptions of a run's steps, by job and step."
_START_TIMEOUT_S = 30


@contextlib.contextmanager
def start(services: StateServices, folder: Path) -> Iterator[dict[str, str]]:
    """Start all functions and give the address of each. Their logs are files in the folder."""
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(_function(services, name, folder / f"{name}.log"))
            for name in function_server.ENTRY_POINTS.values()
        }


def call(console: TerminalConsole, address: str, job: str, lease: Path) -> Receipt:
    """Call a function and return its receipt. Meanwhile, show the steps of the run.

    Args:
        lease: the object in which the run records its current step.
    """
    with concurrent.futures.ThreadPoolExecutor(1) as pool, console.spinner("calling") as status:
        answer = pool.submit(requests.post, address, json={"job": job}, timeout=600)
        shown = ""
        while not answer.done():
            with contextlib.suppress(OSError, msgspec.DecodeError):
                step = msgspec.json.decode(lease.read_bytes(), type=Journal).step
                description = _STEPS.get((job, step), step)
                if description != shown:
                    status.say(description)
                    if not console.is_terminal:
                        console.print(f"  {description}")
                    shown = description
            time.sleep(0.05)
        body = answer.result().json()
    return msgspec.convert(body.get("receipt", body), Receipt)


@contextlib.contextmanager
def _function(services: StateServices, name: str, log: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    source = function_server.FUNCTIONS / f"{name}.py"
    arguments = [f"--target={name}", f"--source={source}", "--host=127.0.0.1", f"--port={port}"]
    with log.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603  # our own interpreter, our own function
            [sys.executable, "-m", "functions_framework", *arguments],
            env={**os.environ, **services.environment(), "PYTHONWARNINGS": "default"},
            stdout=file,
            stderr=file,
        )
        try:
            _wait_until_it_listens(process, port, log)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
            process.wait()


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline_s:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise OurFault("The function did not start.", next_step=f"Read {log}.")
