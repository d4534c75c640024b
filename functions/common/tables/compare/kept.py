"""How many rows of an earlier file a later one still has, with all their cells and in any order. It needs no key."""

import msgspec

from common.storage.bucket import Bucket
from common.tables.compare.file import CheckedCsv
from common.tables.staging import ProgressCallback


class ChangeSize(msgspec.Struct, frozen=True):
    """How much of the file that landed last differs from a new one, in rows."""

    rows_before: int
    changed: int
    "Rows that the new file does not have as they were: changed or gone."
    deleted: int
    "Rows that are gone. Without a key, how many fewer rows there are."

    @property
    def share(self) -> float:
        """The share of the rows before that changed, 0 to 1."""
        return self.changed / self.rows_before if self.rows_before else 0.0


def count_kept(bucket: Bucket, before: str, after: str, delimiter: str, rows: int, progress: ProgressCallback) -> int:
    """Return how many rows of the file `before` are in the file `after` too; none if they have other columns.

    A row that occurs several times counts as often as both files have it. Raises StorageRefused if a file is missing or
    is not the one that was checked.

    Args:
        rows: the number of rows of both files together, which decides how much is compared at a time.
    """
    from common.tables.compare import matching  # noqa: PLC0415  # DuckDB and Arrow take a third of a second to import

    old, new = CheckedCsv(bucket, before, delimiter), CheckedCsv(bucket, after, delimiter)
    if sorted(old.columns) != sorted(new.columns):
        return 0
    return matching.count_kept(old, new, rows, progress)
