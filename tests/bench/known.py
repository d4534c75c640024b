"""`known`: the time that a pull takes to export the items of a list and to look up every row in it."""

from functools import partial
from statistics import median

from . import contenders, show, vendors

ROWS = 1_000_000
ROUNDS = 3
_MOST_S_PER_ITEM = 1 / 100_000


def measure(rows: int, rounds: int) -> None:
    """Measure a pull whose rows all have items of their own, with and without the lookup."""
    with vendors.running([rows], items=rows) as sites:
        programs = {
            "without known": partial(contenders.bridge, sites, rows),
            "with known": partial(contenders.bridge, sites, rows, vendors.known_job_of),
        }
        costs = contenders.in_turn("known", programs, rounds)
    table = show.table(f"A pull of {rows:,} rows with as many items", "", "in its call, s", "CPU s", "peak MB")
    for name, every in costs.items():
        calls_s = [cost.receipt_s["total"] for cost in every]
        cpu_s, peak_mb = median(cost.cpu_s for cost in every), median(cost.peak_bytes / 1e6 for cost in every)
        table.add_row(name, show.spread(calls_s), f"{cpu_s:.2f}", f"{peak_mb:.0f}")
    show.console.print(table)
    without, with_known = costs.values()
    added_s = median(
        more.receipt_s["total"] - less.receipt_s["total"] for more, less in zip(with_known, without, strict=True)
    )
    show.console.print(f"{added_s:.2f} s more for {rows:,} items, Pigment's own time included")
    show.goal("at most 1 s per 100,000 items", is_met=added_s <= rows * _MOST_S_PER_ITEM)
