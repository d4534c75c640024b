"""Resend: the staged file of an earlier run, byte for byte, into the same Pigment import once more.

    find the run's receipt and its file → take the lease → settle what an earlier run left → push → follow the import
    → receipt → cursor → release the lease

What the job's next run does is unchanged: an incremental load continues where it was, and a changes load compares with
the same file.
"""

import msgspec

from common import bridge_yaml
from common.flows.leased import open_pigment, run_leased
from common.platform.errors import MalformedRequest, NoSuchJob, NotFound
from common.runs import cursors, receipts
from common.runs.cursors import KnownCursors, LastLanding
from common.runs.ends import End, Landed, LandedInPart, end_of
from common.runs.instance import Instance
from common.runs.landing import journal_of
from common.runs.leases import Lease
from common.runs.receipts import Receipt
from common.runs.run import Run
from common.runs.verification import land_and_verify
from common.storage import inbox, paths
from common.storage.bucket import Bucket
from common.tables.check import Checked
from common.tables.compare.file import CheckedCsv
from common.tables.records import split
from common.tables.staging import Sample, Staged

_DELIMITERS = ",;"
_RUN_THE_JOB = "Run the job: it reads and sends these rows itself."


def resend(instance: Instance, bridge: bridge_yaml.Bridge, run_id: str, *, is_confirmed: bool) -> Receipt:
    """Send the file of a run again, and return the receipt of the new run.

    Args:
        is_confirmed: whether a person wants it all the same: of a file that was refused, or in a target that is not
            repeatable, where its rows are then twice if they have landed before.

    Raises NotFound if the run or its file is not there, NoSuchJob if its job is not, MalformedRequest if its file may
    not be sent, ConfigurationOccupied if another run has the lease, StorageBusy or StorageRefused.
    """
    bucket = instance.bucket
    earlier = receipts.find(bucket, run_id)
    job = job_of(bridge, earlier)
    if earlier.outcome == "held":
        raise MalformedRequest(f"Run {run_id} awaits approval.", next_step=f"`bridge approve {run_id}` sends its file.")
    if not is_confirmed:
        _expect_harmless(job, earlier)
    staged = staged_file(bucket, earlier, job.target.delimiter)
    _expect_no_gap(job, earlier, cursors.read(bucket, job.name))
    run = Run(instance, job.name, job.kind, job.time_zone if isinstance(job, bridge_yaml.Pull) else "UTC")
    run.note_target(job)
    run.note_file(staged)
    run.warn(_warning_about(earlier))

    def work(lease: Lease, known_cursors: KnownCursors, _: Receipt | None) -> End:
        previous = known_cursors.read(job.name)
        # Again: until the lease was taken, the earlier run may have been in progress, or a later one may have landed.
        _expect_no_gap(job, receipts.read(bucket, job.name, run_id) or earlier, previous)
        if previous is not None and previous.run > earlier.run:
            run.warn(f"Run {previous.run} had landed later: its rows may have been replaced by these.")
        landed = _landed(job, staged, run.id, earlier, previous)
        return land_and_verify(run, bridge, job, lease, pigment, staged, landed)

    with open_pigment(run, bridge) as pigment:
        receipt = run_leased(run, bridge, job.target.configuration, journal_of(run, job), pigment, work)
    if isinstance(job, bridge_yaml.Relay) and earlier.call and isinstance(end_of(receipt), Landed | LandedInPart):
        # After a kill before this, a person who replays the delivery as well is not warned.
        inbox.note_resent(bucket, job.name, earlier.call, receipt.run)
    return receipt


def _expect_harmless(job: bridge_yaml.AnyImport, earlier: Receipt) -> None:
    """Raise MalformedRequest if a file was refused, or if its rows can land twice."""
    if earlier.outcome == "refused" and earlier.error:
        cause = f"The file of run {earlier.run} was refused ({earlier.error.code}), and not sent."
        next_step = "Run the job: it reads its source again. To send this file although it was refused, add --yes."
        raise MalformedRequest(cause, next_step=next_step)
    if not job.target.repeatable:
        cause = f"The target of {job.name} is not repeatable: rows of run {earlier.run} that landed would be doubled."
        raise MalformedRequest(cause, next_step="Look at the block in Pigment. To send them all the same, add --yes.")


