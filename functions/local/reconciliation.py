"""Reconciliation: compare a pull's block in Pigment with Looker as it is now.

    read the source again into a temporary file → export the block → compare rows, sums and cells

It sends nothing and takes no lease. A run that lands meanwhile makes a difference that the next reconciliation has not.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec
from rich.table import Table
from rich.text import Text

from common import bridge_yaml
from common.loads import sources
from common.loads.incremental import IncrementalLoad, RequestedRange
from common.loads.load import FOR_LANDING_S
from common.looker.client import LookerClient
from common.platform.clock import stamp
from common.platform.errors import BridgeError, MalformedRequest
from common.runs import cursors
from common.runs.instance import Instance
from common.runs.read_back import NotVerified, ReadBack
from common.runs.run import Run
from common.storage import paths
from common.tables.equality.result import BlockEquality, ColumnSum, SentFile
from common.tables.staging import Staged

_COLOURS = {"equal": "green", "differs": "red", "impossible": "yellow"}
_PROBLEMS = {
    "missing": "not in Pigment",
    "extra": "not in Looker",
    "doubled": "more than once in Pigment",
    "changed": "other values",
}

# Longer than any load: one window then has all rows that have landed.
_ALL_YEARS = bridge_yaml.Step(amount=500, unit="year")
_ALL_NUMBERS = bridge_yaml.Step(amount=2**62, unit="number")


class Reconciliation(msgspec.Struct, frozen=True):
    """How a block compares with Looker."""

    job: str
    at: str
    verdict: Literal["equal", "differs", "impossible"]
    because: str
    "What differs, or why they were not compared."
    looker: int | None = None
    "The number of rows in Looker."
    pigment: int | None = None
    sums: list[ColumnSum] = []
    equality: BlockEquality | None = None


def reconcile(instance: Instance, bridge: bridge_yaml.Bridge, job: bridge_yaml.Pull) -> Reconciliation:
    """Read the source and the block of a pull. An error of a vendor is the reason of the verdict `impossible`.

    Raises MalformedRequest if the pull has no `verify`, or is an incremental load that has landed nothing.
    """
    if job.verify is None:
        next_step = "Add `verify` to the pull in bridge.yaml: its source, and the key of its rows."
        raise MalformedRequest(f"{job.name} does not name the block that it fills.", next_step=next_step)
    run = Run(instance, job.name, job.kind, job.time_zone)
    staged = None
    try:
        staged = _read_looker(run, bridge, job)
        file = SentFile(staged.path, job.target.delimiter)
        found = ReadBack(run, bridge, job, job.verify, lambda: [file], sums=True).compare()
    except MalformedRequest:
        raise
    except BridgeError as error:
        found = NotVerified("impossible", f"{error.cause} {error.next_step}")
    finally:
        instance.bucket.delete(paths.staged(job.name, run.id))
    return _result(run, job.verify, staged, found)


def exit_code(found: Iterable[Reconciliation]) -> int:
    """Return 0 if all are equal, 1 if one differs, 2 if one could not be compared."""
    return max(({"equal": 0, "differs": 1, "impossible": 2}[each.verdict] for each in found), default=0)


def table(found: Iterable[Reconciliation]) -> Table:
    """The rows and sums of each job side by side, and what differs in words."""
    shown = Table("job", "", "Looker", "Pigment", "difference", "verdict", box=None)
    for number in (2, 3, 4):
        shown.columns[number].justify = "right"
    for each in found:
        verdict = Text(each.verdict, _COLOURS[each.verdict])
        shown.add_row(each.job, "rows", *_side_by_side(each.looker, each.pigment), verdict)
        for column in each.sums:
            shown.add_row("", f"sum of {column.column}", *_side_by_side(column.sent, column.block), "")
        if each.verdict != "equal":
            shown.add_row("", each.because)
    return shown


def rows_table(found: Reconciliation) -> Table | None:
    """The first rows that differ; None if there are none."""
    rows = found.equality.rows if found.equality else []
    if not rows:
        return None
    shown = Table("problem", "key", "columns", title=f"The first {len(rows)} rows that differ", title_justify="left")
    for row in rows:
        cells = "; ".join(f"{cell.column}: {cell.sent} in Looker, {cell.pigment} in Pigment" for cell in row.cells)
        shown.add_row(_PROBLEMS[row.problem], ", ".join(row.key), cells or ", ".join(row.columns))
    return shown


def _read_looker(run: Run, bridge: bridge_yaml.Bridge, job: bridge_yaml.Pull) -> Staged:
    """Stage the rows that the block should have: all of the source, or up to the cursor of an incremental load."""
    deadline = run.keep_back(0.2, FOR_LANDING_S)
    with LookerClient(bridge.looker, run.instance.secrets, deadline, run.instance.chance) as looker:
        if not isinstance(job.load, bridge_yaml.Incremental):
            return sources.read_all(run, looker, job, paths.staged(job.name, run.id))
        previous = cursors.read(run.instance.bucket, job.name)
        if previous is None or previous.value is None:
            raise MalformedRequest(f"{job.name} has not landed anything yet.", next_step="Run the job first.")
        whole = _ALL_NUMBERS if isinstance(job.load.start, int) else _ALL_YEARS
        at_once = msgspec.structs.replace(job.load, window=whole)
        batch = IncrementalLoad(job, at_once, looker, RequestedRange(begin=job.load.start)).stage(
            run, previous, preview=True
        )
    if batch is None:
        raise MalformedRequest(f"The cursor of {job.name} is at its start.", next_step="Run the job first.")
    return batch.staged


def _result(
    run: Run, verify: bridge_yaml.Verify, staged: Staged | None, found: BlockEquality | NotVerified
) -> Reconciliation:
    job, at, looker = run.receipt.job, stamp(run.started_at), staged.checked.rows if staged else None
    if isinstance(found, NotVerified):
        return Reconciliation(job, at, "impossible", found.because, looker)
    differs = found.differs(accepts_extra=verify.accept_extra)
    words = found.in_words(accepts_extra=verify.accept_extra)
    return Reconciliation(job, at, "differs" if differs else "equal", words, looker, found.block, found.sums, found)


def _side_by_side(looker: float | None, pigment: float | None) -> tuple[str, str, str]:
    if looker is None or pigment is None:
        return _number(looker), _number(pigment), ""
    are_shown_equal = _number(looker) == _number(pigment)
    difference = "" if are_shown_equal else _number(pigment - looker)
    return _number(looker), _number(pigment), difference


def _number(value: float | None) -> str:
    """Write a number with at most as many digits as are exact in a sum."""
    return "" if value is None else f"{float(f'{value:.12g}'):,.6f}".rstrip("0").rstrip(".")
