"""Landing: handing a staged file to Pigment and following the import until Pigment says how it ended.

The journal (`common.runs.leases`) is written before and after the push, so that a kill between any two lines leaves
word of what may have happened:

    intent noted      the file may have been accepted: sent again if that does no harm, else a person decides
    import id noted   Pigment is asked how it ended
    receipt filed     the same end is found again and filed once
    cursor moved      the same end is found again and moves nothing

Nothing here is undone: every step is repeated to the same effect, or not at all.
"""

from typing import Literal

import msgspec

from common.bridge_yaml import Target
from common.pigment.client import ImportState, PigmentClient, Uncertain, UploadBody
from common.platform.clock import Clock, stamp
from common.platform.errors import (
    BridgeError,
    Busy,
    ConfigurationOccupied,
    FileTooBig,
    ImportFailed,
    LandingUnknown,
    NoSuchJob,
    PigmentBusy,
    PigmentRefused,
    QueryFailed,
    Refused,
    RowsMalformed,
    RunInterrupted,
    StreamCut,
    TooManySkipped,
    code_of,
)
from common.platform.log import log
from common.runs import cursors, guards, leases, receipts
from common.runs import run as runs
from common.runs.leases import Journal, Lease
from common.runs.receipts import ErrorReport, Outcome, Receipt, Skip
from common.runs.run import Run
from common.storage import inbox, paths
from common.storage.store import Store
from common.tables.staging import Staged, read_back

_FOR_GOOD = (Refused, QueryFailed, RowsMalformed, StreamCut, FileTooBig, PigmentRefused)
"What the same content would end in again; anything else may pass, and a delivery waits for it."


def land(run: Run, lease: Lease, pigment: PigmentClient, target: Target, staged: Staged) -> Receipt:
    """Push a staged file and follow its import; the journal carries this run's flight.

    Returns:
        a filed receipt: landed, landed with skips, failed, importing or unknown.

    Raises:
        BridgeError: nothing was accepted, and the journal says so.
    """
    flight = msgspec.structs.replace(lease.flight, step="pushing", receipt=run.receipt)
    lease.note(flight)
    try:
        import_id = _hand_over(run, pigment, target, staged)
    except Uncertain as uncertain:
        return _give_up(run, lease, uncertain)
    except BridgeError:
        lease.note(msgspec.structs.replace(flight, step="reading"))
        raise
    run.note(import_id=import_id)
    flight = msgspec.structs.replace(flight, step="importing", receipt=run.receipt)
    try:
        lease.note(flight)
    except Busy as busy:
        # This process still knows the id and carries on; only if it dies as well is the landing unknown.
        log.warning("import id not recorded", cause=busy.cause)
        lease.flight = flight
    return _see_through(run, lease, pigment)


def end_without(run: Run, lease: Lease) -> Receipt:
    """End a run that has nothing to land."""
    receipt = run.end(msgspec.structs.replace(run.receipt, outcome="nothing_new"))
    lease.free()
    return receipt


def end_by_error(run: Run, lease: Lease, error: BridgeError) -> Receipt:
    """End a run by an error: free what sent nothing, leave open what may have."""
    receipt, flight = run.failed(error), lease.flight
    if flight.receipt.run == run.receipt.run and flight.step != "reading":
        open_outcome: Outcome = "importing" if flight.step == "importing" else "unknown"
        receipt = msgspec.structs.replace(receipt, outcome=open_outcome)
    receipt = run.end(receipt)
    try:
        if flight.step == "reading":
            if flight.delivery and isinstance(error, _FOR_GOOD):
                _bury(run.instance.store, flight.delivery, receipt)
            lease.free()
        else:
            lease.leave_open(flight)
    except BridgeError as failure:
        # The hold lapses by itself.
        log.warning("lease not released", code=failure.code, cause=failure.cause)
    return receipt


