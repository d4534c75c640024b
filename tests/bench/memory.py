"""Memory: a pull of ten times the rows needs no more memory."""

from collections.abc import Mapping, Sequence
from functools import partial
from statistics import median

from . import contenders, show, vendors
from .contenders import Cost

ROWS = 3_000_000
ROUNDS = 3
_MOST_GROWTH = 1.10


def measure(rows: int, rounds: int) -> None:
    sizes = (rows // 10, rows)
    with vendors.running(sizes) as sites:
        pulls = {f"{size:,} rows": partial(contenders.bridge, sites, size) for size in sizes}
        costs = contenders.in_turn("memory", pulls, rounds)
    compare("pull of", costs)


def compare(what: str, costs: Mapping[str, Sequence[Cost]]) -> None:
    """Print each peak and its ratio to the first one, which has the fewest rows; the last one has the most."""
    peaks_mb = {name: median(cost.peak_bytes / 1e6 for cost in every) for name, every in costs.items()}
    few_mb, *_, many_mb = peaks_mb.values()
    table = show.table("Peak resident memory of the function's process", what, "peak MB", "ratio")
    for name, peak_mb in peaks_mb.items():
        table.add_row(name, f"{peak_mb:.1f}", f"{peak_mb / few_mb:.3f}")
    show.console.print(table)
    few, *_, many = peaks_mb
    show.goal(f"the same for {many} as for {few}, within 10 %", is_met=many_mb <= _MOST_GROWTH * few_mb)
