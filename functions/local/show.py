"""What a person is shown: receipts and runs as tables; a program gets JSON."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from common.platform.errors import code_of, every_error
from common.runs.receipts import Receipt
from common.tables.compare import ChangeCounts, Diff

COLOURS = {
    "landed": "green",
    "published": "green",
    "previewed": "cyan",
    "nothing_new": "cyan",
    "landed_with_skips": "yellow",
    "importing": "yellow",
    "unknown": "red",
    "refused": "red",
    "failed": "red",
}


def receipt_table(receipt: Receipt, files: Path | None = None) -> Table:
    """One receipt, top to bottom.

    Args:
        files: where the buckets of this machine lie as plain files.
    """
    table = Table(
        show_header=False, title=f"Receipt of run {receipt.run}", title_justify="left", title_style="bold", box=None
    )
    colour = COLOURS[receipt.outcome]
    table.add_row("job", receipt.job)
    table.add_row("outcome", f"[{colour}]{receipt.outcome}[/]")
    for name, count in msgspec.structs.asdict(receipt.rows).items():
        if count is not None:
            table.add_row(f"rows {name}", f"{count:,}")
    if receipt.changes is not None:
        for name, count in msgspec.structs.asdict(receipt.changes).items():
            table.add_row(f"rows {name}", f"{count:,}")
    for skip in receipt.skips:
        table.add_row("skipped", escape(f"{skip.count:,} × {skip.reason}, column {skip.column or '?'}"))
    _add(table, "window", " to ".join(receipt.window) if receipt.window else None)
    _add(table, "cursor", receipt.cursor.after)
    if not isinstance(receipt.progress, msgspec.UnsetType) and receipt.outcome != "previewed":
        read = receipt.progress.rows.read or 0
        left = "nothing is left" if receipt.progress.done else f"up to {receipt.progress.until} is left"
        table.add_row("all windows", f"{receipt.progress.windows:,} in this call, {read:,} rows read; {left}")
    _add(table, "bytes", f"{receipt.bytes:,}" if receipt.bytes is not None else None)
    _add(table, "sha256", receipt.sha256)
    _add(table, "configuration", receipt.configuration)
    _add(table, "import", receipt.import_id)
    _add(table, "object" if receipt.outcome == "published" else "meant for", receipt.object)
    if receipt.outcome == "published":
        _add(table, "file", _file_of(receipt, files))
    spent = receipt.seconds
    looker = "" if receipt.kind == "export" else f"{spent.looker:.1f} Looker, "
    table.add_row("seconds", f"{looker}{spent.pigment:.1f} Pigment, {spent.total:.1f} in all")
    for warning in receipt.warnings:
        table.add_row("[yellow]warning[/]", escape(warning))
    if receipt.error:
        table.add_row("[red]error[/]", escape(f"{receipt.error.code}: {receipt.error.message}"))
        table.add_row("next step", escape(receipt.error.next_step))
    return table


def _file_of(receipt: Receipt, files: Path | None) -> str | None:
    """The plain file that an object of this machine is; a name that no file can have has none."""
    if files is None or receipt.object is None:
        return None
    file = files / receipt.object.removeprefix("gs://")
    return str(file) if file.is_file() else None


def sample_table(receipt: Receipt) -> Table | None:
    """The first rows of a preview."""
    if isinstance(receipt.preview, msgspec.UnsetType):
        return None
    title = f"The first rows, as {'a reader' if receipt.kind == 'export' else 'Pigment'} would get them"
    return _listing(title, receipt.preview.header, receipt.preview.first_rows)


def diff_tables(receipt: Receipt) -> list[Table]:
    """What a preview of `load: changes` shows of the rows that its receipt counts; nothing of fates that no row had."""
    if isinstance(receipt.diff, msgspec.UnsetType):
        return []
    diff = receipt.diff
    # Where keys are bad, nothing is counted.
    counts = receipt.changes or ChangeCounts(0, 0, 0, 0)
    tables: list[tuple[str, Sequence[Any], int, list[str], list[list[str]]]] = [
        ("Changed rows", diff.changed_rows, counts.changed, [*diff.key, "column", "before", "after"], _cells(diff)),
        ("New rows", diff.new_rows, counts.added, diff.header, diff.new_rows),
        ("Gone from Looker, still in Pigment", diff.gone_keys, counts.gone, diff.key, diff.gone_keys),
        ("Keys that are empty or there more than once", diff.bad_keys, 0, diff.key, diff.bad_keys),
    ]
    return [
        _listing(what if count <= len(shown) else f"{what}, the first {len(shown)} of {count:,}", header, lines)
        for what, shown, count, header, lines in tables
        if shown
    ]


def _cells(diff: Diff) -> list[list[str]]:
    """A line for each cell that changed; the key stands in the first one of its row."""
    no_key = [""] * len(diff.key)
    return [
        [*(no_key if number else row.key), cell.column, cell.before, cell.after]
        for row in diff.changed_rows
        for number, cell in enumerate(row.cells)
    ]


def _listing(title: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    table = Table(*map(escape, header), title=title, title_justify="left", min_width=len(title) + 4)
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def runs_table(receipts: Iterable[Receipt]) -> Table:
    """Runs, newest first."""
    table = Table("started", "job", "run", "outcome", "read", "landed", "skipped", "what", box=None)
    for receipt in receipts:
        rows = receipt.rows
        landed = None if rows.inserted is None else rows.inserted + (rows.updated or 0)
        what = receipt.error.message if receipt.error else "; ".join(receipt.warnings)
        counts = ["" if count is None else f"{count:,}" for count in (rows.read, landed, rows.skipped)]
        outcome = f"[{COLOURS[receipt.outcome]}]{receipt.outcome}[/]"
        table.add_row(receipt.started_at[:19], receipt.job, receipt.run, outcome, *counts, escape(what))
    return table


def errors_table() -> Table:
    """The error tree's leaves, in its order."""
    table = Table("status", "code", "meaning", "next step", show_lines=True)
    for kind in every_error():
        table.add_row(str(kind.status), code_of(kind), escape(kind.__doc__ or ""), escape(kind.next_step))
    return table


def errors_markdown() -> str:
    """The same as a table of the README."""
    rows = [f"| {kind.status} | `{code_of(kind)}` | {kind.__doc__} | {kind.next_step} |" for kind in every_error()]
    return "\n".join(["| status | code | meaning | next step |", "|---|---|---|---|", *rows])


def print_json(value: Any) -> None:
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def console() -> Console:
    """A console that, without a terminal, prints plain text as wide as it needs."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=160, no_color=True)


def _add(table: Table, name: str, value: str | None) -> None:
    if value is not None:
        table.add_row(name, escape(value))
