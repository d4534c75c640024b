"""Settling: bring a run that was killed, or that did not learn how it ended, to its end.

The journal that the run left decides what happened:

    reading     nothing was sent
    publishing  the object's metadata names the run that published it
    importing   Pigment says how the import ended
    pushing     the rows are sent again if that is safe; otherwise the block is read back, if the job says so
    unknown     the same; if the block does not tell either, a person decides

Everything here can be repeated: a receipt that is final stays as it is, and a cursor moves once for each run.
"""

from typing import Literal, NamedTuple, assert_never

import msgspec

from common import bridge_yaml
from common.pigment.client import PigmentClient
from common.platform.clock import Clock, stamp
from common.platform.errors import (
    BridgeError,
    ConfigurationOccupied,
    LandingUnconfirmed,
    LandingUnknown,
    NotFound,
    RunInterrupted,
    TooManyDeleted,
)
from common.runs import landing, leases, publication, receipts, unfinished, verification
from common.runs.cursors import KnownCursors, LastLanding
from common.runs.ends import (
    End,
    Failed,
    Landed,
    LandedInPart,
    NothingNew,
    Previewed,
    Published,
    StillImporting,
    ToBeSentAgain,
    Unconfirmed,
    end_of,
    receipt_of,
)
from common.runs.leases import Journal, Lease
from common.runs.receipts import Receipt
from common.runs.run import Run, save
from common.runs.verification import FoundRows
from common.storage import inbox
from common.storage.bucket import Bucket
from common.storage.inbox import WaitingDelivery
from common.storage.objects import Dated


class AlreadyRead(NamedTuple):
    """What a run has read under its lease, and need not read again to finish."""

    cursors: KnownCursors
    delivery: WaitingDelivery | None


def settle(run: Run, bridge: bridge_yaml.Bridge, lease: Lease, pigment: PigmentClient | None) -> Receipt:
    """Settle the run whose journal this run found with its lease, and return that run's final receipt. Only exports
    need no `pigment`.

    Raises LandingUnknown if a person has to decide, ConfigurationOccupied if Pigment is still importing.
    """
    bucket = run.instance.bucket
    stored = receipts.read(bucket, lease.journal.receipt.job, lease.journal.receipt.run)
    if stored is not None and stored.is_final:
        # The run was killed after it wrote its receipt, or a person settled it while another run had the lease.
        finish(bucket, run.instance.clock, lease.journal, end_of(stored), stored)
        return stored
    journal = _completed(lease.journal, stored)
    earlier, end = journal.receipt, _end_of_journal(run, bridge, journal, pigment)
    if isinstance(end, StillImporting):
        still = f"Pigment is still importing {earlier.import_id}, run {earlier.run} of {earlier.job}."
        next_step = "Wait until Pigment has imported it. The next run then settles that one, and goes on."
        raise ConfigurationOccupied(still, next_step=next_step)
    receipt = receipt_of(end, earlier)
    if isinstance(end, Unconfirmed):
        if journal.step != "unknown":
            lease.note(msgspec.structs.replace(journal, step="unknown", receipt=save(bucket, receipt)))
        cause = f"Run {earlier.run} of {earlier.job} is not settled. {end.error.cause}"
        raise LandingUnknown(cause, next_step=end.error.next_step)
    receipt = save(bucket, receipt)
    finish(bucket, run.instance.clock, journal, end, receipt)
    return receipt


def settle_by_hand(
    bucket: Bucket, clock: Clock, run_id: str, verdict: Literal["landed", "not landed"], by: str = "a person"
) -> Receipt:
    """Settle a run by a person's decision. Raises NotFound if it is not open, ConfigurationOccupied if in progress.

    Args:
        by: who it was, for the receipt.
    """
    path, stored = _find_journal(bucket, run_id)
    leases.expect_expired(stored)
    journal = stored.value
    end: Landed | ToBeSentAgain
    found = f"Settled by hand at {stamp(clock.now())}: {by} found in Pigment that the rows had {verdict}."
    if verdict == "landed":
        end = Landed(warnings=(found,))
    else:
        error = LandingUnknown(found, next_step="Run the job again.")
        end = ToBeSentAgain(error)
    receipt = save(bucket, receipt_of(end, journal.receipt))
    # A final receipt that was stored before stays as it is, and decides what follows.
    finish(bucket, clock, journal, end_of(receipt), receipt)
    bucket.delete(path, generation=stored.generation)
    return receipt


