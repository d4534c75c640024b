"""The output of `bridge backfill`: a progress bar, a line per call, or JSON."""

from collections.abc import Iterator

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from werkzeug.datastructures import Headers

import looker_pull
from common.runs.receipts import Receipt
from local import backfill, output, terminal
from local.backfill import BackfillStep
from local.deployed_function import PullFunction, deployed
from looker_pull import PullCall


def call(job: str, begin: str, end: str, *, restarts: bool) -> PullCall:
    return PullCall(job, from_=begin or None, to=end or None, restart=restarts)


def pull_function(url: str) -> PullFunction:
    """Return the deployed function at an address, or without one the function on this machine."""
    return deployed(url) if url else lambda call: looker_pull.act(call, Headers())


def load(function: PullFunction, call: PullCall, as_json: bool) -> bool:
    """Land every window and show the progress. Return whether all have landed."""
    steps = backfill.load(function, call)
    if as_json:
        return _print_json_lines(steps)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[position]}", markup=False),
        TimeRemainingColumn(),
    )
    progress_console = terminal.console(errors=True)
    with Progress(*columns, console=progress_console, disable=not progress_console.is_terminal) as bar:
        last = _show_progress(call, steps, bar, bar.add_task(call.job, total=1.0, position=""))
    console = terminal.console()
    if isinstance(last, Receipt):
        output.print_form_of(last)
        return False
    result = f"{call.job}: all windows up to {last.progress.until} have landed, {last.rows:,} rows read."
    console.print(result, highlight=False)
    return True


def preview(function: PullFunction, call: PullCall, as_json: bool) -> bool:
    """Print every window and its number of rows. Return whether all could be read."""
    console = terminal.console()
    row_count = window_count = 0
    receipt: Receipt | None = None
    for receipt in backfill.preview(function, call):
        if as_json:
            terminal.print_json(receipt, indent=-1)
        elif receipt.error:
            output.print_form_of(receipt)
        elif receipt.window:
            begin, end = receipt.window
            rows = receipt.rows.read or 0
            row_count, window_count = row_count + rows, window_count + 1
            console.print(_line(begin, end, f"{rows:,}"))
    if not as_json:
        console.print(_line(f"{window_count:,} windows", "", f"{row_count:,}"))
    return receipt is not None and receipt.error is None


def _print_json_lines(steps: Iterator[BackfillStep | Receipt]) -> bool:
    """Print the receipt of each call on a line of its own. Return whether all windows have landed."""
    step: BackfillStep | Receipt | None = None
    for step in steps:
        receipt = step if isinstance(step, Receipt) else step.receipt
        terminal.print_json(receipt, indent=-1)
    return isinstance(step, BackfillStep)


def _show_progress(
    call: PullCall, steps: Iterator[BackfillStep | Receipt], bar: Progress, task: TaskID
) -> BackfillStep | Receipt:
    """Update the bar for each call, or print a line without a terminal. Return the last step."""
    since = ""
    for step in steps:
        if isinstance(step, Receipt):
            return step
        if not since:
            since = (step.receipt.window or [step.progress.reached])[0]
            if backfill.is_continued(call, since):
                continued = f"An interrupted backfill of this range continues at {since}."
                bar.console.print(f"{continued} --restart loads all of it again.", highlight=False)
        position = f"up to {step.progress.reached}, {step.rows:,} rows"
        bar.update(task, completed=backfill.completed_share(step.progress, since), position=position)
        if not bar.console.is_terminal:
            bar.console.print(position, highlight=False)
    return step


def _line(begin: str, end: str, rows: str) -> Table:
    """Each window is printed as a table of one line, because the next window may take minutes."""
    line = Table.grid(padding=(0, 2))
    for width, justify in ((19, "left"), (19, "left"), (12, "right")):
        line.add_column(width=width, justify=justify)  # type: ignore[arg-type]  # one of rich's words
    line.add_row(begin, end, rows)
    return line
