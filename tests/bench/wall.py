"""Wall time: the pull, compared with `curl | file | curl` and with a script on Looker's own SDK.

Every contender starts in a new process, sends the same query to the same Looker, and ends when Pigment reports the end
of the import. Only the bridge checks the rows, stores the file, and writes a receipt.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from statistics import median

from . import contenders, show, vendors
from .contenders import Cost

ROWS = 1_000_000
ROUNDS = 7
_MOST_TIMES_CURL = 1.3
_ON_THE_RECEIPT = {
    "total": "  its call, in a running process",
    "looker": "  Looker: ask, read, check, stage",
    "pigment": "  Pigment: read back, push, follow",
}


def measure(rows: int, rounds: int) -> None:
    with vendors.running([rows]) as sites:
        programs = {
            "curl | file | curl": partial(contenders.curl, sites, rows),
            "looker-sdk + requests": partial(contenders.sdk, sites, rows),
            "the bridge": partial(contenders.bridge, sites, rows),
        }
        costs = contenders.in_turn("wall", programs, rounds)
    compare(f"A pull of {rows:,} rows, each in a fresh process", costs, _ON_THE_RECEIPT)
    curl, sdk, bridge = costs.values()
    bridge_s = [cost.wall_s for cost in bridge]
    show.goal(
        f"at most {_MOST_TIMES_CURL} × curl | file | curl", is_met=contenders.times(bridge_s, curl) <= _MOST_TIMES_CURL
    )
    show.goal("ahead of looker-sdk + requests", is_met=contenders.times(bridge_s, sdk) < 1)


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
