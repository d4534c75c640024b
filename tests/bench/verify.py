"""Compares a pull that reads its block back with the same pull without: the cost of `verify`."""

from collections.abc import Callable
from functools import partial
from statistics import median

from . import changes_sites, contenders, show
from .changes import bridge
from .changes_sites import FULL, VERIFIED
from .contenders import Cost

ROWS = 1_000_000
ROUNDS = 3
_MOST_TIMES, _MOST_MB = 0.6, 300


def measure(count: int, rounds: int) -> None:
    """Measure both. Raises ContenderFailed if not all rows land, or if the block differs."""
    with changes_sites.running(count) as sites:
        programs: dict[str, Callable[[], Cost]] = {
            "the pull": partial(bridge, sites, FULL, count),
            "the pull, read back": partial(bridge, sites, VERIFIED, count),
        }
        costs = contenders.in_turn("verify", programs, rounds)
    table = show.table(f"{count:,} rows, each in a fresh process", "", "wall s", "× the pull", "CPU s", "peak MB")
    pull, verified = costs.values()
    pull_s = [cost.wall_s for cost in pull]
    for name, every in costs.items():
        walls_s = [cost.wall_s for cost in every]
        cpu_s, peak_mb = median(cost.cpu_s for cost in every), median(cost.peak_bytes / 1e6 for cost in every)
        ratio = f"{contenders.times(walls_s, pull):.2f}"
        table.add_row(name, show.spread(walls_s), ratio, f"{cpu_s:.2f}", f"{peak_mb:.0f}")
    show.console.print(table)
    verify_times = median(cost.wall_s for cost in verified) / median(pull_s) - 1
    peak_mb = median(cost.peak_bytes / 1e6 for cost in verified)
    show.goal(f"reading back takes {verify_times:.2f} of the pull", is_met=verify_times <= _MOST_TIMES)
    show.goal(f"{peak_mb:.0f} MB at most", is_met=peak_mb <= _MOST_MB)