def finish(
    bucket: Bucket, clock: Clock, journal: Journal, end: End, receipt: Receipt, read: AlreadyRead | None = None
) -> None:
    """Move the cursor, close the delivery and delete the run's files in `tmp/`, as its final end requires.

    Repeated, it does what is left to do.
    """
    landed = landing_after(end, journal, stamp(clock.now()))
    if landed is None and journal.landed is not None and isinstance(end, LandedInPart | ToBeSentAgain):
        # After a kill before it is written, whoever finds the journal comes here again.
        unfinished.note(bucket, receipt.job, journal.landed)
    if landed is not None:
        known = read.cursors if read else KnownCursors(bucket)
        known.move(receipt.job, landed)
    place = place_after(end)
    if place is not None and journal.delivery is not None:
        delivery = read.delivery if read else None
        inbox.close(bucket, receipt.job, journal.delivery, place, metadata_of(receipt), delivery)
    if journal.receipt.kind == "export":
        publication.discard(bucket, receipt.run)


def landing_after(end: End, journal: Journal, now: str) -> LastLanding | None:
    """Return what the job's cursor says after an end; None if it does not move."""
    match end:
        case Landed(imported=imported):
            landed = journal.landed
            return landed and msgspec.structs.replace(landed, landed_at=now, imported=imported or landed.imported)
        case LandedInPart(TooManyDeleted(), counts):
            # The rows of this run are in Pigment, others no longer are. The cursor says so, and stops the next run. A
            # range that was being loaded again begins again, because its first rows may be among the deleted ones.
            landed = landing_after(Landed(), journal, now)
            configuration = journal.receipt.configuration
            return landed and msgspec.structs.replace(
                landed, deleted=counts.deleted or 0, configuration=configuration, backfill=None
            )
        case LandedInPart():
            # The rows that were not skipped are in Pigment. A pull into a repeatable target sends them again together
            # with the others. At an append they would double; and no delivery is sent again, nor an older one after it.
            is_sent_again = journal.repeatable and journal.delivery is None
            return None if is_sent_again else landing_after(Landed(), journal, now)
        case Published():
            return journal.landed
        case NothingNew(landed):
            return landed
        case Failed() | ToBeSentAgain() | StillImporting() | Unconfirmed() | Previewed():
            return None
        case _:
            assert_never(end)


def place_after(end: End) -> Literal["delivered", "dead"] | None:
    """Return the folder to which an end moves the webhook delivery; None if the delivery waits for the next run."""
    match end:
        case Landed() | NothingNew():
            return "delivered"
        case LandedInPart():
            # Its rows have landed, but the run has failed: under `dead/` a person sees it and its reason.
            return "dead"
        case Failed(error):
            return "dead" if error.concerns_content else None
        case Published() | ToBeSentAgain() | StillImporting() | Unconfirmed() | Previewed():
            return None
        case _:
            assert_never(end)


def _end_of_journal(run: Run, bridge: bridge_yaml.Bridge, journal: Journal, pigment: PigmentClient | None) -> End:
    earlier = journal.receipt
    match journal.step:
        case "reading":
            return Failed(_seen_error(earlier) or _interrupted(earlier, "before it sent anything"))
        case "publishing":
            if publication.is_published(run.instance.bucket, earlier):
                return Published()
            return Failed(_seen_error(earlier) or _interrupted(earlier, "and published nothing"))
        case "importing" if pigment is not None:
            try:
                return landing.follow(run, journal, pigment)
            except LandingUnconfirmed as error:
                return _unconfirmed(run, bridge, journal, error.cause)
        case _:
            return _unconfirmed(run, bridge, journal, _cause(earlier))


