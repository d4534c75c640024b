"""Compares `load: changes`, when one row in a hundred has changed, with the full load and with dlt's incremental load.

dlt needs a column of modification times in the source; the bridge compares all cells.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import msgspec

from . import changes_sites, contenders, rows, show
from .changes_sites import CHANGES, FULL, ONE_IN, ChangesSites, query_of
from .contenders import ContenderFailed, Cost

ROWS = 1_000_000
ROUNDS = 3
_HERE = Path(__file__).parent


def measure(count: int, rounds: int) -> None:
    """Measure all loads. Raises ContenderFailed if the rows sent are not the changed ones."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, changes_sites.running(count) as sites:
        programs: dict[str, Callable[[], Cost]] = {"the bridge, all rows": partial(bridge, sites, FULL, count)}
        bridge(sites, CHANGES, count)
        python = contenders.environment_with(Path(folder), "dlt", "pyarrow", "requests")
        if python is not None:
            dlt = _Dlt(sites, python, Path(folder), count)
            programs["dlt, by a column of times"] = dlt.pull
        programs["the bridge, what has changed"] = partial(_changes, sites, count // ONE_IN)
        sites.go_back()
        costs = contenders.in_turn("changes", programs, rounds)
    _compare(count, costs)


def _compare(count: int, costs: Mapping[str, Sequence[Cost]]) -> None:
    title = f"{count:,} rows of which {count // ONE_IN:,} have changed, each in a fresh process"
    table = show.table(title, "", "wall s", "× all rows", "CPU s", "peak MB", "of it Pigment s")
    full, *_, changes = costs.values()
    for name, every in costs.items():
        walls_s = [cost.wall_s for cost in every]
        cpu_s, peak_mb = median(cost.cpu_s for cost in every), median(cost.peak_bytes / 1e6 for cost in every)
        pigment_s = [cost.receipt_s["pigment"] for cost in every if cost.receipt_s]
        said = show.spread(pigment_s) if pigment_s else ""
        ratio = contenders.times(walls_s, full)
        table.add_row(name, show.spread(walls_s), f"{ratio:.2f}", f"{cpu_s:.2f}", f"{peak_mb:.0f}", said)
    show.console.print(table)
    changes_s = [cost.wall_s for cost in changes]
    show.goal("sooner in Pigment than all rows", is_met=contenders.times(changes_s, full) < 1)


def _changes(sites: ChangesSites, changed: int) -> Cost:
    sites.go_back()
    return bridge(sites, CHANGES, changed)


def bridge(sites: ChangesSites, job: str, expected: int) -> Cost:
    """Run a job in a new process. Raises ContenderFailed if it does not land `expected` rows."""
    environment = {**sites.vendors.environment, "BRIDGE_LOG_LEVEL": "ERROR"}
    cost, printed = contenders.run(
        [sys.executable, "-m", f"{__package__}.bridge_call", "looker_pull", job], environment
    )
    receipt = json.loads(printed)
    landed = receipt.get("rows", {})
    if (landed.get("sent"), (landed.get("inserted") or 0) + (landed.get("updated") or 0)) != (expected, expected):
        raise ContenderFailed(f"{expected} rows were to be sent: {printed}")
    return msgspec.structs.replace(cost, receipt_s=receipt["seconds"])


class _Dlt:
    """Each pull starts from the state after the load of the unchanged rows."""

    def __init__(self, sites: ChangesSites, python: str, folder: Path, count: int) -> None:
        self._sites = sites
        self._python = python
        self._first, self._folder = folder / "dlt-first", folder / "dlt"
        self._changed = count // ONE_IN
        self._run(self._first, is_later=False, expected=count)

    def pull(self) -> Cost:
        shutil.rmtree(self._folder, ignore_errors=True)
        shutil.copytree(self._first, self._folder)
        return self._run(self._folder, is_later=True, expected=self._changed)

    def _run(self, folder: Path, *, is_later: bool, expected: int) -> Cost:
        vendors = self._sites.vendors
        environment = {
            "LOOKERSDK_BASE_URL": vendors.looker,
            "LOOKERSDK_CLIENT_ID": vendors.client_id,
            "LOOKERSDK_CLIENT_SECRET": vendors.client_secret,
            "PIGMENT_URL": vendors.pigment,
            "PIGMENT_KEY": vendors.import_key,
            "PIGMENT_CONFIGURATION": vendors.configuration,
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        }
        asked = [query_of(is_later=is_later), rows.HEADER, rows.HEADER.index(changes_sites.UPDATED)]
        command = [self._python, str(_HERE / "dlt_pull.py"), str(folder), json.dumps(asked)]
        cost, printed = contenders.run(command, environment)
        counts = [state["detailedReport"]["summary"] for state in json.loads(printed)]
        landed = sum(each["insertedCount"] + each["updatedCount"] for each in counts)
        if landed != expected:
            raise ContenderFailed(f"dlt landed {landed} rows, not {expected}.")
        return cost
