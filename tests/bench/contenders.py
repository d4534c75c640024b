"""The compared programs. Each starts in a new process and ends when its work is done."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Protocol, TypeVar

import msgspec

from . import show
from .vendors import Vendors, job_of, query_of

_HERE = Path(__file__).parent

_KEEPS_BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}
"A program that is deployed is compiled beforehand; here, in the first round."


class Timed(Protocol):
    """A measurement with a wall time."""

    @property
    def wall_s(self) -> float: ...


T = TypeVar("T", bound=Timed)


class Cost(msgspec.Struct, frozen=True):
    """The time of a program, from its start to its last output, and what it needed until its end."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    receipt_s: Mapping[str, float] = {}
    "The seconds on its receipt, if it has one."


class ContenderFailed(Exception):
    """A contender did not complete its work, so its measurements are not valid."""


def in_turn(what: str, contenders: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Measure the contenders alternately, so that a slow period of the machine affects all of them.

    The first round is not counted.
    """
    costs: dict[str, list[T]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        this_round = f"round {number} of {rounds}" if number else "to warm up"
        walls = []
        for name, run in contenders.items():
            with show.console.status(f"{what}, {this_round}: {name}"):
                cost = run()
            walls.append(f"{name} {cost.wall_s:.2f} s")
            if number:
                costs[name].append(cost)
        show.console.print(f"{what}, {this_round}: {', '.join(walls)}", style="dim")
    return costs


def times(measured_s: Sequence[float], beside: Sequence[Timed]) -> float:
    """Return the ratio to another's wall time: the median of the ratios of each round."""
    return median(mine_s / other.wall_s for mine_s, other in zip(measured_s, beside, strict=True))


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> tuple[Cost, str]:
    """Run a program, and return its cost and its output. Raises ContenderFailed if it exits with an error."""
    ended = subprocess.run(
        [sys.executable, "-I", "-S", str(_HERE / "launch.py"), *command],
        env={**os.environ, **_KEEPS_BYTECODE, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise ContenderFailed(f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stderr}")
    return msgspec.json.decode(ended.stderr.splitlines()[-1], type=Cost), ended.stdout


def environment_with(folder: Path, *packages: str) -> str | None:
    """Return an interpreter of its own that has these packages, or None if they cannot be installed."""
    python = str(folder / "venv/bin/python")
    with show.console.status(f"installing {', '.join(packages)}"):
        try:
            subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True, capture_output=True)
            subprocess.run([python, "-m", "pip", "install", *packages], check=True, capture_output=True)
        except subprocess.CalledProcessError:
            show.console.print(f"{packages[0]} cannot be had from the package index, and is left out.")
            return None
    return python


def bridge(vendors: Vendors, rows: int, name: Callable[[int], str] = job_of) -> Cost:
    environment = {**vendors.environment, "BRIDGE_LOG_LEVEL": "ERROR"}
    command = [sys.executable, "-m", f"{__package__}.bridge_call", "looker_pull", name(rows)]
    return landed(rows, *run(command, environment))


def landed(rows: int, cost: Cost, printed: str) -> Cost:
    """Return the cost of a pull with the seconds of its receipt. Raises ContenderFailed if not all rows landed."""
    receipt = json.loads(printed)
    _expect(rows, receipt.get("rows", {}).get("inserted"), printed)
    return msgspec.structs.replace(cost, receipt_s=receipt["seconds"])


def curl(vendors: Vendors, rows: int) -> Cost:
    return _script(["sh", str(_HERE / "curl_pull.sh")], vendors, rows)


def sdk(vendors: Vendors, rows: int) -> Cost:
    return _script([sys.executable, "-m", f"{__package__}.sdk_pull"], vendors, rows)


def _script(command: Sequence[str], vendors: Vendors, rows: int) -> Cost:
    environment = {
        "LOOKERSDK_BASE_URL": vendors.looker,
        "LOOKERSDK_CLIENT_ID": vendors.client_id,
        "LOOKERSDK_CLIENT_SECRET": vendors.client_secret,
        "LOOKERSDK_TIMEOUT": "600",
        "PIGMENT_URL": vendors.pigment,
        "PIGMENT_KEY": vendors.import_key,
        "PIGMENT_CONFIGURATION": vendors.configuration,
    }
    cost, printed = run([*command, json.dumps(query_of(rows))], environment)
    _expect(rows, json.loads(printed).get("detailedReport", {}).get("summary", {}).get("insertedCount"), printed)
    return cost


def _expect(rows: int, inserted: int | None, printed: str) -> None:
    if inserted != rows:
        raise ContenderFailed(f"{inserted} of {rows} rows landed: {printed}")
