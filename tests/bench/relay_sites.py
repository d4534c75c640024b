"""Cloud Storage, Secret Manager and Pigment in one separate process, with a bridge.yaml of one relay."""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from common.storage import paths
from common.storage.bucket import Bucket
from local import state_folder
from local.inbox_notifier import InboxNotifier
from local.sandbox.pigment import SandboxPigment
from local.sandbox.storage import Notice
from local.sandbox.wire import Server

from . import rows
from .contenders import ContenderFailed

RELAY = "flights"
TOKEN = "a-webhook-token"


class Closed(msgspec.Struct, frozen=True):
    """A delivery that has left the inbox."""

    name: str
    outcome: str


class RelaySites:
    """The environment of a function that uses these sites, and the deliveries that leave the inbox."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.environment = msgspec.json.decode(self._line(), type=dict[str, str])

    def wake(self, address: str) -> None:
        """Call `webhook_deliver` for every new delivery in the inbox from now on."""
        assert self._process.stdin
        self._process.stdin.write(f"{address}\n".encode())
        self._process.stdin.flush()

    def next_closed(self) -> Closed:
        """Wait until a delivery leaves the inbox. The sites report it immediately, without polling."""
        return msgspec.json.decode(self._line(), type=Closed)

    def _line(self) -> bytes:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise ContenderFailed("The sandbox process ended; its output is above.")
        return line


@contextlib.contextmanager
def running() -> Iterator[RelaySites]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        command = [sys.executable, "-m", __name__, folder]
        # The process ends when its standard input closes, even if this process is killed.
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            yield RelaySites(process)


def _serve(folder: Path) -> None:
    pigment = SandboxPigment(requests_per_5_minutes=None, imports_per_hour=None)
    block = pigment.block(pigment.application("Planning"), "Flights")
    configuration = pigment.configuration_from_header(block, rows.HEADER, clear="all")
    secrets = {"looker-webhook-token": TOKEN, "pigment-import-key": pigment.key(["Import"])}
    notifier = InboxNotifier()

    def on_arrival(notice: Notice) -> None:
        notifier.on_finalize(notice)
        if notice.name.startswith(("delivered/", "dead/")):
            _say(Closed(notice.name, notice.metadata.get("outcome", "")))

    with pigment, Server(pigment) as server, state_folder.serve(folder, secrets, on_arrival) as here:
        bridge = {
            "looker": {"url": "https://looker.invalid", "credentials": "looker-api"},
            "pigment": {"url": server.url, "import_key": "pigment-import-key"},
            "webhook": {"token": "looker-webhook-token"},
            "relays": {RELAY: {"target": {"configuration": configuration, "repeatable": True}}},
        }
        Bucket(state_folder.BUCKET).write_json(paths.CONFIG, bridge, over=None)
        _say(here.environment())
        address = sys.stdin.readline().strip()
        if address:
            with contextlib.closing(notifier.start(address)):
                sys.stdin.read()


def _say(value: object) -> None:
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
