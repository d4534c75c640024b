"""A whole bridge for a test: sandboxed vendors, bucket and secrets on sockets, the functions behind their framework."""

import csv
import dataclasses
import json
import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from common.runs import instance
from common.runs.instance import Instance
from common.storage import paths
from common.storage.store import Store
from local.sandbox.looker import SandboxLooker
from local.sandbox.pigment import BlockColumn, SandboxImport, SandboxPigment
from local.sandbox.secrets import SandboxSecrets
from local.sandbox.storage import SandboxStorage
from local.sandbox.wire import Fault, Response, Server

CONFIGURATION = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
FIELDS = ("flights.day", "flights.carrier", "flights.origin", "flights.delay")
HEADER = ["Flights Day", "Flights Carrier", "Flights Origin", "Flights Delay"]
ROWS = [
    ["2013-01-01", "UA", "EWR", "2"],
    ["2013-01-01", "B6", "JFK", "-18"],
    ["2013-01-02", "AA", "LGA", ""],
    ["2013-01-02", "DL", 'Newark, "Liberty"', "7"],
    ["2013-01-03", "UA", "two\nlines", "0"],
]
LOOKER_SECRET = "a-looker-client-secret"
EXPORT_KEY = "the-export-key-of-the-instance"
VIEW = "9b2c6f5e-3c1d-4f68-9a57-0d5f6f2f9a11"
EXPORTS = r"(GET|POST) /api/(v1/)?export/"
WEBHOOK_TOKEN = "the-webhook-token-of-the-instance"
PIGMENT_KEY = "pgmt_ThisIsAnImportKeyOfTheSandbox"

PULL_RUN = r"POST /api/4\.0/queries/run/csv"
PUSH = r"POST /api/v1/import/push/csv"
STATUS = r"GET /api/v1/import/[^/]+/status"


class FakeClock:
    """Time that passes only when somebody sleeps; Pigment's worker threads get to finish meanwhile."""

    def __init__(self) -> None:
        self._now = datetime(2026, 3, 1, 6, 15, tzinfo=UTC)
        self._monotonic_s = 1000.0
        self._lock = threading.Lock()
        self.slept: list[float] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def now(self) -> datetime:
        return self._now

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.meanwhile()
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._now += timedelta(seconds=seconds)
            self._monotonic_s += seconds


