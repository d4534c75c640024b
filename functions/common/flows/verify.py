"""Verify: compare a job's block with what its last landing should have left there.

A landing does it by itself, unless its call had no time left. The sweep then does it (`verify_pending`), and a person
can ask for it at any time (`verify`). So can a person who wonders whether an open run has landed (`settle_by_reading`).
"""

import msgspec

from common import bridge_yaml
from common.flows.leased import open_pigment
from common.platform.clock import Deadline
from common.platform.errors import ConfigurationOccupied, ErrorReport, MalformedRequest, NotEqual, as_bridge_error
from common.platform.log import log
from common.runs import cursors, leases, receipts, unfinished
from common.runs.cursors import LastLanding
from common.runs.ends import End, Landed, LandedInPart, end_of
from common.runs.instance import Instance
from common.runs.landing import journal_of
from common.runs.leases import Lease
from common.runs.receipts import Receipt
from common.runs.run import Run, save
from common.runs.settling import open_journal, settle
from common.runs.verification import verify_landing

_LEAST_S = 30.0
"With less time left, a sweep leaves a block to the next one."


def verify(
    instance: Instance, bridge: bridge_yaml.Bridge, job: bridge_yaml.AnyImport, deadline: Deadline | None = None
) -> Receipt:
    """Read the job's block back, compare it with what was sent last, and return the receipt of the run that sent it,
    with the verdict. The receipt in the bucket is replaced only if it had no verdict yet.

    Raises MalformedRequest if the job has no `verify` or has landed nothing, ConfigurationOccupied if another run has
    the lease or is not settled, StorageBusy or StorageRefused.
    """
    if job.verify is None:
        raise MalformedRequest(
            f"{job.name} has no `verify` in bridge.yaml.", next_step="Add it: see functions/docs/verify.md."
        )
    run = Run(instance, job.name, job.kind, deadline=deadline)
    landed, run.receipt = _last_landing(instance, job)
    # The lease bears the run that landed, whose receipt is final: after a kill, there is nothing to settle.
    with leases.take(instance.bucket, job.target.configuration, instance.clock, journal_of(run, job)) as lease:
        _expect_settled(lease, run.id)
        try:
            landed, run.receipt = _last_landing(instance, job)
            end = verify_landing(run, bridge, job, job.verify, landed)
            if run.receipt.verified in ("equal", "differs"):
                # A load of changes, which knows only what it has sent, then sends every row.
                cursors.note_comparison(instance.bucket, job.name, landed.run, differs=isinstance(end, LandedInPart))
        finally:
            lease.free()
    return _store(instance, run.receipt, end)


def settle_by_reading(instance: Instance, bridge: bridge_yaml.Bridge, run_id: str) -> Receipt:
    """Settle an open run as the next run of its job would, and return its final receipt: Pigment says how its import
    ended, or its block shows whether the rows are there.

    Raises LandingUnknown, with what was found, if a person has to decide; NotFound if the run is not open,
    ConfigurationOccupied if it is in progress or Pigment is still importing, StorageBusy or StorageRefused.
    """
    journal = open_journal(instance.bucket, run_id)
    earlier = journal.receipt
    run = Run(instance, earlier.job, earlier.kind)
    with (
        open_pigment(run, bridge) as pigment,
        leases.take(instance.bucket, earlier.configuration or "", instance.clock, journal) as lease,
    ):
        try:
            receipt = settle(run, bridge, lease, pigment)
        except Exception:
            lease.leave_open(lease.journal)
            raise
        lease.free()
    return receipt


def verify_pending(instance: Instance, bridge: bridge_yaml.Bridge, deadline: Deadline) -> None:
    """Verify the jobs whose last landing was not compared yet. It raises nothing, because it follows other work."""
    jobs = [job for job in bridge.jobs() if isinstance(job, bridge_yaml.AnyImport) and job.verify is not None]
    for job in instance.chance.sample(jobs, len(jobs)):
        if not deadline.allows(_LEAST_S):
            return
        try:
            found = _find_landing(instance, job)
            # What was sent since then has its verdict, and this block is no longer that of the landing.
            if found and not found[1].is_complete and not _find_in_part(instance, job):
                verify(instance, bridge, job, deadline)
        except ConfigurationOccupied:
            continue
        except Exception as error:  # noqa: BLE001  # the deliveries that were landed are answered all the same
            failure = as_bridge_error(error)
            log.error("verification failed", job=job.name, code=failure.code, cause=failure.cause)


def _find_landing(instance: Instance, job: bridge_yaml.AnyImport) -> tuple[LastLanding, Receipt] | None:
    """Return the job's last landing and the receipt of the run that landed rows last, which is final."""
    landed = cursors.read(instance.bucket, job.name)
    receipt = receipts.read(instance.bucket, job.name, landed.run_with_rows) if landed else None
    return (landed, receipt) if landed and receipt and receipt.is_final else None


def _find_in_part(instance: Instance, job: bridge_yaml.AnyImport) -> tuple[LastLanding, Receipt] | None:
    """Return what a run has sent since the last landing, and its receipt, if its rows landed only in part and the next
    run sends them again.
    """
    bucket = instance.bucket
    sent = unfinished.since(bucket, job.name, cursors.read(bucket, job.name))
    receipt = receipts.read(bucket, job.name, sent.run) if sent and bucket.exists(sent.staged) else None
    has_landed_in_part = receipt is not None and isinstance(end_of(receipt), LandedInPart)
    return (sent, receipt) if sent and receipt and has_landed_in_part else None


def _last_landing(instance: Instance, job: bridge_yaml.AnyImport) -> tuple[LastLanding, Receipt]:
    """Return what was sent last, and the receipt of the run that sent it. Raises MalformedRequest if nothing was."""
    found = _find_in_part(instance, job) or _find_landing(instance, job)
    if found is None:
        cause = f"{job.name} has not landed anything that its block can be compared with."
        raise MalformedRequest(cause, next_step="Run the job first.")
    return found


def _expect_settled(lease: Lease, landed: str) -> None:
    """Raise ConfigurationOccupied if an earlier run left its journal with this lease; the next run settles it."""
    if lease.journal.receipt.run != landed:
        run = lease.journal.receipt.run
        lease.leave_open(lease.journal)
        raise ConfigurationOccupied(f"Run {run} is not settled yet.", next_step="Run the job, which settles it.")


def _store(instance: Instance, receipt: Receipt, end: End) -> Receipt:
    """Store and log the verdict; one that differs is logged as the end of a run, which alerts."""
    if isinstance(end, LandedInPart):
        failed = msgspec.structs.replace(receipt, outcome="failed", error=ErrorReport.of(end.error))
        save(instance.bucket, failed)
        return failed
    is_mended = receipt.error is not None and receipt.error.kind is NotEqual
    outcome, error = ("landed", None) if is_mended else (receipt.outcome, receipt.error)
    warnings = end.warnings if isinstance(end, Landed) else ()
    verified = msgspec.structs.replace(receipt.warned(*warnings), outcome=outcome, error=error)
    receipts.file(instance.bucket, verified)
    log.info("block read back", run=receipt.run, job=receipt.job, verified=receipt.verified)
    return verified
