"""The jobs of `bridge.yaml`, and the rows in Looker and lists in Pigment that they use."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from common.storage import paths
from common.storage.bucket import Bucket
from local.sandbox.looker import SandboxLooker
from local.sandbox.pigment import BlockColumn
from local.sandbox.wire import Fault, Response
from tests.support.sites import EXPORTS, Servers, Sites

CONFIGURATION = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
VIEW = "9b2c6f5e-3c1d-4f68-9a57-0d5f6f2f9a11"
FIELDS = ("flights.day", "flights.carrier", "flights.origin", "flights.delay")
HEADER = ["Flights Day", "Flights Carrier", "Flights Origin", "Flights Delay"]
COLUMNS = [*(BlockColumn(name) for name in HEADER[:3]), BlockColumn(HEADER[3], "integer")]
"How Pigment reads the header."
ROWS = [
    ["2013-01-01", "UA", "EWR", "2"],
    ["2013-01-01", "B6", "JFK", "-18"],
    ["2013-01-02", "AA", "LGA", ""],
    ["2013-01-02", "DL", 'Newark, "Liberty"', "7"],
    ["2013-01-03", "UA", "two\nlines", "0"],
]


class Jobs(Sites):
    """Writes jobs; `raw` is the whole of `bridge.yaml`."""

    bucket: Bucket

    def __init__(self, folder: Path, servers: Servers) -> None:
        super().__init__(folder, servers)
        self.raw: dict[str, Any] = {
            "looker": {"url": self.looker_server.url, "credentials": "looker-api"},
            "pigment": {
                "url": self.pigment_server.url,
                "import_key": "pigment-import-key",
                "export_key": "pigment-export-key",
            },
            "pulls": {},
        }

    def save_jobs(self) -> None:
        """Store `bridge.yaml` in the bucket, as Terraform does."""
        self.bucket.write_json(paths.CONFIG, self.raw, over=None)

    def add_pull(self, name: str, **fields: Any) -> None:
        """Add a pull of Look 12; `target` and `guards` extend the defaults."""
        target = {"configuration": CONFIGURATION, **fields.pop("target", {})}
        self.raw["pulls"][name] = {"source": {"look": "12"}, **fields, "target": target}
        self.save_jobs()

    def add_relay(self, name: str, **fields: Any) -> None:
        """Add a relay, into a list of its own unless `target` names a configuration or the relay starts a pull."""
        self.raw["webhook"] = {"token": "looker-webhook-token"}
        if "start" not in fields and "configuration" not in fields.get("target", {}):
            fields["target"] = {"configuration": self.add_list(name), **fields.get("target", {})}
        self.raw.setdefault("relays", {})[name] = fields
        self.save_jobs()

    def add_export(self, name: str = "revenue", **fields: Any) -> None:
        """Add an export, of a view unless `source` names another block."""
        job = {"source": {"view": VIEW, "delimiter": ";"}, "path": f"{name}.csv", **fields}
        self.raw.setdefault("exports", {})[name] = job
        self.save_jobs()

    def fill_looker(self, looker: SandboxLooker) -> None:
        self._put_flights(looker, ROWS)

    def put_flights(self, rows: list[list[str]], **look: Any) -> None:
        """Replace the rows in Looker, and define Look 12 over all of them."""
        self._put_flights(self.looker, rows, **look)

    def _put_flights(self, looker: SandboxLooker, rows: list[list[str]], **look: Any) -> None:
        path = self.folder / "flights.csv"
        with path.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([["day", "carrier", "origin", "delay"], *rows])
        looker.explore("nyc", "flights", path, types={"delay": "INTEGER", "origin": "VARCHAR"})
        looker.look("12", "Flights", "nyc", "flights", FIELDS, **{"sorts": ["flights.day"], **look})

    def add_list_of_flights(self) -> None:
        """Add the list in Pigment that `CONFIGURATION` imports into."""
        block = self.pigment.block(self.pigment.application("Planning"), "Flights")
        self.pigment.configuration(block, COLUMNS, uuid=CONFIGURATION)

    def add_list(self, name: str, **how: Any) -> str:
        """Add a list in Pigment with the columns of this module's deliveries; return its import configuration."""
        block = self.pigment.block(self.pigment.application("Planning"), name)
        return self.pigment.configuration(block, ["Id", "Amount"], **how)

    def answer_exports(self, content: bytes | Iterable[bytes], **how: Any) -> Fault:
        """Answer every export with this content from now on; an iterable is sent in chunks, without a length."""
        self.pigment_server.heal()
        answer = Response(200, content, {"Content-Type": "text/csv"})
        return self.pigment_server.fault(EXPORTS, times=-1, refuse=answer, **how)
