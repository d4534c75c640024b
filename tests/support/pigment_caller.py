"""The sandbox's Pigment on a port, and a client of its documented API."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

from local.sandbox.pigment import SandboxImport, SandboxPigment
from local.sandbox.wire import Server


class Caller:
    def __init__(self, pigment: SandboxPigment, server: Server) -> None:
        self.pigment = pigment
        self.server = server
        self.key = pigment.key()

    def call(self, method: str, path: str, *, key: str | None = None, **how: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {key or self.key}", **how.pop("headers", {})}
        return requests.request(method, f"{self.server.url}/api{path}", headers=headers, timeout=30, **how)

    def push(self, configuration: str, csv: str | bytes, *, path: str = "/v1/import/push/csv") -> requests.Response:
        data = csv.encode() if isinstance(csv, str) else csv
        asked = {"configurationId": configuration}
        return self.call("POST", path, params=asked, data=data, headers={"Content-Type": "text/csv"})

    def imported(self, configuration: str, csv: str | bytes) -> SandboxImport:
        """Push a file and wait for its import to end."""
        answer = self.push(configuration, csv)
        assert answer.status_code == 200, answer.text
        return self.pigment.finished(answer.json()["importId"])

    def deliver(self, configuration: str, data: Any, *, mimetype: str = "text/csv", **asked: str) -> requests.Response:
        """Post a delivery as Looker's webhook does."""
        body = json.dumps({"attachment": {"data": data, "mimetype": mimetype, "extension": "csv"}})
        return requests.post(
            f"{self.server.url}/api/import/push/looker",
            params={"configurationId": configuration, **asked},
            data=body,
            headers={"Content-Type": "application/json"},
            timeout=30,
        )

    def status(self, import_id: str, *, detailed: bool = True) -> requests.Response:
        asked = {"includedDetailedReport": "true"} if detailed else {}
        return self.call("GET", f"/v1/import/{import_id}/status", params=asked)

    def flights(self, *columns: Any, **options: Any) -> str:
        """Create a transaction list, and return its import configuration."""
        block = self.pigment.block(self.pigment.application("Airline"), "Flights")
        return self.pigment.configuration(block, columns or ["Id", "Origin"], **options)


@contextlib.contextmanager
def called(root: Path | None = None, **options: Any) -> Iterator[Caller]:
    with SandboxPigment(root, **options) as pigment, Server(pigment, keep_bytes=1 << 20) as server:
        yield Caller(pigment, server)