def settle(run: Run, lease: Lease, pigment: PigmentClient) -> None:
    """Bring the flight that an earlier run left open to its end, so that this run may begin.

    Raises:
        LandingUnknown: a person has to.
        ConfigurationOccupied: Pigment is still importing.
    """
    flight, store = lease.flight, run.instance.store
    earlier = flight.receipt
    if flight.step == "reading":
        runs.keep(store, _ended(earlier, RunInterrupted(f"Run {earlier.run} ended without a word.")))
        return
    kept = receipts.read(store, earlier.job, earlier.run)
    if kept is not None and kept.outcome not in receipts.OPEN:
        # A person's word may be given while a run holds the configuration, and cannot free it then.
        if kept.error is None or kept.error.code != code_of(LandingUnknown):
            _close(store, flight, kept, run.instance.clock)
        return
    cause = f"Run {earlier.run} was killed while it handed its file to Pigment."
    if flight.step == "importing":
        try:
            receipt = _ask(run, flight, pigment)
        except Uncertain as uncertain:
            cause = uncertain.cause
        else:
            if receipt.outcome == "importing":
                raise ConfigurationOccupied(
                    f"Pigment is still at the import {earlier.import_id} of run {earlier.run} of {earlier.job}."
                )
            _close(store, flight, runs.keep(store, receipt), run.instance.clock)
            return
    if flight.repeatable:
        unknown = LandingUnknown(cause, next_step=f"Nothing: run {run.receipt.run} sends again, which does no harm.")
        runs.keep(store, _ended(earlier, unknown))
        return
    unknown = _unknown(cause, earlier.run)
    if flight.step != "unknown":
        earlier = runs.keep(store, _ended(earlier, unknown, "unknown"))
        lease.note(msgspec.structs.replace(flight, step="unknown", receipt=earlier))
    raise unknown


def settle_by_hand(store: Store, clock: Clock, run_id: str, verdict: Literal["landed", "not landed"]) -> Receipt:
    """A person's word on a flight whose end nobody else can know.

    Raises:
        NoSuchJob: no flight of that run is open.
        ConfigurationOccupied: it is still under way.
    """
    for path in store.names("leases/"):
        stored = store.read_json(path, Journal)
        if stored is None or stored.value.receipt.run != run_id:
            continue
        flight = stored.value
        if flight.receipt.kind == "export":
            settled_by = f"Run `bridge export {flight.receipt.job}`: the next run settles the one before."
            raise NoSuchJob(f"Run {run_id} is an export, whose object tells how it ended.", next_step=settled_by)
        leases.expect_lapsed(flight, clock)
        if verdict == "landed":
            said = [*flight.receipt.warnings, "Settled by hand: a person found in Pigment that it had landed."]
            receipt = msgspec.structs.replace(flight.receipt, outcome="landed", warnings=said, error=None)
        else:
            receipt = _ended(
                flight.receipt, LandingUnknown("Settled by hand: it had not landed.", next_step="Run again.")
            )
        receipt = runs.keep(store, receipt)
        # What has not landed stays in the inbox, where the next run finds it.
        if verdict == "landed":
            _close(store, flight, receipt, clock)
        store.delete(path, generation=stored.generation)
        return receipt
    raise NoSuchJob(f"No flight of run {run_id} is open.", next_step="`bridge runs` shows which runs are open.")


def _hand_over(run: Run, pigment: PigmentClient, target: Target, staged: Staged) -> str:
    store, progress = run.instance.store, run.instance.progress

    def open_body() -> UploadBody:
        return UploadBody(read_back(store, staged.path, staged.sha256, progress), staged.bytes)

    with run.timed("pigment"):
        if target.via == "push":
            return pigment.push(target.configuration, open_body, repeatable=target.repeatable)
        path = paths.filled(target.path, run.started_at, run.receipt.run)
        # Killed between these two: the file is copied again under the same name, and nothing has read it.
        store.copy(staged.path, store.beside(target.bucket), path)
        return pigment.trigger(target.configuration, repeatable=target.repeatable)


def _see_through(run: Run, lease: Lease, pigment: PigmentClient) -> Receipt:
    """Follow this run's own import to its end, or as far as the time goes."""
    try:
        receipt = _ask(run, lease.flight, pigment)
    except Uncertain as uncertain:
        return _give_up(run, lease, uncertain)
    except BridgeError as error:
        # Accepted all the same: a later run asks again.
        receipt = msgspec.structs.replace(run.receipt, outcome="importing", error=ErrorReport.of(error))
    receipt = run.end(receipt)
    if receipt.outcome == "importing":
        lease.leave_open(msgspec.structs.replace(lease.flight, receipt=receipt))
    else:
        # Killed before the cursor moves or the lease is free: a later run finds the same end and does the rest.
        _close(run.instance.store, lease.flight, receipt, run.instance.clock)
        lease.free()
    return receipt


