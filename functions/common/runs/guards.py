"""Checks that refuse to land suspicious data: values in, an error or nothing out."""

from common.platform.errors import Shrunk, TooFewRows, TooManySkipped, TruncatedAtLimit


def expect_rows(rows: int, min_rows: int, writer: str = "Looker") -> None:
    """
    Raises:
        TooFewRows: fewer than the job promises; an empty file can empty a list that is cleared before an import.
    """
    if rows < min_rows:
        raise TooFewRows(f"{writer} gave {rows} rows, guards.min_rows asks for {min_rows}.")


def expect_no_cap(rows: int, caps: tuple[int, ...], own_limit: int | None) -> None:
    """
    Raises:
        TruncatedAtLimit: all rows were asked for, and their number is one at which Looker cuts off.
    """
    if rows in caps:
        raise TruncatedAtLimit(f"Looker gave exactly {rows:,} rows, one of its own limits, though all were asked for.")
    if rows == own_limit:
        raise TruncatedAtLimit(f"Looker gave exactly {rows:,} rows, the Look's own limit, though all were asked for.")


def expect_no_shrinking(rows: int, rows_before: int | None, max_shrink: float | None, writer: str = "Looker") -> None:
    """
    Args:
        rows_before: of the last landing, or the last publication.
        max_shrink: the share of them that may be missing, 0 to 1.

    Raises:
        Shrunk: more of them are.
    """
    if max_shrink is None or not rows_before:
        return
    shrink = 1 - rows / rows_before
    if shrink > max_shrink:
        raise Shrunk(
            f"{writer} gave {rows:,} rows, the last good run had {rows_before:,}: {shrink:.0%} fewer, "
            f"guards.max_shrink allows {max_shrink:.0%}."
        )


def expect_few_skips(skipped: int, max_skipped: int) -> None:
    """
    Raises:
        TooManySkipped: more rows than the job tolerates.
    """
    if skipped > max_skipped:
        raise TooManySkipped(f"Pigment skipped {skipped:,} rows, guards.max_skipped allows {max_skipped:,}.")
