"""`guards.approve`: hold a file that differs too much from the one that landed last, until a person has decided.

What is compared:

    load: changes    the counts of the comparison with the base: rows by their key
    all other files  whole rows with those of the file that landed last; rows that are gone by number, without a key
    no such file     the numbers of rows alone: it was deleted (retention_days.staged), or cannot be compared with
    no landing       nothing, so that the first run is never held
"""

from common import bridge_yaml
from common.platform.errors import AwaitingApproval, ErrorReport
from common.runs import guards, holds
from common.runs.cursors import LastLanding
from common.runs.holds import Hold
from common.runs.receipts import Receipt
from common.runs.run import Run
from common.tables import compare
from common.tables.compare import ChangeSize
from common.tables.staging import Staged


def expect_small_change(
    run: Run,
    job: bridge_yaml.AnyImport,
    previous: LastLanding | None,
    staged: Staged,
    landed: LastLanding,
    delivery: str | None = None,
) -> None:
    """Supersede an earlier hold of the job, and hold this file if too much has changed since the last landing.

    Args:
        landed: the cursor once the file has landed.
        delivery: the name in the inbox of the webhook delivery.

    Raises AwaitingApproval, which ends the run as `held`.
    """
    limits = job.guards.approve
    if limits is None:
        return
    supersede(run, job, previous)
    try:
        guards.expect_small_change(_measure(run, job, limits, previous, staged, landed), limits)
    except AwaitingApproval as error:
        named = AwaitingApproval(error.cause, next_step=AwaitingApproval.next_step.replace("RUN", run.id))
        # After a kill from here on there is no receipt `held`, so nobody can approve: the next run begins again.
        holds.place(run.instance.bucket, Hold(run.id, job.name, landed, ErrorReport.of(named), delivery))
        raise named from None


def foresee(
    run: Run, job: bridge_yaml.AnyImport, previous: LastLanding | None, staged: Staged, landed: LastLanding
) -> None:
    """Warn on a preview's receipt that a run would be held."""
    limits = job.guards.approve
    if limits is None:
        return
    try:
        guards.expect_small_change(_measure(run, job, limits, previous, staged, landed), limits)
    except AwaitingApproval as error:
        run.warn(f"A run would be held until a person approves it. {error.cause}")


def supersede(run: Run, job: bridge_yaml.AnyImport, previous: LastLanding | None) -> None:
    """End an earlier hold of the job, now that this run has read the source completely."""
    if job.guards.approve is not None:
        holds.supersede(run.instance.bucket, job.name, previous, run.id)


def undecided(run: Run, job: bridge_yaml.AnyImport, delivery: str) -> Receipt | None:
    """Return the receipt of the run that holds this delivery; it is not read again before a person has decided."""
    bucket = run.instance.bucket
    hold = holds.read(bucket, job.name) if job.guards.approve else None
    if hold is None or hold.delivery != delivery:
        return None
    return holds.held_receipt(bucket, hold)


def _measure(
    run: Run,
    job: bridge_yaml.AnyImport,
    limits: bridge_yaml.Approval,
    previous: LastLanding | None,
    staged: Staged,
    landed: LastLanding,
) -> ChangeSize:
    if previous is None:
        return ChangeSize(0, 0, 0)
    counts = run.receipt.changes
    if counts is not None and (before := counts.changed + counts.gone + counts.unchanged):
        return ChangeSize(before, counts.changed + counts.gone, counts.gone)
    if previous.column is not None:
        run.warn("guards.approve compared nothing, because the load was incremental until now.")
        return ChangeSize(0, 0, 0)
    fewer, bucket = max(previous.rows - landed.rows, 0), run.instance.bucket
    delimiter = job.target.delimiter
    is_readable = previous.has_delimiter(delimiter)
    if counts is None and limits.max_changed is not None and is_readable and bucket.exists(previous.staged):
        rows = previous.rows + landed.rows
        kept = compare.count_kept(bucket, previous.staged, staged.path, delimiter, rows, run.instance.progress)
        return ChangeSize(previous.rows, previous.rows - kept, fewer)
    if counts is not None or limits.max_changed is not None:
        why = "there is no file of" if is_readable else "the delimiter has changed since"
        run.warn(f"guards.approve compared only the numbers of rows: {why} run {previous.run}.")
    return ChangeSize(previous.rows, fewer, fewer)