def _warning_about(earlier: Receipt) -> str:
    if earlier.outcome == "refused" and earlier.error:
        return f"A person sent the file of run {earlier.run}, which was refused ({earlier.error.code})."
    return f"This run sent the file of run {earlier.run} once more."


def job_of(bridge: bridge_yaml.Bridge, earlier: Receipt) -> bridge_yaml.AnyImport:
    """Return the pull or relay of an earlier run. Raises NoSuchJob if bridge.yaml does not have it."""
    found = {**bridge.pulls, **bridge.relays}.get(earlier.job)
    if isinstance(found, bridge_yaml.AnyImport):
        return found
    cause = f"Run {earlier.run} sent no file of a pull or relay in bridge.yaml; its job was {earlier.job}."
    raise NoSuchJob(cause, next_step="`bridge runs` shows the runs of each job.")


def staged_file(bucket: Bucket, earlier: Receipt, delimiter: str) -> Staged:
    """Return the file of an earlier run. Raises NotFound if the file has been deleted, or if the run staged none,
    MalformedRequest if it has another delimiter than the job now.
    """
    path = paths.staged(earlier.job, earlier.run)
    found = bucket.find(path)
    if earlier.sha256 is None or found is None or earlier.outcome == "nothing_new":
        kept = "Staged files are deleted after retention_days.staged. Run the job, or replay its delivery."
        raise NotFound(f"Run {earlier.run} has sent no file that is still in the bucket.", next_step=kept)
    file = CheckedCsv(bucket, path, delimiter)
    if len(file.header) == 1 and any(other in file.header[0] for other in _DELIMITERS if other != delimiter):
        cause = f"The file of run {earlier.run} has another delimiter than target.delimiter says now."
        raise MalformedRequest(cause, next_step=_RUN_THE_JOB)
    rows = sum(len(split(piece)) for piece in file.pieces())
    return Staged(path, earlier.sha256, found.size_bytes, Checked(file.header, rows, []), Sample(file.header, []))


def _expect_no_gap(job: bridge_yaml.AnyImport, earlier: Receipt, previous: LastLanding | None) -> None:
    """Raise MalformedRequest if the job's next run would not know which of these rows have landed."""
    load = job.load if isinstance(job, bridge_yaml.Pull) else "full"
    match load:
        case bridge_yaml.Incremental() if not isinstance(end_of(earlier), Landed | LandedInPart):
            raise MalformedRequest(f"The rows of run {earlier.run} have not landed yet.", next_step=_RUN_THE_JOB)
        case bridge_yaml.Changes() if previous is None or previous.staged != paths.base(job.name, earlier.run):
            last = "Only the file of the last landing of a changes load can be sent again"
            raise MalformedRequest(f"{last}; run {earlier.run} is not it.", next_step=_RUN_THE_JOB)


def _landed(
    job: bridge_yaml.AnyImport, staged: Staged, run_id: str, earlier: Receipt, previous: LastLanding | None
) -> LastLanding:
    """Return the cursor once the file has landed again. Only a file with all rows is compared with the next one."""
    if previous is not None and isinstance(job, bridge_yaml.Pull) and job.load != "full":
        return msgspec.structs.replace(previous, run=run_id, previous=previous.run)
    tick = previous.tick if previous else None
    if isinstance(job, bridge_yaml.Pull) and (previous is None or previous.run < earlier.run):
        # The call that the earlier run did not answer: Cloud Scheduler repeats it, and its rows would land twice.
        tick = earlier.call
    landed = cursors.of(staged, run_id, previous, tick=tick)
    target = job.target
    return msgspec.structs.replace(landed, configuration=target.configuration, delimiter=target.delimiter)
