"""Holds: the file of a job that waits for a person's approval, `staged/_held/<job>.json`.

    held        a run has staged a file that differs more than `guards.approve` allows, and has sent nothing
    approved    a person wants exactly this file in Pigment; another run, with a receipt of its own, has landed it
    refused     a person rejected it, or a later run of the job has read its source and superseded it

A later run does not wait for the person: what it has read is newer, and is compared with the same landing. A later run
that fails before it has read everything leaves the hold as it is. A hold is placed, superseded and rejected only under
the lease of the job's import configuration; that its file has landed may be noted at any time, and more than once. The
file and the hold itself live as long as everything under `staged/`.

What became of a held run is written to its receipt before the hold is deleted. After a kill between the two, the next
decision, or the next run, finds the hold again and repeats what is left.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec

from common.platform.errors import ErrorReport, NotApproved
from common.runs import receipts
from common.runs.cursors import LastLanding
from common.runs.receipts import Receipt
from common.storage import paths
from common.storage.bucket import Bucket


class Hold(msgspec.Struct, frozen=True):
    run: str
    job: str
    landed: LastLanding
    "The job's cursor once the file has landed."
    error: ErrorReport
    "Why it is held."
    delivery: str | None = None
    "The name in the inbox of the webhook delivery that is held; it waits there."


def place(bucket: Bucket, hold: Hold) -> None:
    bucket.write_json(paths.held(hold.job), hold, over=None)


def read(bucket: Bucket, job: str) -> Hold | None:
    stored = bucket.read_json(paths.held(job), Hold)
    return stored.value if stored else None


def held_receipt(bucket: Bucket, hold: Hold) -> Receipt | None:
    """Return the receipt of a hold's run while it is held; none if the run was killed while it placed the hold."""
    receipt = receipts.read(bucket, hold.job, hold.run)
    return receipt if receipt and receipt.outcome == "held" else None


def every(bucket: Bucket) -> Iterator[tuple[Hold, Receipt]]:
    """Yield each hold with the receipt of its run, as `held_receipt` returns it."""
    for path in bucket.names(paths.HELD):
        stored = bucket.read_json(path, Hold)
        if stored and (receipt := held_receipt(bucket, stored.value)):
            yield stored.value, receipt


def answer_to(bucket: Bucket, job: str, call_id: str | None) -> Receipt | None:
    """Return the receipt of the held run that answered a call before: Cloud Scheduler repeats what is refused."""
    hold = read(bucket, job) if call_id is not None else None
    if hold is None or hold.landed.tick != call_id:
        return None
    return held_receipt(bucket, hold)


def has_landed(hold: Hold, last: LastLanding | None) -> bool:
    """Whether the job's last landing is that of the held file."""
    return last is not None and last.staged == hold.landed.staged


def supersede(bucket: Bucket, job: str, last: LastLanding | None, run: str) -> None:
    """End a job's hold, because a later run has read its source completely."""
    hold = read(bucket, job)
    if hold is None:
        return
    if last is not None and has_landed(hold, last):
        # The run that landed the approved file was killed before it wrote this.
        approve(bucket, hold, last.run)
        return
    _refuse(bucket, hold, f"Run {run} read the source again and superseded this run.")
    forget(bucket, hold.job, hold.run)


def approve(bucket: Bucket, hold: Hold, run: str) -> Receipt | None:
    """Note which run has landed the file. Return the receipt of the held run, if it is still stored."""
    receipt = _decide(bucket, hold, "approved", None, f"Approved by hand: run {run} has landed the file.")
    forget(bucket, hold.job, hold.run)
    return receipt


def reject(bucket: Bucket, hold: Hold) -> Receipt | None:
    """Note that a person rejected the file, and delete it. Return the receipt of the held run, if it is stored."""
    receipt = _refuse(bucket, hold, "Rejected by hand.")
    for path in {paths.staged(hold.job, hold.run), hold.landed.staged}:
        bucket.delete(path)
    return receipt


def forget(bucket: Bucket, job: str, run: str) -> None:
    """Delete the hold of a run, unless a later run has placed its own."""
    stored = bucket.read_json(paths.held(job), Hold)
    if stored is not None and stored.value.run == run:
        bucket.delete(paths.held(job), generation=stored.generation)


def _refuse(bucket: Bucket, hold: Hold, why: str) -> Receipt | None:
    return _decide(bucket, hold, "refused", NotApproved(f"{why} {hold.error.message}"))


def _decide(
    bucket: Bucket, hold: Hold, outcome: Literal["approved", "refused"], error: NotApproved | None, *warnings: str
) -> Receipt | None:
    receipt = receipts.read(bucket, hold.job, hold.run)
    if receipt is None:
        return None
    report = ErrorReport.of(error) if error else None
    decided = msgspec.structs.replace(receipt.warned(*warnings), outcome=outcome, error=report)
    return receipts.decide(bucket, decided)
