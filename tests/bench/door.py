"""The public function under slow callers and a slow Secret Manager: how soon a real delivery is acknowledged."""

import contextlib
import http.client
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

from common.storage import paths
from local import state_folder
from local.sandbox.secrets import SandboxSecrets
from local.sandbox.storage import SandboxStorage
from local.sandbox.wire import Server
from tests.support import slow_callers

from . import served, show, storage_site
from .contenders import ContenderFailed
from .served import ServedFunction

ROUNDS = 3
_CALLERS = 8
"As many as the function has threads."
_FLOOD_BYTES = 300_000_000
_SECRET_MANAGER_S = 19
_REREAD_EVERY_S = 5
_LONGEST_S = 2.0
_MOST_GROWTH_BYTES = 8_000_000

_TOKEN = "a-webhook-token"
_BODY = b'{"attachment": {"mimetype": "text/csv", "extension": "csv", "data": "Id\\n1\\n"}}'
_CONFIGURATION = "3fa85f64-5717-4562-b3fc-2c963f66afa6"


class DoorSites:
    """Cloud Storage and Secret Manager in this process, with a bridge.yaml of one relay."""

    def __init__(self, storage: str, secrets: Server) -> None:
        self.secrets = secrets
        self.environment = {
            "BRIDGE_BUCKET": state_folder.BUCKET,
            "GOOGLE_CLOUD_PROJECT": state_folder.PROJECT,
            "STORAGE_EMULATOR_HOST": storage,
            "SECRET_MANAGER_EMULATOR_HOST": secrets.url,
            "BRIDGE_LOG_LEVEL": "CRITICAL",
        }


def measure(rounds: int) -> None:
    situations: dict[str, Callable[[DoorSites, ServedFunction], float]] = {
        "nobody else": lambda _, receive: _acknowledged_in_s(receive),
        f"{_CALLERS} that send a byte at a time without the token": lambda _, receive: _beside_slow(receive, "wrong"),
        f"{_CALLERS} that send a byte at a time with the token": lambda _, receive: _beside_slow(receive, _TOKEN),
        f"{_CALLERS} with wrong tokens, Secret Manager taking {_SECRET_MANAGER_S} s": _beside_wrong_tokens,
    }
    table = show.table("A delivery beside other callers", "other callers", "acknowledged after ms")
    longest_s = 0.0
    with _sites() as sites:
        for name, situation in situations.items():
            every_s = [_in_new_process(sites, situation) for _ in range(rounds)]
            longest_s = max(longest_s, *every_s)
            table.add_row(name, show.spread([each_s * 1000 for each_s in every_s]))
        growths = [_in_new_process(sites, _growth_bytes) for _ in range(rounds)]
    show.console.print(table)
    show.goal(f"acknowledged within {_LONGEST_S} s", is_met=longest_s <= _LONGEST_S)
    sizes = show.spread([growth / 1e6 for growth in growths])
    show.console.print(f"Peak memory after {_FLOOD_BYTES / 1e6:.0f} MB without the token: {sizes} MB more.")
    show.goal(f"at most {_MOST_GROWTH_BYTES / 1e6:.0f} MB more", is_met=max(growths) <= _MOST_GROWTH_BYTES)


def _in_new_process(sites: DoorSites, situation: Callable[[DoorSites, ServedFunction], float]) -> float:
    with served.process_of(served.FUNCTIONS / "webhook_receive.py", sites.environment) as receive:
        _acknowledged_in_s(receive)  # now the token is in memory
        return situation(sites, receive)


def _beside_slow(receive: ServedFunction, token: str) -> float:
    head = _head(token, "Content-Length: 1000000")
    callers = [slow_callers.begin(receive.port, head, b"{") for _ in range(_CALLERS)]
    with slow_callers.dripping(callers):
        return _acknowledged_in_s(receive)


def _beside_wrong_tokens(sites: DoorSites, receive: ServedFunction) -> float:
    time.sleep(_REREAD_EVERY_S)
    asked, over = threading.Event(), threading.Event()

    def take_long() -> None:
        asked.set()
        over.wait(_SECRET_MANAGER_S)

    sites.secrets.fault("GET ", times=-1, act=take_long)
    head = _head("wrong", "Content-Length: 0")
    with ExitStack() as open_, ThreadPoolExecutor(_CALLERS) as pool:
        open_.callback(sites.secrets.heal)
        open_.callback(over.set)
        for _ in range(_CALLERS):
            pool.submit(slow_callers.exchange, receive.port, head)
        if not asked.wait(_SECRET_MANAGER_S):
            raise ContenderFailed("Secret Manager was not asked.")
        took_s = _acknowledged_in_s(receive)
        over.set()
    return took_s


def _growth_bytes(_: DoorSites, receive: ServedFunction) -> float:
    before = receive.peak_bytes()
    slow_callers.flood(receive.port, _head("wrong", "Transfer-Encoding: chunked"), _FLOOD_BYTES)
    return receive.peak_bytes() - before


def _acknowledged_in_s(receive: ServedFunction) -> float:
    with closing(http.client.HTTPConnection("127.0.0.1", receive.port, timeout=120)) as connection:
        return served.acknowledged_in_s(connection, "relay", _TOKEN, _BODY)


def _head(token: str, *lines: str) -> str:
    return "\n".join(["POST /relay HTTP/1.1", "Host: x", f"X-Looker-Webhook-Token: {token}", *lines])


@contextlib.contextmanager
def _sites() -> Iterator[DoorSites]:
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        closing(SandboxStorage(Path(folder))) as site,
        Server(site) as storage_server,
        Server(SandboxSecrets({"looker-webhook-token": _TOKEN})) as secrets_server,
    ):
        site.create_bucket(state_folder.BUCKET)
        sites = DoorSites(storage_server.url, secrets_server)
        bridge = {
            "looker": {"url": "https://looker.invalid", "credentials": "looker-api"},
            "pigment": {"import_key": "pigment-import-key"},
            "webhook": {"token": "looker-webhook-token"},
            "relays": {"relay": {"target": {"configuration": _CONFIGURATION}}},
        }
        storage_site.open_bucket(sites.environment).write_json(paths.CONFIG, bridge, over=None)
        yield sites
