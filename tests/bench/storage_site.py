"""Cloud Storage and Secret Manager in a process of their own, because the real ones share no lock with the vendors."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from local import state_folder


@contextlib.contextmanager
def running(folder: Path, secrets: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Serve a folder, use it in this process, and yield the environment of a function that uses it."""
    command = [sys.executable, "-m", __name__, str(folder)]
    # The process ends when its standard input closes, even if this process is killed.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(msgspec.json.encode(secrets) + b"\n")
        process.stdin.flush()
        environment = msgspec.json.decode(process.stdout.readline(), type=dict[str, str])
        os.environ.update(environment)
        yield environment


def _serve(folder: Path) -> None:
    secrets = msgspec.json.decode(sys.stdin.readline(), type=dict[str, str])
    with state_folder.serve(folder, secrets) as here:
        sys.stdout.write(msgspec.json.encode(here.environment()).decode() + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
