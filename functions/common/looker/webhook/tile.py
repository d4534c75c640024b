"""The rows of a dashboard's tile. A dashboard describes no query, so that only the file can tell what is between them.

Seen in a real delivery: the first column has no name and numbers the rows. A totals row has no number and no label;
with pivots, a second header line follows the first.
"""

from collections.abc import Iterator

from common.platform.errors import DeliveryNotUsable
from common.tables.records import RecordSplitter, split


def plain_rows(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield CSV unchanged. Raises DeliveryNotUsable if it numbers its rows, and one of them has no number."""
    splitter, rows = RecordSplitter(), 0
    is_numbered: bool | None = None
    for block in blocks:
        records = split(splitter.feed(block)) if is_numbered is not False else []
        if records and is_numbered is None:
            is_numbered = _has_no_number(records.pop(0))
        for row, record in enumerate(records if is_numbered else (), rows + 1):
            if _has_no_number(record):
                raise _refusal(row)
        rows += len(records)
        yield block


def _has_no_number(record: bytes) -> bool:
    return record.startswith((b",", b'"",'))


def _refusal(row: int) -> DeliveryNotUsable:
    what = "a second header line, as pivots have it" if row == 1 else f"a totals row after row {row - 1}"
    next_step = "In Looker, save the tile as a Look without it, and schedule that Look to the webhook, as CSV."
    return DeliveryNotUsable(f"The tile has {what}, which would land as data.", next_step=next_step)
