"""The steps that every run with a lease has in common.

    take the lease → settle what an earlier run left → work → write the receipt → finish → release the lease

A flow gives the work, which returns how the run ended. An error ends the run as well, and never leaves the lease taken.

Runs of one call that follow each other on the same configuration keep the lease (`Tenure`): the next one writes its
journal over that of the one before, which has ended.
"""

import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from common import bridge_yaml
from common.pigment.client import PigmentClient
from common.platform.clock import Clock
from common.platform.errors import BridgeError, LandingUnconfirmed, LandingUnknown, LeaseLost, as_bridge_error
from common.platform.log import log
from common.runs import leases, stopped
from common.runs.cursors import KnownCursors
from common.runs.ends import End, Failed, StillImporting, Unconfirmed
from common.runs.landing import unknown
from common.runs.leases import Journal, Lease
from common.runs.receipts import Receipt
from common.runs.run import Run
from common.runs.settling import AlreadyRead, finish, settle
from common.runs.stopped import Stopped
from common.storage.bucket import Bucket
from common.storage.inbox import WaitingDelivery

_FOR_ENDING_S = 5.0

Earlier = TypeVar("Earlier", bound=Receipt | None)


class Tenure:
    """The lease on a configuration, from the first to the last of the runs of one call that follow each other.

    Between two of them the journal is that of the earlier one, whose receipt is stored and whose delivery is closed.
    After a kill there, the next run finds that journal: what follows from that end is done already.
    """

    def __init__(self, bucket: Bucket, key: str, clock: Clock) -> None:
        self._bucket, self._key, self._clock = bucket, key, clock
        self._threads = contextlib.ExitStack()
        self.lease: Lease | None = None
        self.cursors = KnownCursors(bucket)
        "What was read since this call took the lease."
        self.is_between_runs = False
        "Whether the last run has ended completely, and the lease can pass on to another one."
        self._failed: Journal | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()

    def lease_for(self, journal: Journal) -> Lease:
        """Return the lease with this journal, or with that of an earlier call's run, which has to be settled first.

        Raises ConfigurationOccupied if another run has it, StorageBusy or StorageRefused if it cannot be taken.
        """
        if self.lease is not None and self.is_between_runs:
            with contextlib.suppress(LeaseLost):
                self.lease.pass_on(journal)
                self.is_between_runs = False
                return self.lease
        self._threads.close()
        self.is_between_runs = False
        self.lease = self._threads.enter_context(leases.take(self._bucket, self._key, self._clock, journal))
        self.cursors = KnownCursors(self._bucket)
        return self.lease

    def end_run(self, failed: Journal | None = None) -> None:
        """Note that the run with the lease has ended completely.

        Args:
            failed: its journal with its error, which the next run is to find if the lease cannot be freed.
        """
        self.is_between_runs, self._failed = True, failed

    def end(self) -> None:
        """Free the lease, unless the last run left it open."""
        if self.lease is not None and self.is_between_runs:
            _release(self.lease, self.lease.free, self._failed)
        self._threads.close()
        self.lease, self.is_between_runs = None, False


def open_pigment(run: Run, bridge: bridge_yaml.Bridge) -> PigmentClient:
    """Return a session with Pigment that leaves time to end the run."""
    deadline = run.keep_back(0.1, _FOR_ENDING_S)
    return PigmentClient(bridge.pigment, run.instance.secrets, deadline, run.instance.chance)


def run_leased(
    run: Run,
    bridge: bridge_yaml.Bridge,
    key: str,
    journal: Journal,
    pigment: PigmentClient | None,
    work: Callable[[Lease, KnownCursors, Receipt | None], End | Earlier],
) -> Receipt | Earlier:
    """Work with the lease on a configuration, free it, and return the receipt of how the run ended.

    Args:
        key: the import configuration, or the export, that one run at a time may use.

    The other arguments, and what it raises, are those of `run_in`.
    """
    with Tenure(run.instance.bucket, key, run.instance.clock) as tenure:
        return run_in(tenure, run, bridge, journal, pigment, work)


