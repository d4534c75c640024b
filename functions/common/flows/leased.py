"""The steps that every run with a lease has in common.

    take the lease → settle what an earlier run left → work → write the receipt → finish → release the lease

A flow gives the work, which returns how the run ended. An error ends the run as well, and never leaves the lease taken.
"""

import contextlib
from collections.abc import Callable
from typing import TypeVar

import msgspec

from common import bridge_yaml
from common.pigment.client import PigmentClient
from common.platform.errors import BridgeError, LandingUnconfirmed, LandingUnknown, as_bridge_error
from common.platform.log import log
from common.runs import leases, stopped
from common.runs.ends import End, Failed, StillImporting, Unconfirmed
from common.runs.landing import unknown
from common.runs.leases import Journal, Lease
from common.runs.receipts import Receipt
from common.runs.run import Run
from common.runs.settling import finish, settle
from common.runs.stopped import Stopped

_FOR_ENDING_S = 5.0

Earlier = TypeVar("Earlier", bound=Receipt | None)


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
    work: Callable[[Lease, Receipt | None], End | Earlier],
) -> Receipt | Earlier:
    """Work with the lease on a configuration, and return the receipt of how it ended.

    Args:
        key: the import configuration, or the export, that one run at a time may use.
        journal: the journal at the beginning of this run.
        pigment: to ask how an earlier run's import ended.
        work: receives the lease, and the receipt of an earlier run that this one had to settle. It returns how the run
            ended. If an earlier run has already done the work, it returns that run's receipt, or None; this run then
            has no receipt.

    Raises ConfigurationOccupied if another run has the lease, StorageBusy or StorageRefused if it cannot be taken,
    Stopped if a person stopped the run.
    """
    with leases.take(run.instance.bucket, key, run.instance.clock, journal) as lease:
        try:
            settled = None
            if lease.journal.receipt.run != run.id:
                settled = settle(run, bridge, lease, pigment)
                lease.note(journal)
            ended = work(lease, settled)
            if isinstance(ended, Receipt) or ended is None:
                _release(lease, lease.free)
                return ended
            return _conclude(run, lease, ended)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # every run ends by a receipt
            if stopped.is_ctrl_c(error):
                raise Stopped(_conclude_by_error(run, lease, _stopped(run, lease))) from None
            return _conclude_by_error(run, lease, as_bridge_error(error))


def _stopped(run: Run, lease: Lease) -> BridgeError:
    """Return the error of a run that a person stopped; it has sent nothing while it settles another one."""
    return stopped.error_at(lease.journal.step if lease.journal.receipt.run == run.id else "reading")


def _conclude_by_error(run: Run, lease: Lease, error: BridgeError) -> Receipt:
    journal = lease.journal
    if journal.receipt.run != run.id:
        receipt = run.end(Failed(error))
        _release(lease, lambda: lease.leave_open(journal))
        return receipt
    return _conclude(run, lease, _end_by_error(journal, error))


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


def _conclude(run: Run, lease: Lease, end: End) -> Receipt:
    """Write the receipt, do what follows from the end, and release the lease. After a kill, the next run continues."""
    receipt = run.end(end)
    journal = msgspec.structs.replace(lease.journal, receipt=receipt)

    def release() -> None:
        match end:
            case Unconfirmed(LandingUnknown()):
                lease.leave_open(msgspec.structs.replace(journal, step="unknown"))
            case StillImporting() | Unconfirmed():
                lease.leave_open(journal)
            case _:
                finish(run.instance.bucket, run.instance.clock, journal, end, receipt)
                lease.free()

    _release(lease, release, journal if receipt.error else None)
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
