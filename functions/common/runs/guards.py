"""Guards: checks that refuse suspicious data. They take values, and raise an error or return nothing."""

from collections.abc import Iterable

from common.bridge_yaml import Approval
from common.platform.errors import (
    AwaitingApproval,
    Shrunk,
    TooFewRows,
    TooManyDeleted,
    TooManySkipped,
    TruncatedAtLimit,
)
from common.runs.cursors import LastLanding
from common.tables.compare import ChangeSize

_SEND_ALL = (
    "In Looker, edit the schedule: send all results, or raise the row limit of the Look. Above 5,000 rows, let the "
    "relay start a pull (`start:`), which reads them all. If so many rows are right, set guards.accept_cap: true for "
    "this relay, and send the delivery again: `bridge deliveries replay`."
)


def expect_rows(rows: int, min_rows: int, writer: str = "Looker") -> None:
    """Raise TooFewRows below the minimum: an empty file would empty a list that Pigment clears before an import."""
    if rows < min_rows:
        raise TooFewRows(f"{writer} returned {rows} rows, guards.min_rows requires {min_rows}.")


def expect_no_cap(rows: int, caps: tuple[int, ...], own_limit: int | None) -> None:
    """Raise TruncatedAtLimit if the number of rows is one at which Looker truncates; all rows were requested."""
    if limit := _limit_at(rows, caps, own_limit):
        raise TruncatedAtLimit(f"Looker returned exactly {rows:,} rows, {limit}; all rows were requested.")


def expect_no_cap_of_delivery(rows: int, caps: tuple[int, ...], row_limit: int | None) -> None:
    """Raise TruncatedAtLimit if a delivery has a number of rows at which Looker truncates; its sender decides that."""
    if limit := _limit_at(rows, caps, row_limit):
        cause = f"Looker delivered exactly {rows:,} rows, {limit}: the others may be missing."
        raise TruncatedAtLimit(cause, next_step=_SEND_ALL)


def _limit_at(rows: int, caps: tuple[int, ...], own_limit: int | None) -> str:
    if rows in caps:
        return "one of its limits"
    return "the Look's own limit" if rows == own_limit else ""


def expect_no_shrinking(rows: int, rows_before: int | None, max_shrink: float | None, writer: str = "Looker") -> None:
    """Raise Shrunk if more than a share, 0 to 1, of the rows of the last landing or publication is missing."""
    if max_shrink is None or not rows_before:
        return
    shrink = 1 - rows / rows_before
    if shrink > max_shrink:
        decrease = f"{shrink:.0%} fewer than the {rows_before:,} of the last good run"
        raise Shrunk(f"{writer} returned {rows:,} rows, {decrease}; guards.max_shrink allows {max_shrink:.0%}.")


_ABOUT_SKIPS = {
    "MissingWriteAccessRights": "Give the owner of the Import key write access in Pigment to what the import writes.",
    "MissingModalitySkippedDataRow": "Add the missing items in Pigment, or fix the values.",
    "MissingModalityUseDefaultOrNullModality": "Add the missing items in Pigment, or fix the values.",
    "MissingModalitiesFromSnapshot": "Add the items to the snapshot in Pigment, or import into another version.",
    "ParsingError": (
        "Fix the values that Pigment cannot read, or the formats of numbers and dates in the import configuration."
    ),
}
"What to do, by the reason that Pigment gives (OpenAPI, `SkippedData.reason`)."
_ABOUT_OTHERS = "Add the missing items in Pigment or fix the values."


def expect_few_skips(skipped: int, max_skipped: int, reasons: Iterable[str] = (), then: str = "") -> None:
    """Raise TooManySkipped if Pigment skipped more rows than the job allows.

    Args:
        reasons: why, in Pigment's words. They decide what there is to do.
        then: what follows.
    """
    if skipped > max_skipped:
        known = dict.fromkeys(_ABOUT_SKIPS[reason] for reason in reasons if reason in _ABOUT_SKIPS) or [_ABOUT_OTHERS]
        cause = f"Pigment skipped {skipped:,} rows, guards.max_skipped allows {max_skipped:,}."
        next_step = " ".join(["The receipt lists reasons and columns.", *known, then])
        raise TooManySkipped(cause, next_step=next_step.rstrip())


def expect_few_deletions(deleted: int, max_deleted: int | None) -> None:
    """Raise TooManyDeleted if Pigment deleted more rows than the job allows."""
    if max_deleted is not None and deleted > max_deleted:
        landed = "The rows that were sent have landed"
        raise TooManyDeleted(f"Pigment deleted {deleted:,} rows, guards.max_deleted allows {max_deleted:,}. {landed}.")


def expect_kept_rows(previous: LastLanding | None, configuration: str, max_deleted: int | None) -> None:
    """Raise TooManyDeleted if the last landing through this configuration deleted more rows than the job allows."""
    if previous is None or max_deleted is None:
        return
    deleted = previous.deleted_through(configuration)
    if deleted > max_deleted:
        earlier = f"Run {previous.run} deleted {deleted:,} rows in Pigment"
        raise TooManyDeleted(f"{earlier}, guards.max_deleted allows {max_deleted:,}. Nothing was sent.")


def expect_small_change(size: ChangeSize, approval: Approval) -> None:
    """Raise AwaitingApproval if more has changed since the last landing than a job may send without a person."""
    found, allowed = [], approval.max_changed
    if allowed is not None and size.share > allowed:
        changed = f"{size.changed:,} of the {size.rows_before:,} rows that landed last have changed or are gone"
        found.append(f"{changed} ({size.share:.1%}), guards.approve.max_changed allows {allowed * 100:g}%")
    if approval.max_deleted is not None and size.deleted > approval.max_deleted:
        found.append(f"{size.deleted:,} rows are gone, guards.approve.max_deleted allows {approval.max_deleted:,}")
    if found:
        raise AwaitingApproval(f"{'; '.join(found)}.")
