"""The relay with a backlog: how many calls of storage a landing costs, and how many land in a minute.

The deliveries are put straight into the sandbox's folder; a receiver would need an hour for them.
"""

import contextlib
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from common.flows.deliver import deliver, log_counts
from common.platform import log
from common.runs.instance import Instance
from common.storage import paths
from common.storage.bucket import Bucket
from local.sandbox.pigment import SandboxPigment
from local.sandbox.secrets import SandboxSecrets
from local.sandbox.storage import SandboxStorage
from local.sandbox.wire import Response, Server

from . import show

WAITING = 50_000
_FEW = 2_000
_BUDGET_S = 30.0
_BUCKET, _RELAY = "bucket", "sales"


class Landings(msgspec.Struct, frozen=True):
    """What one call of `webhook_deliver` did, until its time budget ended."""

    waiting: int
    landed: int
    wall_s: float
    cpu_s: float
    "Of this process, in which the sandboxes run too."
    calls: int
    listings: int
    calls_for_none: int
    "Of a further call of the function, during which Pigment refuses."


def measure(waiting: int) -> None:
    columns = "landed in a minute", "CPU time for each", "calls for each", "of these, listings", "calls that land none"
    table = show.table("backlog", "waiting", *columns)
    for each in (_landings(_FEW), _landings(waiting)):
        per_minute = f"{each.landed / each.wall_s * 60:,.0f}"
        per_landing = f"{each.calls / each.landed:.1f}", f"{each.listings / each.landed:.2f}"
        cpu_time = f"{each.cpu_s / each.landed * 1000:.0f} ms"
        table.add_row(f"{each.waiting:,}", per_minute, cpu_time, *per_landing, str(each.calls_for_none))
    show.console.print(table)


def _landings(waiting: int) -> Landings:
    pigment = SandboxPigment(requests_per_5_minutes=None, imports_per_hour=None)
    with TemporaryDirectory(prefix="bench-") as folder, pigment:
        with _serving(Path(folder), pigment):
            _write_jobs(pigment)
        _fill_inbox(Path(folder), waiting)
        with _serving(Path(folder), pigment) as (storage, pigment_server):
            storage.keep_bytes = 1
            instance = Instance()
            began_s, cpu_began_s = time.perf_counter(), time.process_time()
            counts = deliver(instance, instance.config(), _RELAY)
            wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_began_s
            listings = sum(each.method == "GET" and each.path.endswith("/o") for each in storage.exchanges)
            calls = len(storage.exchanges)
            pigment_server.fault(r"POST /api/v1/import/push/csv", times=-1, refuse=Response(429))
            log_counts(instance, deliver(instance, instance.config(), _RELAY), is_sweep=False)
        calls_for_none = len(storage.exchanges) - calls
        return Landings(waiting, counts.delivered, wall_s, cpu_s, calls, listings, calls_for_none)


@contextlib.contextmanager
def _serving(folder: Path, pigment: SandboxPigment) -> Iterator[tuple[Server, Server]]:
    """Serve the three sites, and let the functions of this process use them."""
    secrets = SandboxSecrets({"pigment-import-key": pigment.key(["Import"])})
    with (
        contextlib.closing(SandboxStorage(folder)) as site,
        Server(site) as storage,
        Server(secrets) as secrets_server,
        Server(pigment) as pigment_server,
    ):
        site.create_bucket(_BUCKET)
        os.environ |= {
            "BRIDGE_BUCKET": _BUCKET,
            "BRIDGE_DEADLINE_S": str(_BUDGET_S),
            "BRIDGE_LOG_LEVEL": "CRITICAL",
            "GOOGLE_CLOUD_PROJECT": "local",
            "SECRET_MANAGER_EMULATOR_HOST": secrets_server.url,
            "STORAGE_EMULATOR_HOST": storage.url,
        }
        log.configure()
        bucket = Bucket(_BUCKET)
        config = bucket.read_json(paths.CONFIG, dict)
        if config is not None:
            config.value["pigment"]["url"] = pigment_server.url
            bucket.write_json(paths.CONFIG, config.value, over=None)
        yield storage, pigment_server


def _write_jobs(pigment: SandboxPigment) -> None:
    block = pigment.block(pigment.application("Planning"), "Sales")
    target = {"configuration": pigment.configuration(block, ["Id", "Amount"])}
    jobs = {
        "pigment": {"url": "http://127.0.0.1", "import_key": "pigment-import-key"},
        "webhook": {"token": "looker-webhook-token"},
        "relays": {_RELAY: {"target": target}},
    }
    bucket = Bucket(_BUCKET)
    bucket.write_json(paths.CONFIG, jobs, over=None)
    attachment = {"mimetype": "text/csv", "extension": "csv", "data": "Id,Amount\n1,10\n"}
    body = json.dumps({"scheduled_plan": {"scheduled_plan_id": 7}, "attachment": attachment}).encode()
    bucket.create(paths.delivery("inbox", _RELAY, _name(0)), body, {}, content_type="application/json")


def _fill_inbox(folder: Path, waiting: int) -> None:
    """Copy the first delivery, as a row of the sandbox's database and a file of its content."""
    path = paths.delivery("inbox", _RELAY, _name(0))
    with contextlib.closing(sqlite3.connect(folder / ".storage.sqlite")) as database, database:
        generation, resource = database.execute(
            "SELECT generation, resource FROM versions WHERE name = ?", (path,)
        ).fetchone()
        for number in range(1, waiting):
            name = paths.delivery("inbox", _RELAY, _name(number))
            database.execute(
                "INSERT INTO versions VALUES (?, ?, ?, 1, ?)", (_BUCKET, name, generation + number, resource)
            )
            shutil.copyfile(folder / ".objects" / str(generation), folder / ".objects" / str(generation + number))


def _name(number: int) -> str:
    return f"20260301T0615{number:08}-{number:032x}"
