"""A pull: Looker's rows into a Pigment import.

    take the lease → settle what an earlier run left → read from Looker into a staged file, checked → guards
    → push → follow the import → read the block back, if the job says so → receipt → cursor → release the lease

The job's `load` decides which rows one run takes (`common.loads`): all of them, those of a window, or those that are
new or changed. A load in windows is a series of runs, each with a receipt of its own.
"""

from datetime import datetime

import msgspec

from common import bridge_yaml
from common.flows.leased import open_pigment, run_leased
from common.loads.changes import ChangesLoad
from common.loads.full import FullLoad
from common.loads.incremental import IncrementalLoad, RequestedRange
from common.loads.load import FOR_LANDING_S, Batch, Loader
from common.looker.client import LookerClient
from common.pigment.client import PigmentClient
from common.platform.clock import Deadline
from common.platform.errors import ConfigurationOccupied, MalformedRequest, as_bridge_error
from common.runs import approval, cursors, guards, holds, known, receipts, stopped, usage
from common.runs.cursors import KnownCursors, LastLanding
from common.runs.ends import End, Failed, NothingNew, Previewed
from common.runs.instance import Instance
from common.runs.landing import discarding_unsent, journal_of, land
from common.runs.leases import Lease
from common.runs.receipts import Receipt, Rows
from common.runs.run import Run
from common.runs.verification import land_and_verify
from common.tables.staging import Sample

_SETTLED = (
    "This is the receipt of an interrupted run, which this call settled: its rows had landed. Nothing was sent again, "
    "because the target is not repeatable. To send all rows once more, run the job again."
)

_SPARE = 1.5
"How much longer than the longest window so far the next one may take."


def pull(
    instance: Instance,
    bridge: bridge_yaml.Bridge,
    job: bridge_yaml.Pull,
    *,
    preview: bool = False,
    call_id: str | None = None,
    requested: RequestedRange | None = None,
    deadline: Deadline | None = None,
    due_at: datetime | None = None,
) -> Receipt:
    """Run a pull and return its receipt, whether it succeeds or fails; for a load in windows, the last window's.

    Args:
        preview: read and check, but send nothing.
        call_id: identifies the call, such as the time of a Cloud Scheduler job. If the target is not repeatable, calls
            with the same id land once.
        requested: for an incremental load, the range to load again, or the limit for this call.
        deadline: the end of the time budget, if it is not that of a call that begins now.
        due_at: the time in the name of a file for Pigment's connector; that of the clock without one.

    Raises MalformedRequest, and begins no run, if the job cannot load such a range.
    """
    if requested is not None:
        _expect_fitting(job, requested, preview=preview)
    run = _begin(instance, job, call_id, deadline or instance.deadline(), due_at)
    looker = LookerClient(bridge.looker, instance.secrets, run.keep_back(0.2, FOR_LANDING_S), instance.chance)
    run.count_calls(looker.calls)
    try:
        # Before any row is read: a pull of an hour would otherwise end for want of a key.
        instance.secrets.expect([bridge.looker.credentials] if preview else _secrets_of(bridge))
        with looker, open_pigment(run, bridge) as pigment:
            load = _loader(job, looker, requested)
            if preview:
                return _preview(run, job, load, pigment)
            return _pull_windows(run, bridge, job, load, pigment, looker, call_id)
    except Exception as error:  # noqa: BLE001  # every run ends by a receipt
        if stopped.is_ctrl_c(error):
            raise KeyboardInterrupt from None
        return run.end(Failed(as_bridge_error(error)))
    finally:
        usage.record(instance, job.name, run.id, looker.calls.total, run.deadline)


def _expect_fitting(job: bridge_yaml.Pull, requested: RequestedRange, *, preview: bool) -> None:
    """Raise MalformedRequest if the job is not loaded in ranges, or if rows would land in an append again."""
    if not isinstance(job.load, bridge_yaml.Incremental):
        cause = f"Only an incremental pull can load a range, or in windows; {job.name} always reads all rows."
        raise MalformedRequest(cause, next_step=f"Run it without a range: `bridge pull {job.name}`.")
    if requested.begin is not None and not (job.target.repeatable or preview):
        cause = f"`from` loads rows again, and the target of {job.name} is not repeatable."
        raise MalformedRequest(cause, next_step="Leave `from` out: the load then continues from its cursor.")


def _secrets_of(bridge: bridge_yaml.Bridge) -> tuple[str, str]:
    return bridge.looker.credentials, bridge.pigment.import_key


def _begin(
    instance: Instance, job: bridge_yaml.Pull, call_id: str | None, deadline: Deadline, due_at: datetime | None
) -> Run:
    run = Run(instance, job.name, job.kind, job.time_zone, deadline, due_at)
    run.note_target(job)
    run.note_call(call_id)
    return run


def _loader(job: bridge_yaml.Pull, looker: LookerClient, requested: RequestedRange | None) -> Loader:
    if isinstance(job.load, bridge_yaml.Incremental):
        return IncrementalLoad(job, job.load, looker, requested)
    if isinstance(job.load, bridge_yaml.Changes):
        return ChangesLoad(job, job.load, looker)
    return FullLoad(job, looker)


