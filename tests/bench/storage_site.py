"""Cloud Storage and Secret Manager in a process of their own, because the real ones share no lock with the vendors."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from google.cloud import storage

from common.platform import emulator
from common.storage.bucket import Bucket
from local import state_folder


@contextlib.contextmanager
def running(folder: Path, secrets: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Serve a folder, and yield the environment of a function that uses it."""
    command = [sys.executable, "-m", __name__, str(folder)]
    # The process ends when its standard input closes, even if this process is killed.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(msgspec.json.encode(secrets) + b"\n")
        process.stdin.flush()
        yield msgspec.json.decode(process.stdout.readline(), type=dict[str, str])


def open_bucket(environment: Mapping[str, str]) -> Bucket:
    """Return the bucket of a bridge whose functions have this environment."""
    client = storage.Client(
        project=environment["GOOGLE_CLOUD_PROJECT"],
        credentials=emulator.credentials(environment),
        client_options={"api_endpoint": environment["STORAGE_EMULATOR_HOST"]},
    )
    return Bucket(environment["BRIDGE_BUCKET"], client)


def _serve(folder: Path) -> None:
    secrets = msgspec.json.decode(sys.stdin.readline(), type=dict[str, str])
    with state_folder.serve(folder, secrets) as here:
        sys.stdout.write(msgspec.json.encode(here.environment()).decode() + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
