"""What each tool reports, and what is in Pigment, when nothing is wrong and under each of four faults."""

import contextlib
import csv
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

from local.sandbox.looker import SandboxLooker
from local.sandbox.pigment import SandboxPigment
from local.sandbox.pigment.loading import RowEdit
from local.sandbox.wire import Server
from tests.bench import contenders, show
from tests.bench.contenders import ContenderFailed

from . import tools
from .tools import Ended, Tool

ROWS = 120_000
"Not one of Looker's limits, at which the bridge refuses a file as truncated."
ROUNDS = 3
_CLIENT_ID, _CLIENT_SECRET = "bridge", "a-looker-client-secret"
_FIELDS = ["flights.id", "flights.carrier", "flights.delay"]
_RUN = r"\w+ /api/4\.0/.*run"


class _Vendors(NamedTuple):
    looker: Server
    pigment: Server
    workspace: SandboxPigment
    rows: int


class _Target(NamedTuple):
    """A list of its own for each run, and the import configuration that fills it."""

    block: str
    configuration: str
    id_column: str


def _skip(vendors: _Vendors, target: _Target) -> None:
    vendors.workspace.skip_next(target.configuration, vendors.rows * 2 // 5, "MissingModalitySkippedDataRow")


def _cut(vendors: _Vendors, _target: _Target) -> None:
    vendors.looker.fault(_RUN, times=-1, cut_after_bytes=4 * vendors.rows)


def _fail(vendors: _Vendors, target: _Target) -> None:
    vendors.workspace.fail_next(target.configuration, "DuplicateItems", "Two rows share an identifier")


def _lose(vendors: _Vendors, target: _Target) -> None:
    vendors.workspace.edit_after_next(target.configuration, RowEdit({target.id_column: "7"}))


_NOTHING = "nothing is wrong"
_FAULTS: dict[str, Callable[[_Vendors, _Target], None]] = {
    _NOTHING: lambda _vendors, _target: None,
    "Pigment skips 4 rows of 10": _skip,
    "Looker's answer is cut in the middle": _cut,
    "the import fails": _fail,
    "Pigment loses a row and does not count it": _lose,
}


def measure(count: int, rounds: int) -> None:
    """Run each tool under each fault, and without one several times."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, _vendors(Path(folder), count) as vendors:
        python = contenders.environment_with(Path(folder), *tools.PACKAGES)
        every = [tools.bridge(), *(tools.others(python) if python else [])]
        usual = {tool.name: [_run_well(tool, vendors) for _ in range(rounds)] for tool in every}
        _show_costs(every, usual, count)
        found = {(fault, tool.name): _run_shown(tool, vendors, fault) for fault in _FAULTS for tool in every}
    table = show.table(f"{count:,} rows under each fault", "fault", "tool", "exit", "rows in Pigment", "says")
    table.columns[1].justify = table.columns[4].justify = "left"
    for (fault, name), (ended, landed) in found.items():
        table.add_row(fault, name, str(ended.exit_code), f"{landed:,}", ended.said)
    show.console.print(table)
    failed = {fault for (fault, name), (ended, _) in found.items() if name == tools.bridge().name and ended.exit_code}
    show.goal("the bridge fails under each fault, and only then", is_met=failed == _FAULTS.keys() - {_NOTHING})


def _run_well(tool: Tool, vendors: _Vendors) -> Ended:
    ended, landed = _run_shown(tool, vendors, _NOTHING)
    if ended.exit_code or landed != vendors.rows:
        raise ContenderFailed(f"{tool.name} ended with {ended.exit_code}, and {landed} rows landed: {ended.said}")
    return ended


def _run_shown(tool: Tool, vendors: _Vendors, fault: str) -> tuple[Ended, int]:
    with show.console.status(f"{fault}: {tool.name}"):
        return _run(tool, vendors, fault)


def _show_costs(every: list[Tool], usual: dict[str, list[Ended]], count: int) -> None:
    table = show.table(f"{count:,} rows, nothing is wrong", "tool", "lines to write", "wall s", "CPU s", "peak MB")
    for tool in every:
        costs = [ended.cost for ended in usual[tool.name]]
        cpu_s, peak_mb = median(cost.cpu_s for cost in costs), median(cost.peak_bytes / 1e6 for cost in costs)
        walls = show.spread([cost.wall_s for cost in costs])
        table.add_row(tool.name, str(tool.lines), walls, f"{cpu_s:.2f}", f"{peak_mb:.0f}")
    show.console.print(table)


def _run(tool: Tool, vendors: _Vendors, fault: str) -> tuple[Ended, int]:
    """Return how a run ended, and how many rows are in Pigment afterwards."""
    workspace = vendors.workspace
    block = workspace.block(workspace.application("Planning"), f"{tool.name} {len(workspace.imports)} {fault}")
    configuration = workspace.configuration_from_header(block, list(tool.header))
    target = _Target(block, configuration, tool.header[0])
    key = workspace.key(["Import", "Export"])
    _FAULTS[fault](vendors, target)
    secrets = {
        "looker-api": json.dumps({"client_id": _CLIENT_ID, "client_secret": _CLIENT_SECRET}),
        "pigment-import-key": key,
        "pigment-export-key": key,
    }
    environment = {
        "LOOKER_URL": vendors.looker.url,
        "LOOKER_CLIENT_ID": _CLIENT_ID,
        "LOOKER_CLIENT_SECRET": _CLIENT_SECRET,
        "PIGMENT_URL": vendors.pigment.url,
        "PIGMENT_KEY": key,
        "CONFIGURATION": configuration,
        "BLOCK": block,
    }
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        ended = tools.run(tool, Path(folder), environment, secrets)
    vendors.looker.heal()
    for each in workspace.imports:
        workspace.finished(each.id)
    return ended, workspace.count(block)


@contextlib.contextmanager
def _vendors(folder: Path, count: int) -> Iterator[_Vendors]:
    looker = SandboxLooker(client_id=_CLIENT_ID, client_secret=_CLIENT_SECRET)
    file = folder / "flights.csv"
    with file.open("w", newline="") as lines:
        rows = csv.writer(lines, lineterminator="\n")
        rows.writerow([field.partition(".")[2] for field in _FIELDS])
        rows.writerows([number, ("UA", "B6", "DL")[number % 3], number % 60] for number in range(count))
    looker.explore("nyc", "flights", file)
    looker.look("12", "Flights", "nyc", "flights", _FIELDS)
    workspace = SandboxPigment(requests_per_5_minutes=None, imports_per_hour=None)
    with contextlib.closing(looker), workspace, Server(looker) as looker_server, Server(workspace) as pigment_server:
        yield _Vendors(looker_server, pigment_server, workspace, count)
