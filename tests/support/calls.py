"""Calls of the functions over HTTP, and the results that a run leaves."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

import requests

from tests.support.jobs import CONFIGURATION, HEADER
from tests.support.sites import WEBHOOK_TOKEN, Sites


@dataclasses.dataclass(frozen=True)
class FunctionAnswer:
    """An answer of a function."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]

    @classmethod
    def of(cls, response: requests.Response) -> "FunctionAnswer":
        return cls(response.status_code, response.json(), response.headers)

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


class Calls(Sites):
    """Calls the functions at their addresses, and reads what they left in the bucket and in Pigment."""

    addresses: dict[str, str]
    "The address of each function, by its short name."

    def call_function(self, name: str, *, headers: Mapping[str, str] | None = None, **body: Any) -> FunctionAnswer:
        """Call a function; `from_` stands for `from`."""
        body = {key.rstrip("_"): value for key, value in body.items()}
        return FunctionAnswer.of(requests.post(self.addresses[name], json=body, headers=headers, timeout=60))

    def run_pull(self, job: str, *, headers: Mapping[str, str] | None = None, **body: Any) -> FunctionAnswer:
        """Run a pull, as Cloud Scheduler does."""
        return self.call_function("pull", headers=headers, **body | {"job": job})

    def run_export(self, job: str, *, headers: Mapping[str, str] | None = None, **body: Any) -> FunctionAnswer:
        """Run an export, as Cloud Scheduler does."""
        return self.call_function("export", headers=headers, **body | {"job": job})

    def run_deliver(self, **body: Any) -> FunctionAnswer:
        """Land the stored deliveries, as Pub/Sub or Cloud Scheduler does."""
        return self.call_function("deliver", **body)

    def post_delivery(
        self, relay: str, body: bytes | Iterator[bytes], *, token: str | None = WEBHOOK_TOKEN, **headers: str
    ) -> FunctionAnswer:
        """Post a delivery as Looker does; an iterator is sent in chunks, without a length."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["X-Looker-Webhook-Token"] = token
        address = f"{self.addresses['receive']}/{relay}"
        return FunctionAnswer.of(requests.post(address, data=body, headers=sent, timeout=60))

    def landed_rows(self) -> list[list[str]]:
        """Return the rows of Pigment's list of flights, in the order of its columns."""
        return [[_text(row[name]) for name in HEADER] for row in self.pigment.rows(CONFIGURATION)]

    def receipts(self, job: str = "flights") -> list[dict[str, Any]]:
        """Return the receipts of a job, in the order of their runs."""
        return [
            json.loads(path.read_bytes()) for path in sorted((self.bucket_folder / "receipts" / job).glob("*/*.json"))
        ]


def delivery(*rows: tuple[str, str], plan: int = 7, **more: Any) -> bytes:
    """Return a Looker webhook body with rows of Id and Amount."""
    data = "".join(f"{id_},{amount}\n" for id_, amount in (("Id", "Amount"), *rows))
    attachment = {"mimetype": "text/csv", "extension": "csv", "data": data}
    plan_of = {"scheduled_plan_id": plan, "title": "Sales", "type": "Look"}
    return json.dumps({"type": "query", "scheduled_plan": plan_of, "attachment": attachment, **more}).encode()


def _text(value: Any) -> str:
    return "" if value is None else str(value)
