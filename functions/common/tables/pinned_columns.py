"""The columns that bridge.yaml names for an export, and the header of the file that arrives."""

from collections.abc import Collection, Sequence

from common.platform import lookalikes
from common.platform.errors import ColumnsChanged
from common.platform.text import listed
from common.tables.header import header_changes


def expect_header(columns: Collection[str], header: Sequence[str], before: Sequence[str], *, is_whole: bool) -> None:
    """Raise ColumnsChanged if the header does not have each of these columns once.

    Args:
        before: the header of the file that was published last; empty if there is none.
        is_whole: whether the columns must be the whole header, in order, as a table of BigQuery reads it.
    """
    pinned = list(columns)
    if not pinned or pinned == list(header):
        return
    if repeated := [name for name in pinned if list(header).count(name) > 1]:
        raise ColumnsChanged(f"Pigment's header has {listed(repeated)} more than once, so columns is ambiguous.")
    missing = [name for name in pinned if name not in header]
    if missing or is_whole:
        raise _changed(pinned, header, before, missing, is_whole=is_whole)


def _changed(
    pinned: Sequence[str], header: Sequence[str], before: Sequence[str], missing: Sequence[str], *, is_whole: bool
) -> ColumnsChanged:
    what = "is not columns, which bigquery: true needs whole and in order" if is_whole else f"lacks {listed(missing)}"
    parts = [f"Pigment's header {what}."]
    if is_whole:
        parts.append(header_changes(pinned, header))
    elif before and list(before) != list(header):
        parts.append(f"Since the last run: {header_changes(before, header)}")
    alike = lookalikes.of(pinned, header)
    parts += [lookalikes.differences(alike)] if alike else []
    parts.append(f"columns: {', '.join(pinned)}. Pigment sent: {', '.join(header)}.")
    advice = f"write {lookalikes.advice(alike)}" if alike else "write the headers that Pigment sends"
    next_step = f"In columns of the export in bridge.yaml, {advice}; or rename the columns in Pigment."
    return ColumnsChanged(" ".join(parts), next_step=next_step)
