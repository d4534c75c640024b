"""The table of results."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from .audit import Verdict, quantile
from .cloud import Process

_terminal = Console()
console = _terminal if _terminal.is_terminal else Console(width=100, no_color=True)
bar_console = Console(stderr=True)


def verdict(found: Verdict, seed: int, took_s: float, processes: Sequence[Process], settled: int) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("posted", f"{found.posted:,}")
    table.add_row("acknowledged", f"{found.acknowledged:,}")
    table.add_row("landed once", f"{found.landed_once:,}")
    table.add_row("replaced by a newer one", f"{found.replaced:,}")
    for reason, count in sorted(found.dead.items()):
        table.add_row(f"dead: {reason}", f"{count:,}")
    table.add_row("lost", _zero(found.lost))
    table.add_row("doubled", _zero(found.doubled))
    table.add_row("sent again (repeatable target)", f"{found.sent_again:,}")
    table.add_row("processes killed", f"{sum(process.kills for process in processes):,}")
    table.add_row("processes stopped until taken over", f"{sum(process.stalls for process in processes):,}")
    table.add_row("settled by the operator", f"{settled:,}")
    for what, seconds in (("acknowledged after", found.acknowledged_s), ("landed after", found.landed_s)):
        if len(seconds) > 1:
            table.add_row(f"{what}, p50", f"{quantile(seconds, 0.5):.3f} s")
            table.add_row(f"{what}, p99", f"{quantile(seconds, 0.99):.3f} s")
    table.add_row("took", f"{took_s:.0f} s")
    table.add_row("seed", str(seed))
    console.print(table)


def _zero(ids: list[str]) -> str:
    return "[green]0" if not ids else f"[red]{len(ids):,}: {', '.join(ids[:10])}"
