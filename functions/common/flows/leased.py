"""The steps that every run with a lease has in common.

    take the lease → settle what an earlier run left → work → write the receipt → finish → release the lease

A flow gives the work, which returns how the run ended. An error ends the run as well, and never leaves the lease taken.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from common.pigment.client import PigmentClient
from common.platform.errors import BridgeError, LandingUnknown, as_bridge_error
from common.platform.log import log
from common.runs import leases
from common.runs.ends import End, Failed, StillImporting, Unconfirmed
from common.runs.leases import Journal, Lease
from common.runs.receipts import Receipt
from common.runs.run import Run
from common.runs.settling import finish, settle

Earlier = TypeVar("Earlier", Receipt, None)


def run_leased(
    run: Run, key: str, journal: Journal, pigment: PigmentClient | None, work: Callable[[Lease], End | Earlier]
) -> Receipt | Earlier:
    """Work with the lease on a configuration, and return the receipt of how it ended.

    Args:
        key: the import configuration, or the export, that one run at a time may use.
        journal: the journal at the beginning of this run.
        pigment: to ask how an earlier run's import ended.
        work: returns how the run ended. If an earlier run has already done the work, it returns something else, which
            is returned as it is; this run then has no receipt.

    Raises:
        ConfigurationOccupied: another run has the lease.
        StorageBusy, StorageRefused: the lease could not be taken.
    """
    with leases.take(run.instance.bucket, key, run.instance.clock, journal) as lease:
        if lease.journal.receipt.run != run.id:
            try:
                settle(run, lease, pigment)
                lease.note(journal)
            except Exception as error:  # noqa: BLE001  # every run ends by a receipt
                receipt = run.end(Failed(as_bridge_error(error)))
                _release(lambda: lease.leave_open(lease.journal))
                return receipt
        try:
            ended = work(lease)
        except Exception as error:  # noqa: BLE001  # every run ends by a receipt
            return _conclude(run, lease, _end_by_error(lease.journal, as_bridge_error(error)))
        if isinstance(ended, Receipt) or ended is None:
            _release(lease.free)
            return ended
        return _conclude(run, lease, ended)


def _end_by_error(journal: Journal, error: BridgeError) -> End:
    match journal.step:
        case "reading":
            return Failed(error)
        case "importing":
            return StillImporting(error)
        case "pushing" | "unknown" | "publishing":
            return Unconfirmed(error)


def _conclude(run: Run, lease: Lease, end: End) -> Receipt:
    """Write the receipt, do what follows from the end, and release the lease.

    After a kill behind the receipt, the next run finds the receipt and the journal and does the rest.
    """
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

    _release(release)
    return receipt


def _release(release: Callable[[], None]) -> None:
    """Release a lease. If that fails, the lease expires, and the next run finishes this one."""
    try:
        release()
    except BridgeError as error:
        log.warning("lease not released", code=error.code, cause=error.cause)