def _seen_error(earlier: Receipt) -> BridgeError | None:
    """Return the error by which a run ended whose receipt, or object, could not be stored; None if it was killed."""
    error = earlier.error
    return error.kind(error.message, next_step=error.next_step) if error else None


def _interrupted(earlier: Receipt, what: str) -> RunInterrupted:
    return RunInterrupted(f"Run {earlier.run} was interrupted {what}.")


def _completed(journal: Journal, stored: Receipt | None) -> Journal:
    """Add what the run wrote in its receipt after it had lost its lease: the import ID, or its error."""
    if stored is None:
        return journal
    is_found = stored.import_id is not None and journal.receipt.import_id is None
    return msgspec.structs.replace(journal, receipt=stored, step="importing" if is_found else journal.step)


def _cause(earlier: Receipt) -> str:
    return earlier.error.message if earlier.error else "The run was interrupted while it sent its file."


def _unconfirmed(
    run: Run, bridge: bridge_yaml.Bridge, journal: Journal, cause: str
) -> Landed | Unconfirmed | ToBeSentAgain:
    if _may_be_repeated(bridge, journal):
        next_step = f"No action needed: run {run.id} sends the rows again, which is safe."
        return ToBeSentAgain(LandingUnknown(cause, next_step=next_step))
    match verification.find_rows(run, bridge, journal):
        case FoundRows("all", words):
            return Landed(warnings=(f"{cause} Settled by reading the block back. {words}",))
        case FoundRows("none", words):
            next_step = f"No action needed: run {run.id} sends the rows again."
            return ToBeSentAgain(LandingUnknown(f"{cause} {words}", next_step=next_step))
        case FoundRows("none_yet", words):
            cause = f"{cause} {words} Pigment may still be importing them."
            next_step = "No action needed: an hour after that run, the next one reads the block again and settles it."
            return Unconfirmed(LandingUnknown(cause, next_step=next_step))
        case FoundRows(_, words):
            cause = f"{cause} {words}"
    return Unconfirmed(landing.unknown(cause, journal.receipt.run))


def _may_be_repeated(bridge: bridge_yaml.Bridge, journal: Journal) -> bool:
    """Whether sending the rows again is harmless, as bridge.yaml says now or, without the job, when the run began."""
    job = bridge.job(journal.receipt.job)
    if isinstance(job, bridge_yaml.AnyImport) and job.target.configuration == journal.receipt.configuration:
        return job.target.repeatable
    return journal.repeatable


def open_journal(bucket: Bucket, run_id: str) -> Journal:
    """Return the journal that a run left open. Raises NotFound if there is none, or if it is an export's."""
    _, stored = _find_journal(bucket, run_id)
    return stored.value


def _find_journal(bucket: Bucket, run_id: str) -> tuple[str, Dated[Journal]]:
    """Find the lease that a run left open: its path and its journal."""
    for path, stored in leases.every(bucket):
        if stored.value.receipt.run != run_id:
            continue
        if stored.value.receipt.kind == "export":
            next_step = f"Run `bridge export {stored.value.receipt.job}`: that run settles this one."
            raise NotFound(f"Run {run_id} is an export, whose object shows how it ended.", next_step=next_step)
        return path, stored
    raise NotFound(f"Run {run_id} is not open.", next_step="`bridge runs` shows which runs are open.")


def metadata_of(receipt: Receipt) -> dict[str, str]:
    """Return the metadata of a closed delivery: its run and, if it was refused, the reason."""
    metadata = {"outcome": receipt.outcome, "run": receipt.run}
    if receipt.error is not None:
        metadata |= {"code": receipt.error.code, "reason": receipt.error.message}
    return metadata
