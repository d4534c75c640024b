"""Approval: the file of a held run, byte for byte, into Pigment; or its rejection.

    approve    find the held run and its file → take the lease → settle what an earlier run left → is it still held, and
               has nothing newer landed → push → follow the import → read the block back → receipt → cursor
               → release the lease → note it on the held run's receipt
    reject     the same up to the lease → note it on the held run's receipt → delete the file → close its delivery

The cursor moves as the held run would have moved it. It says which file has landed, so that a file lands once: after a
kill between the landing and the note, `approve` finds in the cursor that the file has landed.
"""

from datetime import datetime

import msgspec

from common import bridge_yaml
from common.flows.leased import open_pigment, run_leased
from common.flows.resend import job_of, staged_file
from common.platform.errors import MalformedRequest, NotApproved, NotFound
from common.runs import cursors, holds, receipts, settling
from common.runs.cursors import KnownCursors, LastLanding
from common.runs.ends import End
from common.runs.holds import Hold
from common.runs.instance import Instance
from common.runs.landing import journal_of
from common.runs.leases import Lease
from common.runs.receipts import Receipt
from common.runs.run import Run
from common.runs.verification import land_and_verify
from common.storage import inbox
from common.storage.bucket import Bucket

_FIND = "`bridge runs` shows which runs are held."


def approve(instance: Instance, bridge: bridge_yaml.Bridge, run_id: str) -> Receipt:
    """Land the file of a held run, and return the receipt of the run that did so; if the file has landed before, the
    receipt of the held run, which names that one.

    Raises NotFound if the run or its file is not there, NoSuchJob if its job is not, MalformedRequest if the run is not
    held or something newer has landed, ConfigurationOccupied if another run has the lease, StorageBusy or
    StorageRefused.
    """
    bucket = instance.bucket
    held = receipts.find(bucket, run_id)
    if held.outcome == "approved":
        holds.forget(bucket, held.job, run_id)
        return held
    job, hold = job_of(bridge, held), _hold_of(bucket, held)
    previous = cursors.read(bucket, job.name)
    if previous is not None and holds.has_landed(hold, previous):
        return holds.approve(bucket, hold, previous.run) or held
    _expect_unchanged(job, held, hold, previous)
    staged = staged_file(bucket, held, job.target.delimiter)
    _expect_base(bucket, held, hold)
    run = _begin(instance, job, held)
    run.note_held(held)
    run.note_file(staged)
    run.warn(f"Approved by hand: this run sent the file of run {run_id}.")

    def work(lease: Lease, known_cursors: KnownCursors, _: Receipt | None) -> End:
        # Again: until the lease was taken, somebody may have decided, or a later run may have landed.
        current = _hold_of(bucket, receipts.find(bucket, run_id))
        _expect_unchanged(job, held, current, known_cursors.read(job.name))
        landed = msgspec.structs.replace(current.landed, run=run.id)
        return land_and_verify(run, bridge, job, lease, pigment, staged, landed)

    with open_pigment(run, bridge) as pigment:
        receipt = run_leased(run, bridge, job.target.configuration, journal_of(run, job, hold.delivery), pigment, work)
    # After a kill before this line, the next call, or the job's next run, finds in the cursor that the file has landed.
    if holds.has_landed(hold, cursors.read(bucket, job.name)):
        holds.approve(bucket, hold, run.id)
    return receipt


def reject(instance: Instance, bridge: bridge_yaml.Bridge, run_id: str) -> Receipt:
    """Discard the file of a held run, and return its receipt. Raises as `approve` does.

    Repeated after a kill, it does what is left to do.
    """
    bucket = instance.bucket
    held = receipts.find(bucket, run_id)
    job = job_of(bridge, held)
    _hold_of(bucket, held)
    run = _begin(instance, job, held)

    def work(_lease: Lease, known_cursors: KnownCursors, _: Receipt | None) -> Receipt:
        # Again: until the lease was taken, somebody may have decided.
        hold = _hold_of(bucket, receipts.find(bucket, run_id))
        previous = known_cursors.read(job.name)
        if previous is not None and holds.has_landed(hold, previous):
            raise MalformedRequest(f"Run {previous.run} has landed the file of run {run_id}.")
        rejected = holds.reject(bucket, hold) or held
        if hold.delivery is not None:
            inbox.close(bucket, hold.job, hold.delivery, "dead", settling.metadata_of(rejected))
        holds.forget(bucket, hold.job, hold.run)
        return rejected

    with open_pigment(run, bridge) as pigment:
        return run_leased(run, bridge, job.target.configuration, journal_of(run, job), pigment, work)


def _hold_of(bucket: Bucket, held: Receipt) -> Hold:
    """Return the hold of a run. Raises MalformedRequest if it was decided or superseded, or was never held."""
    hold = holds.read(bucket, held.job)
    if hold is not None and hold.run == held.run and (held.outcome == "held" or _is_half_rejected(held)):
        return hold
    if held.outcome == "held":
        cause = f"The file of run {held.run} is no longer stored."
        raise MalformedRequest(cause, next_step="Run the job: it reads its source, and compares, again.")
    why = f": {held.error.message}" if held.error else "."
    raise MalformedRequest(f"Run {held.run} is not held; its outcome is {held.outcome}{why}", next_step=_FIND)


def _is_half_rejected(held: Receipt) -> bool:
    """Whether a rejection was killed after it wrote the receipt."""
    return held.error is not None and held.error.kind is NotApproved


def _expect_unchanged(job: bridge_yaml.AnyImport, held: Receipt, hold: Hold, previous: LastLanding | None) -> None:
    """Raise MalformedRequest unless the job lands where, and after what, it did when the file was compared."""
    if held.outcome != "held":
        raise MalformedRequest(f"Run {held.run} was rejected.", next_step=_again(held))
    if held.configuration != job.target.configuration:
        cause = (
            f"Run {held.run} was to land through the configuration {held.configuration}, which the job no longer uses."
        )
        raise MalformedRequest(cause, next_step=_again(held))
    if previous is None or previous.run != hold.landed.previous:
        newer = f"Run {previous.run} has landed" if previous else "The job's cursor was deleted"
        raise MalformedRequest(f"{newer} since run {held.run} was held.", next_step=_again(held))


def _again(held: Receipt) -> str:
    return f"`bridge reject {held.run}` discards its file. Then run the job: it reads its source, and compares, again."


def _expect_base(bucket: Bucket, held: Receipt, hold: Hold) -> None:
    """Raise NotFound if the file with which the job's next run compares is not there."""
    if not bucket.exists(hold.landed.staged):
        raise NotFound(f"The file {hold.landed.staged} of run {hold.run} is no longer stored.", next_step=_again(held))


def _begin(instance: Instance, job: bridge_yaml.AnyImport, held: Receipt) -> Run:
    """Begin a run whose files have the date of the held one."""
    time_zone = job.time_zone if isinstance(job, bridge_yaml.Pull) else "UTC"
    run = Run(instance, job.name, job.kind, time_zone, due_at=datetime.fromisoformat(held.started_at))
    run.note_target(job)
    return run