def _ask(run: Run, flight: Journal, pigment: PigmentClient) -> Receipt:
    """What Pigment says of a flight's import, as the flight's receipt."""
    with run.timed("pigment"):
        state = pigment.follow(flight.receipt.import_id or "")
    if state is None:
        return msgspec.structs.replace(flight.receipt, outcome="importing", error=None)
    return _judged(flight, state)


def _judged(flight: Journal, state: ImportState) -> Receipt:
    """An import's end as a receipt: Pigment's `Completed` alone is no landing while rows were skipped."""
    if state.ended == "failed":
        return _ended(flight.receipt, ImportFailed(f"Pigment's import failed. {state.reasons()}"))
    report = state.detailed_report
    warnings = list(flight.receipt.warnings)
    if report is None or report.summary is None:
        warnings.append("Pigment sent no detailed report: whether it skipped rows is not known.")
        return msgspec.structs.replace(flight.receipt, outcome="landed", warnings=warnings, error=None)
    counts, skips = report.summary, report.skips()
    skipped = max(counts.skipped_count, 0)
    rows = msgspec.structs.replace(
        flight.receipt.rows,
        inserted=counts.inserted_count,
        updated=counts.updated_count,
        deleted=counts.deleted_count,
        skipped=skipped,
    )
    if not (counts.inserted_count or counts.updated_count or counts.deleted_count or skipped):
        warnings.append("Pigment counted no row as inserted, updated, deleted or skipped.")
    receipt = msgspec.structs.replace(
        flight.receipt,
        outcome="landed_with_skips" if skipped else "landed",
        rows=rows,
        skips=[Skip(skip.reason, skip.source_column_name, skip.count) for skip in skips],
        warnings=warnings,
        error=None,
    )
    try:
        guards.expect_few_skips(skipped, flight.max_skipped)
    except TooManySkipped as error:
        return _ended(receipt, error)
    return receipt


def _give_up(run: Run, lease: Lease, uncertain: Uncertain) -> Receipt:
    """The file may have landed and nobody can tell."""
    repeatable = lease.flight.repeatable
    error: BridgeError = _unknown(uncertain.cause, run.receipt.run)
    if repeatable:
        error = PigmentBusy(
            uncertain.cause,
            retry_after_s=uncertain.retry_after_s,
            next_step="Nothing at once: the next run sends again, which does no harm as the target is repeatable.",
        )
    receipt = run.end(_ended(run.receipt, error, "unknown"))
    step: leases.JournalStep = "pushing" if repeatable else "unknown"
    lease.leave_open(msgspec.structs.replace(lease.flight, step=step, receipt=receipt))
    return receipt


def _close(store: Store, flight: Journal, receipt: Receipt, clock: Clock) -> None:
    """Move the job's cursor over what has landed, and take what was delivered out of the inbox.

    After too many skips the rows that were not skipped are in Pigment. A repeatable target gets them again together
    with the rest; at any other they must not be sent twice.
    """
    landed = receipt.error is None or (receipt.error.code == "too_many_skipped" and not flight.repeatable)
    if landed and flight.landed is not None:
        cursors.move(store, receipt.job, msgspec.structs.replace(flight.landed, landed_at=stamp(clock.now())))
    if flight.delivery is None:
        return
    if receipt.error is None:
        end = {"outcome": receipt.outcome, "run": receipt.run}
        inbox.close(store, receipt.job, flight.delivery, "delivered", end)
    else:
        _bury(store, flight.delivery, receipt)


def _bury(store: Store, delivery: str, receipt: Receipt) -> None:
    """Put a delivery that was refused for good where a person finds it, with the reason."""
    error = receipt.error or ErrorReport("", "", "")
    end = {"outcome": receipt.outcome, "run": receipt.run, "code": error.code, "reason": error.message}
    inbox.close(store, receipt.job, delivery, "dead", end)


def _unknown(cause: str, run_id: str) -> LandingUnknown:
    """With the very commands that settle it."""
    return LandingUnknown(cause, next_step=LandingUnknown.next_step.replace("RUN", run_id))


def _ended(receipt: Receipt, error: BridgeError, outcome: Literal["failed", "unknown"] = "failed") -> Receipt:
    return msgspec.structs.replace(receipt, outcome=outcome, error=ErrorReport.of(error))
