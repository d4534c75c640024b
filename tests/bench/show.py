"""The output: a line after each round, and a table at the end."""

import os
import platform
from collections.abc import Sequence
from statistics import median

from rich.console import Console
from rich.table import Table

_terminal = Console()
console = _terminal if _terminal.is_terminal else Console(width=120, no_color=True)


def table(title: str, *columns: str) -> Table:
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for number, column in enumerate(columns):
        made.add_column(column, justify="right" if number else "left")
    return made


def spread(values: Sequence[float]) -> str:
    """Return the median, the minimum and the maximum."""
    return f"{median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def goal(words: str, *, is_met: bool) -> None:
    console.print(f"goal [{'green]met' if is_met else 'red]missed'}[/]: {words}")


def machine() -> str:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {python}"
