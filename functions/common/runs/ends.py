"""The ends of a run: one type for each, and the receipt of each.

    Landed             Pigment imported the file; some rows may have been skipped
    LandedInPart       it did, and skipped or deleted more rows than the job allows, or the block has other rows
    Published          an export's object has its public name
    NothingNew         there was nothing to send
    Previewed          a preview ran up to the push or the publication
    Failed             an error; Pigment has nothing of this file
    StillImporting     Pigment accepted the file and is importing it
    Unconfirmed        Pigment may have accepted the file, or an object may have been published
    ToBeSentAgain      an unconfirmed run, once it is settled: a later run sends its rows again

`StillImporting` and `Unconfirmed` are not final: the next run of the job, or a person, settles them.
"""

from typing import assert_never

import msgspec

from common.pigment.pace import ImportTime
from common.platform.errors import (
    AwaitingApproval,
    BridgeError,
    ConfigurationOccupied,
    ErrorReport,
    LandingUnconfirmed,
    LandingUnknown,
    LeaseLost,
    NotEqual,
    Refused,
    TooManyDeleted,
    TooManySkipped,
)
from common.runs.cursors import LastLanding
from common.runs.receipts import BlockVerdict, Outcome, Receipt, Rows, Skip


class Landed(msgspec.Struct, frozen=True):
    counts: Rows = Rows()
    "What Pigment counted; empty if it sent no report."
    skips: tuple[Skip, ...] = ()
    warnings: tuple[str, ...] = ()
    missing: int = 0
    "How many of the rows that were sent are in none of Pigment's counts."
    imported: ImportTime | None = None
    "How long Pigment took, if that is known."


class LandedInPart(msgspec.Struct, frozen=True):
    error: BridgeError
    counts: Rows = Rows()
    skips: tuple[Skip, ...] = ()
    warnings: tuple[str, ...] = ()


class Published(msgspec.Struct, frozen=True):
    pass


class NothingNew(msgspec.Struct, frozen=True):
    landed: LastLanding | None = None
    "The cursor to store, if the run moves it without rows."


class Previewed(msgspec.Struct, frozen=True):
    pass


class Failed(msgspec.Struct, frozen=True):
    error: BridgeError


class StillImporting(msgspec.Struct, frozen=True):
    error: BridgeError | None = None
    "Why Pigment's state is not known now."


class Unconfirmed(msgspec.Struct, frozen=True):
    error: BridgeError


class ToBeSentAgain(msgspec.Struct, frozen=True):
    error: BridgeError


End = Landed | LandedInPart | Published | NothingNew | Previewed | Failed | StillImporting | Unconfirmed | ToBeSentAgain


def receipt_of(end: End, begun: Receipt) -> Receipt:  # noqa: PLR0911  # one return for each end
    """Return the receipt of a run from its receipt before the end, and its end."""
    begun = msgspec.structs.replace(begun, verified=_verdict_after(end, begun.verified))
    match end:
        case Landed():
            is_less = end.counts.skipped or end.missing or begun.rows.held
            outcome: Outcome = "landed_with_skips" if is_less else "landed"
            return _counted(begun, outcome, end)
        case LandedInPart():
            return msgspec.structs.replace(_counted(begun, "failed", end), error=ErrorReport.of(end.error))
        case Published():
            return msgspec.structs.replace(begun, outcome="published", error=None)
        case NothingNew():
            return msgspec.structs.replace(begun, outcome="nothing_new")
        case Previewed():
            return msgspec.structs.replace(begun, outcome="previewed")
        case Failed(error):
            return _with_error(begun, _outcome_of(error), error)
        case StillImporting(error):
            return _with_error(begun, "importing", error)
        case Unconfirmed(error):
            return _with_error(begun, "unknown", error)
        case ToBeSentAgain(error):
            return _with_error(begun, "failed", error)
        case _:
            assert_never(end)


def end_of(receipt: Receipt) -> End:
    """Return the end that a stored, final receipt records; the other numbers are in the receipt."""
    if receipt.error is None:
        ends: dict[str, End] = {"published": Published(), "nothing_new": NothingNew()}
        return ends.get(receipt.outcome, Landed())
    error = receipt.error.kind(receipt.error.message)
    match error:
        case TooManySkipped() | NotEqual():
            return LandedInPart(error)
        case TooManyDeleted() if receipt.outcome == "failed":
            return LandedInPart(error, receipt.rows)
        case LandingUnknown() | LandingUnconfirmed():
            return ToBeSentAgain(error)
        case _:
            return Failed(error)


def _verdict_after(end: End, verdict: BlockVerdict | None) -> BlockVerdict | None:
    """Return the verdict on the block; none if it is not to be read back after all."""
    match end:
        case Landed() | StillImporting() | Unconfirmed() | LandedInPart(NotEqual()):
            return verdict
        case _:
            return None


def _outcome_of(error: BridgeError) -> Outcome:
    match error:
        case AwaitingApproval():
            return "held"
        case ConfigurationOccupied() | LeaseLost():
            return "occupied"
        case Refused():
            return "refused"
        case _:
            return "failed"


def _counted(begun: Receipt, outcome: Outcome, end: Landed | LandedInPart) -> Receipt:
    counted = begun.warned(*end.warnings).with_skips([*begun.skips, *end.skips])
    return msgspec.structs.replace(counted, outcome=outcome, rows=begun.rows.joined(end.counts), error=None)


def _with_error(begun: Receipt, outcome: Outcome, error: BridgeError | None) -> Receipt:
    return msgspec.structs.replace(begun, outcome=outcome, error=ErrorReport.of(error) if error else None)