def run_in(
    tenure: Tenure,
    run: Run,
    bridge: bridge_yaml.Bridge,
    journal: Journal,
    pigment: PigmentClient | None,
    work: Callable[[Lease, KnownCursors, Receipt | None], End | Earlier],
    delivery: WaitingDelivery | None = None,
) -> Receipt | Earlier:
    """Work with the lease of a tenure, and return the receipt of how the run ended.

    Args:
        journal: the journal at the beginning of this run.
        pigment: to ask how an earlier run's import ended.
        work: receives the lease, the cursors, and the receipt of an earlier run that this one had to settle. It returns
            how the run ended. If an earlier run has already done the work, it returns that run's receipt, or None; this
            run then has no receipt.
        delivery: the webhook delivery that is being landed.

    Raises ConfigurationOccupied if another run has the lease, StorageBusy or StorageRefused if it cannot be taken,
    Stopped if a person stopped the run.
    """
    lease = tenure.lease_for(journal)
    try:
        settled = None
        if lease.journal.receipt.run != run.id:
            settled = settle(run, bridge, lease, pigment)
            lease.note(journal)
        ended = work(lease, tenure.cursors, settled)
        if isinstance(ended, Receipt) or ended is None:
            tenure.end_run()
            return ended
        return _conclude(run, tenure, lease, ended, delivery)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # every run ends by a receipt
        if stopped.is_ctrl_c(error):
            raise Stopped(_conclude_by_error(run, tenure, lease, _stopped(run, lease))) from None
        return _conclude_by_error(run, tenure, lease, as_bridge_error(error))


def _stopped(run: Run, lease: Lease) -> BridgeError:
    """Return the error of a run that a person stopped; it has sent nothing while it settles another one."""
    return stopped.error_at(lease.journal.step if lease.journal.receipt.run == run.id else "reading")


def _conclude_by_error(run: Run, tenure: Tenure, lease: Lease, error: BridgeError) -> Receipt:
    journal = lease.journal
    if journal.receipt.run != run.id:
        receipt = run.end(Failed(error))
        _release(lease, lambda: lease.leave_open(journal))
        return receipt
    return _conclude(run, tenure, lease, _end_by_error(journal, error))


def _end_by_error(journal: Journal, error: BridgeError) -> End:
    match journal.step:
        case "reading":
            return Failed(error)
        case _ if isinstance(error, LandingUnconfirmed):
            # A person settles the run, unless sending its file again is safe.
            return Unconfirmed(error if journal.repeatable else unknown(error.cause, journal.receipt.run))
        case "importing":
            # Pigment accepted the file, so the next run asks again.
            return StillImporting(error)
        case "pushing" | "unknown" | "publishing":
            return Unconfirmed(error)


def _conclude(run: Run, tenure: Tenure, lease: Lease, end: End, delivery: WaitingDelivery | None = None) -> Receipt:
    """Write the receipt and do what follows from the end. After a kill, the next run continues."""
    receipt = run.end(end)
    journal = msgspec.structs.replace(lease.journal, receipt=receipt)
    failed = journal if receipt.error else None

    def release() -> None:
        match end:
            case Unconfirmed(LandingUnknown()):
                lease.leave_open(msgspec.structs.replace(journal, step="unknown"))
            case StillImporting() | Unconfirmed():
                lease.leave_open(journal)
            case _:
                read = AlreadyRead(tenure.cursors, delivery)
                finish(run.instance.bucket, run.instance.clock, journal, end, receipt, read)
                tenure.end_run(failed)

    _release(lease, release, failed)
    return receipt


def _release(lease: Lease, release: Callable[[], None], journal: Journal | None = None) -> None:
    """Release a lease. If that fails, leave it open for the next run to finish this one; if that fails, it expires.

    Args:
        journal: what the next run is to find, so that it learns why this one ended.
    """
    try:
        release()
    except Exception as error:  # noqa: BLE001  # the run has its receipt
        failure = as_bridge_error(error)
        log.warning("lease not released", code=failure.code, cause=failure.cause)
        with contextlib.suppress(BridgeError):
            lease.leave_open(journal or lease.journal)