def _pull_windows(
    run: Run,
    bridge: bridge_yaml.Bridge,
    job: bridge_yaml.Pull,
    load: Loader,
    pigment: PigmentClient,
    looker: LookerClient,
    call_id: str | None,
) -> Receipt:
    """Pull until nothing is left, a window does not land, or the next window might not end in time."""
    receipt = _pull_once(run, bridge, job, load, pigment, call_id)
    windows, sums, longest_s = 0, Rows(), 0.0
    while receipt.has_ended_well and (progress := load.progress()) is not None:
        windows, sums, longest_s = windows + 1, sums.plus(receipt.rows), max(longest_s, receipt.seconds.total)
        progress = msgspec.structs.replace(progress, windows=windows, rows=sums)
        receipt = msgspec.structs.replace(receipt, progress=progress)
        if not load.may_go_on() or not run.deadline.allows(longest_s * _SPARE + FOR_LANDING_S):
            break
        run = _begin(run.instance, job, call_id, run.deadline, run.due_at)
        run.count_calls(looker.calls)
        try:
            receipt = _pull_once(run, bridge, job, load, pigment, call_id)
        except ConfigurationOccupied:
            # Another run took the lease between two windows. The next call continues where that run has landed.
            break
        except Exception as error:  # noqa: BLE001  # of this window; the windows before it have receipts
            receipt = run.end(Failed(as_bridge_error(error)))
        receipt = msgspec.structs.replace(receipt, progress=progress)
    return receipt


def _pull_once(
    run: Run,
    bridge: bridge_yaml.Bridge,
    job: bridge_yaml.Pull,
    load: Loader,
    pigment: PigmentClient,
    call_id: str | None,
) -> Receipt:
    target = job.target

    def work(lease: Lease, known_cursors: KnownCursors, settled: Receipt | None) -> End | Receipt:
        previous = known_cursors.read(job.name)
        answered = _answered_before(run, job, previous, call_id, settled)
        if answered is not None:
            return answered
        if not load.begins_again():
            guards.expect_kept_rows(previous, target.configuration, job.max_deleted)
        batch = load.stage(run, previous, preview=False)
        if batch is None:
            approval.supersede(run, job, previous)
            return NothingNew()
        deleted = _still_deleted(previous, batch, target.configuration)
        landed = msgspec.structs.replace(
            batch.landed,
            tick=call_id,
            configuration=target.configuration,
            deleted=deleted,
            delimiter=target.delimiter,
        )
        if batch.staged.checked.rows == 0:
            return NothingNew(landed if batch.moves_without_rows else None)
        # What no guard has judged is not kept, and cannot be sent again.
        with discarding_unsent(run, lease, batch.staged):
            staged, landed = known.expect_known(run, pigment, job, batch.staged, landed)
        if job.load == "full":
            known.expect_enough_left(job, batch.staged, staged, previous)
        approval.expect_small_change(run, job, previous, staged, landed)
        if load.may_go_on():
            # A block is read back once for all windows of a call.
            return land(run, lease, pigment, target, staged, landed)
        return land_and_verify(run, bridge, job, lease, pigment, staged, landed)

    return run_leased(run, bridge, target.configuration, journal_of(run, job), pigment, work)


def _still_deleted(previous: LastLanding | None, batch: Batch, configuration: str) -> int:
    """Return how many rows that an earlier landing deleted are still missing once a batch has landed.

    They are missing until rows have landed after that; of a range that is loaded again, all of its windows.
    """
    has_rows = batch.staged.checked.rows + batch.rows_before > 0
    if previous is None or (has_rows and batch.landed.backfill is None):
        return 0
    return previous.deleted_through(configuration)


def _answered_before(
    run: Run, job: bridge_yaml.Pull, previous: LastLanding | None, call_id: str | None, settled: Receipt | None
) -> Receipt | None:
    """Return the receipt of the run that already answered this call, if landing again would double the rows.

    Cloud Scheduler and Pub/Sub call at least once, and again when an answer is lost. A person who calls after a run was
    interrupted wants its rows, and does not know that they have landed. An incremental load continues from its cursor,
    and a changes load compares with what has landed, so that neither sends rows twice.
    """
    if previous is None:
        return None
    if job.guards.approve and (held := holds.answer_to(run.instance.bucket, job.name, call_id)):
        return held
    if (answered := run_that_answered(job, previous, call_id)) is not None:
        return receipts.read(run.instance.bucket, job.name, answered) or _receipt_of(previous, job)
    if call_id is None and settled is not None and settled.run == previous.run and _doubles(job):
        return settled.warned(_SETTLED)
    return None


def run_that_answered(job: bridge_yaml.Pull, previous: LastLanding | None, call_id: str | None) -> str | None:
    """Return the run that landed for this call, if landing again would double its rows."""
    return previous.run_that_answered(call_id) if previous is not None and _doubles(job) else None


def _doubles(job: bridge_yaml.Pull) -> bool:
    return job.load == "full" and not job.target.repeatable


def _receipt_of(previous: LastLanding, job: bridge_yaml.Pull) -> Receipt:
    """Return what the cursor says of a landing whose receipt could not be stored."""
    begun = Receipt(previous.run, job.name, job.kind, previous.landed_at, "landed")
    warnings = [f"The receipt of run {previous.run} is not stored. Its rows had landed, and nothing was sent again."]
    return msgspec.structs.replace(begun, rows=Rows(sent=previous.rows), sha256=previous.sha256, warnings=warnings)


def _preview(run: Run, job: bridge_yaml.Pull, load: Loader, pigment: PigmentClient) -> Receipt:
    """Do everything up to the push, without the lease, and delete the staged files."""
    bucket = run.instance.bucket
    previous = cursors.read(bucket, job.name)
    batch = load.stage(run, previous, preview=True)
    sample: Sample | msgspec.UnsetType = msgspec.UNSET
    try:
        if batch is not None:
            staged, landed = known.expect_known(run, pigment, job, batch.staged, batch.landed)
            approval.foresee(run, job, previous, staged, landed)
            sample = staged.sample
    finally:
        for path in (batch.staged.path, *batch.scratch) if batch else ():
            bucket.delete(path)
    receipt = msgspec.structs.replace(run.end(Previewed()), preview=sample)
    progress = load.progress()
    return msgspec.structs.replace(receipt, progress=progress) if progress else receipt
