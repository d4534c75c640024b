"""The command line `bridge`, run in this process or in a separate one."""

import contextlib
import contextvars
import io
import logging
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

import pytest

from common.platform.clock import Clock
from common.runs import instance
from common.runs.instance import Instance
from local import cli
from tests.support.world import World

BRIDGE = str(Path(sys.executable).parent / "bridge")


class CommandResult(NamedTuple):
    status: int
    output: str
    errors: str


def local_environment(world: World) -> dict[str, str]:
    """Return the environment without the world's bucket, so that commands use a local bridge."""
    return {name: value for name, value in os.environ.items() if name not in world.environment()}


def run(world: World, *arguments: str, typed: str = "") -> CommandResult:
    """Run a command on the local bridge in the folder `home` of the world, in this process.

    Args:
        typed: the content of standard input.
    """
    with contextlib.chdir(world.folder):
        return _run_here([*arguments, "--state", "home"], local_environment(world), typed)


def run_in(folder: Path, *arguments: str, **environment: str) -> CommandResult:
    """Run a command on the local bridge in a folder that is no world, in this process."""
    with contextlib.chdir(folder):
        return _run_here(arguments, {**os.environ, **environment}, "")


def run_at_terminal(world: World, typed: str, *arguments: str) -> tuple[int, str]:
    """Do the same as `run` at a terminal. Return the exit status and the text on the terminal, without its styles."""
    with contextlib.chdir(world.folder):
        status, text = _run_at_terminal([*arguments, "--state", "home"], local_environment(world), typed)
    return status, re.sub(r"\x1b\[[0-9;]*m", "", text)


def run_deployed(*arguments: str, clock: Clock | None = None) -> CommandResult:
    """Run a command in this process on the world's own bucket, as an operator of a deployed bridge does."""
    return _run_here(arguments, os.environ, "", clock)


def run_deployed_at_terminal(*arguments: str, clock: Clock | None = None) -> str:
    """Do the same at a terminal, and return all that the terminal received, with its styles."""
    return _run_at_terminal(arguments, os.environ, "", clock)[1]


def run_process(world: World, *arguments: str, state: str = "home") -> CommandResult:
    """Do the same as `run` in a separate process, on the local bridge in the folder `state`."""
    done = subprocess.run(
        [BRIDGE, *arguments, "--state", state],
        cwd=world.folder,
        env=local_environment(world),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return CommandResult(done.returncode, done.stdout, done.stderr)


def _run_here(
    arguments: Sequence[str], environment: Mapping[str, str], typed: str, clock: Clock | None = None
) -> CommandResult:
    raw = io.BytesIO(typed.encode()), io.BytesIO(), io.BytesIO()
    streams = [io.TextIOWrapper(each, encoding="utf-8", write_through=True) for each in raw]
    status = _main(arguments, environment, streams, clock)
    return CommandResult(status, raw[1].getvalue().decode(), raw[2].getvalue().decode())


def _run_at_terminal(
    arguments: Sequence[str], environment: Mapping[str, str], typed: str, clock: Clock | None = None
) -> tuple[int, str]:
    controller, terminal = pty.openpty()
    os.write(controller, typed.encode())
    with open(terminal, "r+b", buffering=0) as raw:  # noqa: PTH123  # a descriptor
        streams = [io.TextIOWrapper(raw, encoding="utf-8", write_through=True) for _ in range(3)]
        shown = bytearray()
        reader = threading.Thread(target=_read_until_null, args=(controller, shown))
        reader.start()
        status = _main(arguments, environment, streams, clock)
        for stream in streams:
            stream.detach()
        os.write(terminal, b"\0")
        reader.join()
    os.close(controller)
    return status, shown.decode().removesuffix("\0").replace("\r\n", "\n")


def _read_until_null(descriptor: int, shown: bytearray) -> None:
    """Read while the command writes: a terminal takes only a few kilobytes that nobody reads."""
    while not shown.endswith(b"\0"):
        shown += os.read(descriptor, 65536)


def _main(
    arguments: Sequence[str], environment: Mapping[str, str], streams: Sequence[TextIO], clock: Clock | None = None
) -> int:
    with _process_state(environment, clock):
        before = sys.stdin, sys.stdout, sys.stderr
        sys.stdin, sys.stdout, sys.stderr = streams
        try:
            with pytest.raises(SystemExit) as end:
                contextvars.copy_context().run(cli.main, arguments)
        finally:
            sys.stdin, sys.stdout, sys.stderr = before
    assert isinstance(end.value.code, int), end.value.code
    return end.value.code


@contextlib.contextmanager
def _process_state(environment: Mapping[str, str], clock: Clock | None) -> Iterator[None]:
    """Set the environment, instance and logging of a new process, and restore them at the end."""
    root = logging.getLogger()
    before = (dict(os.environ), instance.current, root.handlers, root.level)
    _set_environment(environment)
    instance.current = Instance(clock)
    try:
        yield
    finally:
        before_environment, instance.current, root.handlers, level = before
        root.setLevel(level)
        _set_environment(before_environment)


def _set_environment(environment: Mapping[str, str]) -> None:
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)
