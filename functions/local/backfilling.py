"""`bridge backfill`: the bulk load as somebody sees it who watches."""

from collections.abc import Iterator

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from werkzeug.datastructures import Headers

import looker_pull
from common.runs.receipts import Receipt
from local import backfill, show
from local.backfill import Function, Landed
from looker_pull import PullCall


def call(job: str, begin: str, end: str) -> PullCall:
    return PullCall(job, from_=begin or None, to=end or None)


def work(url: str) -> Function:
    """The function at an address, or on this machine."""
    return backfill.deployed(url) if url else lambda asked: looker_pull.act(asked, Headers())


def load(function: Function, asked: PullCall, as_json: bool) -> bool:
    """Land every window; whether all of them have landed."""
    steps = backfill.drive(function, asked)
    if as_json:
        return _told(steps)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[said]}"),
        TimeRemainingColumn(),
    )
    # Without a terminal, one line for each call takes the bar's place.
    with Progress(*columns, console=Console(stderr=True)) as bar:
        last = _shown(steps, bar, bar.add_task(asked.job, total=1.0, said=""))
    console = show.console()
    if isinstance(last, Landed):
        said = f"{asked.job}: everything has landed up to {last.progress.until}, {last.rows:,} rows read."
        console.print(said, highlight=False)
        return True
    console.print(show.receipt_table(last))
    return False


def _told(steps: Iterator[Landed | Receipt]) -> bool:
    """One line of JSON for each call."""
    step: Landed | Receipt | None = None
    for step in steps:
        print(msgspec.json.encode(step.receipt if isinstance(step, Landed) else step).decode(), flush=True)
    return isinstance(step, Landed)


def _shown(steps: Iterator[Landed | Receipt], bar: Progress, task: TaskID) -> Landed | Receipt:
    since = ""
    for step in steps:
        if isinstance(step, Receipt):
            return step
        since = since or (step.receipt.window or [step.progress.reached])[0]
        said = f"up to {step.progress.reached}, {step.rows:,} rows"
        bar.update(task, completed=backfill.share(step.progress, since), said=said)
        if not bar.console.is_terminal:
            bar.console.print(said, highlight=False)
    return step


def preview(function: Function, asked: PullCall, as_json: bool) -> bool:
    """Show every window and how many rows it has; whether all of them could be read."""
    console = show.console()
    rows = windows = 0
    receipt: Receipt | None = None
    for receipt in backfill.foresee(function, asked):
        if as_json:
            print(msgspec.json.encode(receipt).decode(), flush=True)
            continue
        if receipt.error:
            console.print(show.receipt_table(receipt))
        elif receipt.window:
            begin, end = receipt.window
            windows, rows = windows + 1, rows + (receipt.rows.read or 0)
            console.print(_line(begin, end, f"{receipt.rows.read:,}"))
    if not as_json:
        console.print(_line(f"{windows:,} windows", "", f"{rows:,}"))
    return receipt is not None and receipt.error is None


def _line(begin: str, end: str, rows: str) -> Table:
    """A line of its own, since the next one may be minutes away."""
    line = Table.grid(padding=(0, 2))
    for width, justify in ((19, "left"), (19, "left"), (12, "right")):
        line.add_column(width=width, justify=justify)  # type: ignore[arg-type]  # one of rich's words
    line.add_row(begin, end, rows)
    return line
