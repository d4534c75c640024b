"""Receipts, runs and errors for a person."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from rich.table import Table
from rich.text import Text

from common.platform.errors import code_of, every_error, meaning_of
from common.runs.receipts import Receipt
from common.tables.compare import ChangeCounts, Diff
from local import listing, next_steps, terminal
from local.listing import FormField, ListedColumn, ListedItem
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
    "occupied": "yellow",
    "refused": "red",
    "failed": "red",
}
_VERDICTS = {"equal": "green", "differs": "red", "not_yet": "cyan", "impossible": "yellow"}


def print_receipt(receipt: Receipt, as_json: bool, files: Path | None, *, is_whole: bool = False) -> None:
    """Print a receipt, and the rows that a preview shows.

    Args:
        files: the folder that stores the buckets of a local bridge.
        is_whole: whether warnings are printed whole, however long; those of a preview always are.
    """
    if as_json:
        terminal.print_json(next_steps.fitted(receipt))
        return
    out = terminal.console()
    for table in [*preview_tables(receipt), *diff_tables(receipt)]:
        out.print(table)
    print_form_of(receipt, files, is_whole=is_whole or receipt.outcome == "previewed")


def print_form_of(
    receipt: Receipt,
    files: Path | None = None,
    *more: FormField,
    is_whole: bool = False,
    errors: bool = False,
) -> None:
    """Print a receipt as names and values, without the rows of a preview.

    Args:
        files: the folder that stores the buckets of a local bridge.
        more: further values.
        is_whole: whether warnings are printed whole.
        errors: print to standard error.
    """
    fields = [*receipt_fields(receipt, files, is_whole=is_whole), *more]
    if listing.print_form(f"Receipt of run {receipt.run}", fields, errors=errors):
        terminal.say(f"`bridge runs {receipt.run}` shows the warnings whole.", errors=errors)


def receipt_fields(receipt: Receipt, files: Path | None = None, *, is_whole: bool = True) -> Iterator[FormField]:
    """Yield what a receipt says, without the rows of a preview. The arguments are those of `print_form_of`."""
    yield FormField("job", receipt.job)
    yield FormField("started", time_of(receipt))
    yield FormField("outcome", _coloured_outcome(receipt))
    yield from _counts(receipt)
    yield from _verdict(receipt)
    named = (
        ("window", " to ".join(receipt.window) if receipt.window else None),
        ("cursor", receipt.cursor.after),
        ("all windows", _progress(receipt)),
        ("bytes", f"{receipt.bytes:,}" if receipt.bytes is not None else None),
        ("sha256", receipt.sha256),
        ("configuration", receipt.configuration),
        ("import", receipt.import_id),
        ("object" if receipt.outcome == "published" else "intended object", receipt.object),
        ("file", _published_file(receipt, files)),
        ("seconds", _seconds(receipt)),
    )
    yield from (FormField(name, value) for name, value in named if value is not None)
    for warning in receipt.warnings:
        yield FormField(Text("warning", "yellow"), warning, is_brief=not is_whole)
    if receipt.error:
        yield FormField(Text("error", "red"), f"{receipt.error.code}: {receipt.error.message}")
        yield FormField("next step", next_steps.of(receipt.error))


def time_of(receipt: Receipt) -> str:
    """Return when a run started, to the second, with its zone."""
    return f"{receipt.started_at[:19]}Z"


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


def print_runs(open_runs: Iterable[OpenRun], closed: Iterable[Receipt]) -> None:
    """Print runs in the given order: those that have not ended first."""
    columns = [ListedColumn(name) for name in ("job", "started", "outcome")]
    columns += [ListedColumn(name, is_number=True) for name in ("read", "landed", "skipped")]
    items = [*map(_open_item, open_runs), *map(_closed_item, repeated_once(closed))]
    listing.print_list(columns, items, identifier="run", details="why")


class RepeatedRun(NamedTuple):
    """Runs of one job that ended alike, one after the other."""

    receipt: Receipt
    "The newest."
    times: int
    since: str
    "When the oldest started."


def repeated_once(receipts: Iterable[Receipt]) -> list[RepeatedRun]:
    """Return runs without those that ended by the same error as the next one of their job. Both are newest first.

    Each delivery that comes to a blocked configuration, and each attempt, is a run.
    """
    found: list[RepeatedRun] = []
    last_of_job: dict[str, int] = {}
    for receipt in receipts:
        place = last_of_job.get(receipt.job)
        if place is not None and receipt.error is not None and _end(found[place].receipt) == _end(receipt):
            found[place] = RepeatedRun(found[place].receipt, found[place].times + 1, time_of(receipt))
            continue
        last_of_job[receipt.job] = len(found)
        found.append(RepeatedRun(receipt, 1, time_of(receipt)))
    return found


def _end(receipt: Receipt) -> tuple[str, str, str]:
    error = receipt.error
    return (receipt.outcome, error.code, error.message) if error else (receipt.outcome, "", receipt.run)


def _open_item(each: OpenRun) -> ListedItem:
    begun = each.receipt
    read = "" if begun.rows.read is None else f"{begun.rows.read:,}"
    state = Text(each.state, _COLOURS[each.state])
    return ListedItem((begun.job, time_of(begun), state, read, "", ""), begun.run, each.details)


def _closed_item(repeated: RepeatedRun) -> ListedItem:
    receipt, times, since = repeated
    rows = receipt.rows
    landed = None if rows.inserted is None else rows.inserted + (rows.updated or 0)
    counts = ["" if number is None else f"{number:,}" for number in (rows.read, landed, rows.skipped)]
    details = receipt.error.message if receipt.error else "; ".join(receipt.warnings)
    if times > 1:
        details = f"{times} times since {since}. {details}"
    cells: list[str | Text] = [receipt.job, time_of(receipt), _coloured_outcome(receipt), *counts]
    return ListedItem(cells, receipt.run, details, is_brief=receipt.error is None)


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


def _counts(receipt: Receipt) -> Iterator[FormField]:
    counts = msgspec.structs.asdict(receipt.rows)
    if receipt.changes is not None:
        counts |= msgspec.structs.asdict(receipt.changes)
    for name, count in counts.items():
        if count is not None:
            yield FormField(f"rows {name}", f"{count:,}")
    for skip in receipt.skips:
        yield FormField("skipped", f"{skip.count:,} × {skip.reason}, column {skip.column or '?'}")
        yield from (FormField("", sample) for sample in skip.samples)
    for check in receipt.known:
        age = f"{check.items:,} items, as they were {check.age_s:,} seconds before"
        yield FormField(f"known {check.column}", age)
        for unknown in check.unknown:
            alike = f"; is it {unknown.alike!r}?" if unknown.alike is not None else ""
            yield FormField("unknown", f"{unknown.rows:,} × {unknown.item!r}{alike}")


def _verdict(receipt: Receipt) -> Iterator[FormField]:
    if receipt.verified is None:
        return
    yield FormField("verified", Text(receipt.verified.replace("_", " "), _VERDICTS[receipt.verified]))
    for row in receipt.verification.rows if receipt.verification else ():
        cells = "; ".join(f"{cell.column}: sent {cell.sent}, there {cell.pigment}" for cell in row.cells)
        yield FormField(row.problem, f"{', '.join(row.key)}  {cells or ', '.join(row.columns)}".rstrip())


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
