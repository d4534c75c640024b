"""Tables of receipts and errors for a person."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from common.platform.errors import code_of, every_error, meaning_of
from common.runs.receipts import Receipt
from common.tables.compare import ChangeCounts, Diff
from local import next_steps, terminal
from local.open_runs import OpenRun

_COLOURS = {
    "landed": "green",
    "published": "green",
    "previewed": "cyan",
    "nothing_new": "cyan",
    "landed_with_skips": "yellow",
    "importing": "yellow",
    "held": "yellow",
    "approved": "green",
    "unknown": "red",
    "running": "cyan",
    "interrupted": "yellow",
    "refused": "red",
    "failed": "red",
}
_VERDICTS = {"equal": "green", "differs": "red", "not_yet": "cyan", "impossible": "yellow"}


def print_receipt(receipt: Receipt, as_json: bool, files: Path | None) -> None:
    """Print a receipt, and the rows that a preview shows.

    Args:
        files: the folder that stores the buckets of a local bridge.
    """
    if as_json:
        terminal.print_json(next_steps.fitted(receipt))
        return
    out = terminal.console()
    for table in [*preview_tables(receipt), *diff_tables(receipt), receipt_table(receipt, files)]:
        out.print(table)


def receipt_table(receipt: Receipt, files: Path | None = None) -> Table:
    """One receipt as a table of two columns, without the rows of a preview.

    Args:
        files: the folder that stores the buckets of a local bridge.
    """
    table = Table(
        show_header=False, title=f"Receipt of run {receipt.run}", title_justify="left", title_style="bold", box=None
    )
    table.add_row("job", receipt.job)
    table.add_row("outcome", _coloured_outcome(receipt))
    _add_counts(table, receipt)
    _add_verdict(table, receipt)
    _add(table, "window", " to ".join(receipt.window) if receipt.window else None)
    _add(table, "cursor", receipt.cursor.after)
    _add(table, "all windows", _progress(receipt))
    _add(table, "bytes", f"{receipt.bytes:,}" if receipt.bytes is not None else None)
    _add(table, "sha256", receipt.sha256)
    _add(table, "configuration", receipt.configuration)
    _add(table, "import", receipt.import_id)
    _add(table, "object" if receipt.outcome == "published" else "intended object", receipt.object)
    _add(table, "file", _published_file(receipt, files))
    _add(table, "seconds", _seconds(receipt))
    for warning in receipt.warnings:
        table.add_row(Text("warning", "yellow"), warning)
    if receipt.error:
        table.add_row(Text("error", "red"), f"{receipt.error.code}: {receipt.error.message}")
        table.add_row("next step", next_steps.of(receipt.error))
    return table


def preview_tables(receipt: Receipt) -> list[Table]:
    """The first rows of a preview."""
    if isinstance(receipt.preview, msgspec.UnsetType):
        return []
    title = "First rows of the object" if receipt.kind == "export" else "First rows of the file for Pigment"
    return [_rows_table(title, receipt.preview.header, receipt.preview.first_rows)]


def diff_tables(receipt: Receipt) -> list[Table]:
    """The rows that a preview of `load: changes` found to differ, one table per kind of difference."""
    if isinstance(receipt.diff, msgspec.UnsetType):
        return []
    diff = receipt.diff
    # Rows with faulty keys cannot be compared, so such a receipt has no counts.
    counts = receipt.changes or ChangeCounts(0, 0, 0, 0)
    tables: list[tuple[str, Sequence[Any], int, list[str], list[list[str]]]] = [
        ("Changed rows", diff.changed_rows, counts.changed, [*diff.key, "column", "before", "after"], _cells(diff)),
        ("New rows", diff.new_rows, counts.added, diff.header, diff.new_rows),
        ("Gone from Looker, still in Pigment", diff.gone_keys, counts.gone, diff.key, diff.gone_keys),
        ("Empty or repeated keys", diff.bad_keys, 0, diff.key, diff.bad_keys),
    ]
    return [
        _rows_table(title if count <= len(rows) else f"{title}, the first {len(rows)} of {count:,}", header, lines)
        for title, rows, count, header, lines in tables
        if rows
    ]


def runs_table(open_runs: Iterable[OpenRun], receipts: Iterable[Receipt]) -> Table:
    """One line per run, in the given order: those that have not ended first."""
    table = Table("started", "job", "run", "outcome", "read", "landed", "skipped", "details", box=None)
    for each in open_runs:
        begun = each.receipt
        read = "" if begun.rows.read is None else f"{begun.rows.read:,}"
        state = Text(each.state, _COLOURS[each.state])
        table.add_row(begun.started_at[:19], begun.job, begun.run, state, read, "", "", each.details)
    for receipt in receipts:
        rows = receipt.rows
        landed = None if rows.inserted is None else rows.inserted + (rows.updated or 0)
        counts = ["" if count is None else f"{count:,}" for count in (rows.read, landed, rows.skipped)]
        details = receipt.error.message if receipt.error else "; ".join(receipt.warnings)
        started = receipt.started_at[:19]
        table.add_row(started, receipt.job, receipt.run, _coloured_outcome(receipt), *counts, details)
    return table


def errors_table() -> Table:
    """All errors, in the order of the error tree."""
    table = Table("status", "code", "meaning", "next step", show_lines=True)
    for kind in every_error():
        table.add_row(str(kind.status), code_of(kind), meaning_of(kind), kind.next_step)
    return table


def errors_markdown() -> str:
    """The same table in Markdown."""
    rows = [f"| {kind.status} | `{code_of(kind)}` | {meaning_of(kind)} | {kind.next_step} |" for kind in every_error()]
    return "\n".join(["| status | code | meaning | next step |", "|---|---|---|---|", *rows])


def _coloured_outcome(receipt: Receipt) -> Text:
    return Text(receipt.outcome, _COLOURS[receipt.outcome])


def _add(table: Table, name: str, value: str | None) -> None:
    if value is not None:
        table.add_row(name, value)


def _add_counts(table: Table, receipt: Receipt) -> None:
    counts = msgspec.structs.asdict(receipt.rows)
    if receipt.changes is not None:
        counts |= msgspec.structs.asdict(receipt.changes)
    for name, count in counts.items():
        _add(table, f"rows {name}", None if count is None else f"{count:,}")
    for skip in receipt.skips:
        _add(table, "skipped", f"{skip.count:,} × {skip.reason}, column {skip.column or '?'}")
        for sample in skip.samples:
            _add(table, "", sample)
    for check in receipt.known:
        _add(table, f"known {check.column}", f"{check.items:,} items, as they were {check.age_s:,} seconds before")
        for unknown in check.unknown:
            alike = f"; is it {unknown.alike!r}?" if unknown.alike is not None else ""
            _add(table, "unknown", f"{unknown.rows:,} × {unknown.item!r}{alike}")


def _add_verdict(table: Table, receipt: Receipt) -> None:
    if receipt.verified is None:
        return
    table.add_row("verified", Text(receipt.verified.replace("_", " "), _VERDICTS[receipt.verified]))
    for row in receipt.verification.rows if receipt.verification else ():
        cells = "; ".join(f"{cell.column}: sent {cell.sent}, there {cell.pigment}" for cell in row.cells)
        _add(table, row.problem, f"{', '.join(row.key)}  {cells or ', '.join(row.columns)}".rstrip())


def _progress(receipt: Receipt) -> str | None:
    progress = receipt.progress
    if isinstance(progress, msgspec.UnsetType) or receipt.outcome == "previewed":
        return None
    remaining = "all windows have landed" if progress.done else f"windows up to {progress.until} remain"
    return f"{progress.windows:,} windows and {progress.rows.read or 0:,} rows in this call; {remaining}"


def _published_file(receipt: Receipt, files: Path | None) -> str | None:
    """The path of a published object on this machine, if its name is a valid file name."""
    if files is None or receipt.object is None or receipt.outcome != "published":
        return None
    file = files / receipt.object.removeprefix("gs://")
    return str(file) if file.is_file() else None


def _seconds(receipt: Receipt) -> str:
    seconds = receipt.seconds
    looker = "" if receipt.kind == "export" else f"{seconds.looker:.1f} Looker, "
    return f"{looker}{seconds.pigment:.1f} Pigment, {seconds.total:.1f} in total"


def _cells(diff: Diff) -> list[list[str]]:
    """One line per changed cell. The first line of each row shows its key."""
    no_key = [""] * len(diff.key)
    return [
        [*(no_key if number else row.key), cell.column, cell.before, cell.after]
        for row in diff.changed_rows
        for number, cell in enumerate(row.cells)
    ]


def _rows_table(title: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    table = Table(*header, title=title, title_justify="left", min_width=len(title) + 4)
    for row in rows:
        table.add_row(*row)
    return table