@dataclasses.dataclass(frozen=True)
class FunctionAnswer:
    """What a function answered."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]

    @property
    def receipt(self) -> dict[str, Any]:
        receipt: dict[str, Any] = self.body.get("receipt", self.body)
        return receipt

    @property
    def error(self) -> dict[str, str]:
        error: dict[str, str] = self.body["error"]
        return error

    @property
    def code(self) -> str:
        return self.error["code"]


class World:
    """Everything a test needs to hand."""

    def __init__(self, folder: Path, addresses: dict[str, str], keep_bytes: int = 1 << 20) -> None:
        self.folder = folder
        self.addresses = addresses
        self.clock = FakeClock()
        self.pigment_is_held = False
        self.looker = SandboxLooker(
            client_id="bridge", client_secret=LOOKER_SECRET, clock=lambda: self.clock.now().timestamp()
        )
        self.pigment = SandboxPigment(clock=lambda: self.clock.now().timestamp())
        self.pigment.key(["Import"], PIGMENT_KEY)
        self.pigment.key(["Export"], EXPORT_KEY)
        self.secrets = SandboxSecrets(
            {
                "looker-api": json.dumps({"client_id": "bridge", "client_secret": LOOKER_SECRET}),
                "pigment-import-key": PIGMENT_KEY,
                "pigment-export-key": EXPORT_KEY,
                "looker-webhook-token": WEBHOOK_TOKEN,
            }
        )
        self.storage = SandboxStorage(folder / "state")
        self.storage.create_bucket("bucket")
        self.looker_server = Server(self.looker, keep_bytes=keep_bytes).start()
        self.pigment_server = Server(self.pigment, keep_bytes=keep_bytes).start()
        self.storage_server = Server(self.storage).start()
        self.secrets_server = Server(self.secrets).start()
        self.raw: dict[str, Any] = {
            "looker": {"url": self.looker_server.url, "credentials": "looker-api"},
            "pigment": {
                "url": self.pigment_server.url,
                "import_key": "pigment-import-key",
                "export_key": "pigment-export-key",
            },
            "pulls": {},
        }

    def environment(self) -> dict[str, str]:
        return {
            "BRIDGE_BUCKET": "bucket",
            "GOOGLE_CLOUD_PROJECT": "test",
            "STORAGE_EMULATOR_HOST": self.storage_server.url,
            "SECRET_MANAGER_EMULATOR_HOST": self.secrets_server.url,
        }

    def settle_in(self) -> None:
        """Once the environment names the servers: an instance on the fake clock, some flights, and a list for them."""
        self.clock.meanwhile = self._let_pigment_work
        self.instance = instance.current = Instance(self.clock, random.Random(1))
        self.store = self.instance.store
        self.flights(ROWS)
        application = self.pigment.application("Planning")
        block = self.pigment.block(application, "Flights")
        columns = [*(BlockColumn(name) for name in HEADER[:3]), BlockColumn(HEADER[3], "integer")]
        self.pigment.configuration(block, columns, uuid=CONFIGURATION)
        self.pull("flights")

    def flights(self, rows: list[list[str]], **look: Any) -> None:
        """What Looker has, and Look 12 over all of it."""
        path = self.folder / "flights.csv"
        with path.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([["day", "carrier", "origin", "delay"], *rows])
        self.looker.explore("nyc", "flights", path, types={"delay": "INTEGER", "origin": "VARCHAR"})
        self.looker.look("12", "Flights", "nyc", "flights", FIELDS, **{"sorts": ["flights.day"], **look})

    def pull(self, name: str, **fields: Any) -> None:
        """A pull in bridge.yaml; `target` and `guards` add to what stands there."""
        target = {"configuration": CONFIGURATION, **fields.pop("target", {})}
        self.raw["pulls"][name] = {"source": {"look": "12"}, **fields, "target": target}
        self.install()

    def export(self, name: str = "revenue", **fields: Any) -> None:
        """An export in bridge.yaml, of a view unless `source` says otherwise."""
        job = {"source": {"view": VIEW, "delimiter": ";"}, "path": f"{name}.csv", **fields}
        self.raw.setdefault("exports", {})[name] = job
        self.install()

    def pigment_gives(self, content: bytes | Iterable[bytes], **how: Any) -> Fault:
        """What Pigment answers to every export from now on; an iterable goes out in chunks, without a length."""
        self.pigment_server.heal()
        answer = Response(200, content, {"Content-Type": "text/csv"})
        return self.pigment_server.fault(EXPORTS, times=-1, refuse=answer, **how)

    def relay(self, name: str, **fields: Any) -> None:
        """A relay in bridge.yaml, into a list of its own unless `target` says otherwise or it starts a pull."""
        self.raw["webhook"] = {"token": "looker-webhook-token"}
        if "start" not in fields and "configuration" not in fields.get("target", {}):
            fields["target"] = {"configuration": self.list_for(name), **fields.get("target", {})}
        self.raw.setdefault("relays", {})[name] = fields
        self.install()

    def list_for(self, name: str, **how: Any) -> str:
        """A list in Pigment for the columns that deliveries here have; its import configuration."""
        block = self.pigment.block(self.pigment.application("Planning"), name)
        return self.pigment.configuration(block, ["Id", "Amount"], **how)

    def post(
        self, relay: str, body: bytes | Iterator[bytes], *, token: str | None = WEBHOOK_TOKEN, **headers: str
    ) -> FunctionAnswer:
        """A delivery, as Looker posts it; an iterator is sent in chunks, without a length."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["X-Looker-Webhook-Token"] = token
        response = requests.post(f"{self.addresses['receive']}/{relay}", data=body, headers=sent, timeout=60)
        return FunctionAnswer(response.status_code, response.json(), response.headers)

    def install(self) -> None:
        Store("bucket").write_json(paths.CONFIG, self.raw, over=None)

    def call(self, name: str = "pull", *, headers: Mapping[str, str] | None = None, **body: Any) -> FunctionAnswer:
        """Call a function; `from_` stands for `from`."""
        body = {key.rstrip("_"): value for key, value in body.items()}
        response = requests.post(self.addresses[name], json=body, headers=headers, timeout=60)
        return FunctionAnswer(response.status_code, response.json(), response.headers)

    def hold_pigment(self) -> None:
        """Imports stay in progress until `release_pigment`."""
        self.pigment_is_held = True
        self.pigment.hold()

    def release_pigment(self) -> None:
        self.pigment_is_held = False
        self.pigment.release()

    @property
    def imports(self) -> list[SandboxImport]:
        return list(self.pigment.imports)

    def landed_rows(self) -> list[list[str]]:
        """What Pigment's list holds, in the order of its columns."""
        return [[_text(row[name]) for name in HEADER] for row in self.pigment.rows(CONFIGURATION)]

    def receipts(self, job: str = "flights") -> list[dict[str, Any]]:
        """In the order of their runs."""
        bucket = self.folder / "state" / "bucket" / "receipts" / job
        return [json.loads(path.read_bytes()) for path in sorted(bucket.glob("*/*.json"))]

    def objects(self, prefix: str) -> list[str]:
        return list(self.store.names(prefix))

    def close(self) -> None:
        for server in (self.looker_server, self.pigment_server, self.storage_server, self.secrets_server):
            server.stop()
        for site in (self.looker, self.pigment, self.storage):
            site.close()

    def _let_pigment_work(self) -> None:
        if not self.pigment_is_held:
            for each in self.imports:
                self.pigment.finished(each.id)


@contextmanager
def open_world(folder: Path, addresses: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with closing(World(folder, addresses)) as world:
        for name, value in world.environment().items():
            monkeypatch.setenv(name, value)
        world.settle_in()
        yield world


def delivery(*rows: tuple[str, str], plan: int = 7, **more: Any) -> bytes:
    """A Looker webhook body with rows of Id and Amount."""
    data = "".join(f"{id_},{amount}\n" for id_, amount in (("Id", "Amount"), *rows))
    attachment = {"mimetype": "text/csv", "extension": "csv", "data": data}
    plan_of = {"scheduled_plan_id": plan, "title": "Sales", "type": "Look"}
    return json.dumps({"type": "query", "scheduled_plan": plan_of, "attachment": attachment, **more}).encode()


def _text(value: Any) -> str:
    return "" if value is None else str(value)
