"""Wall time: the pull, compared with `curl | file | curl` and with a script on Looker's own SDK.

Every contender starts in a new process, sends the same query to the same Looker, and ends when Pigment reports the end
of the import. The bridge is also called in a process that has answered a call before. Only the bridge checks the rows,
stores the file, and writes a receipt.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median

from . import contenders, served, show, vendors
from .contenders import Cost
from .vendors import job_of

ROWS = 1_000_000
ROUNDS = 7
_MOST_TIMES_CURL = {"in a new process": 1.15, "in a running process": 1.0}
_ON_THE_RECEIPT = {
    "looker": "  Looker: ask, read, check, stage",
    "pigment": "  Pigment: read back, push, follow",
}


def measure(rows: int, rounds: int) -> None:
    with vendors.running([rows]) as sites, served.calls_of("looker_pull", sites.environment) as pull:
        programs: dict[str, Callable[[], Cost]] = {
            "curl | file | curl": partial(contenders.curl, sites, rows),
            "looker-sdk + requests": partial(contenders.sdk, sites, rows),
            "the bridge, in a new process": partial(contenders.bridge, sites, rows),
            "the bridge, in a running process": lambda: contenders.landed(rows, *pull(job_of(rows))),
        }
        costs = contenders.in_turn("wall", programs, rounds)
    compare(f"A pull of {rows:,} rows", costs, _ON_THE_RECEIPT)
    expect("curl | file | curl", costs, _MOST_TIMES_CURL)
    _, sdk, new, _ = costs.values()
    show.goal("ahead of looker-sdk + requests", is_met=contenders.times([cost.wall_s for cost in new], sdk) < 1)


def expect(what: str, costs: Mapping[str, Sequence[Cost]], most_times: Mapping[str, float]) -> None:
    """Print whether the bridge, in each process, takes at most so many times the time of the first contender."""
    first, *_ = costs.values()
    for where, most in most_times.items():
        ratio = contenders.times([cost.wall_s for cost in costs[f"the bridge, {where}"]], first)
        show.goal(f"{where} at most {most} × {what}", is_met=ratio <= most)


def compare(title: str, costs: Mapping[str, Sequence[Cost]], on_the_receipt: Mapping[str, str]) -> None:
    """Print each contender's cost and its ratio to the first; for the last, the bridge, also its receipts' times."""
    curl, *_, bridge = costs.values()
    table = show.table(title, "", "wall s", "× curl", "CPU s", "peak MB")
    for name, every in costs.items():
        walls_s = [cost.wall_s for cost in every]
        cpu_s, peak_mb = median(cost.cpu_s for cost in every), median(cost.peak_bytes / 1e6 for cost in every)
        ratio = contenders.times(walls_s, curl)
        table.add_row(name, show.spread(walls_s), f"{ratio:.2f}", f"{cpu_s:.2f}", f"{peak_mb:.0f}")
    for part, name in on_the_receipt.items():
        parts_s = [cost.receipt_s[part] for cost in bridge]
        table.add_row(name, show.spread(parts_s), f"{contenders.times(parts_s, curl):.2f}")
    show.console.print(table)
