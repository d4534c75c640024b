"""Compare two files row by row: rows by their key, in any order, and cells by their content, quoted or not.

Columns are compared by name. Another order of columns is no change, because every file has its own header.
"""

from collections.abc import Mapping, Sequence

import msgspec

from common.platform import lookalikes
from common.platform.errors import ColumnsChanged, KeysNotUnique
from common.platform.text import listed
from common.storage.bucket import Bucket
from common.tables.compare.base import BaseDigests
from common.tables.compare.diff import ChangeCounts, Diff, RowSamples, diff_of
from common.tables.compare.file import CheckedCsv
from common.tables.header import header_changes
from common.tables.staging import ProgressCallback


class FileComparison(msgspec.Struct, frozen=True):
    counts: ChangeCounts
    is_sent: bytearray
    "One byte for each row of the file: 1 if it is new or changed."
    warnings: list[str]
    diff: Diff | msgspec.UnsetType = msgspec.UNSET


class BadKeys(msgspec.Struct, frozen=True):
    """The key does not identify the rows of the file, so they cannot be compared."""

    empty_rows: int
    repeated_keys: int
    repeated_rows: int
    diff: Diff | msgspec.UnsetType = msgspec.UNSET

    def refusal(self) -> KeysNotUnique:
        """Return the error, which contains numbers and no content."""
        problems = []
        if self.empty_rows:
            problems.append(f"{self.empty_rows:,} rows have an empty key")
        if self.repeated_keys:
            problems.append(f"{self.repeated_keys:,} keys occur more than once, in {self.repeated_rows:,} rows")
        return KeysNotUnique(f"By load.changes.key, {'; '.join(problems)}.")


def key_in_file(key: Sequence[str], columns: Mapping[str, str]) -> list[str]:
    """Return the key's columns in the staged file: renamed by `target.columns`, which has all of them or is empty."""
    return [columns[name] for name in key] if columns else list(key)


def compare(
    bucket: Bucket,
    before: str | None,
    after: str,
    key: Sequence[str],
    delimiter: str,
    rows: int,
    progress: ProgressCallback,
    *,
    base: BaseDigests | None = None,
    samples: int = 0,
) -> FileComparison | BadKeys:
    """Find the rows of a file that are new or changed.

    A key is bad if any of its columns is empty, as with the primary key of a database. Raises ColumnsChanged if the
    file does not have all columns of the key, StorageRefused if a file is missing or is not the one that was checked.

    Args:
        before: the last landed file; None if there is none and every row is new.
        key: the names of its columns in both files.
        rows: the number of rows of `after`.
        base: the digests of the last landed file, if they are being computed already.
        samples: how many rows of each kind of change the `Diff` contains; 0 for no `Diff`.
    """
    from common.tables.compare import matching  # noqa: PLC0415  # DuckDB and Arrow take a third of a second to import

    new = CheckedCsv(bucket, after, delimiter)
    old, warnings = base_of(CheckedCsv(bucket, before, delimiter) if before else None, new, key)
    found = matching.match(old, new, key, rows, RowSamples(samples), progress, base)
    diff = diff_of(old, new, key, found.samples) if samples else msgspec.UNSET
    if found.empty_rows or found.repeated_rows:
        return BadKeys(found.empty_rows, found.keys["repeated"], found.repeated_rows, diff)
    counts = ChangeCounts(*(found.keys[change] for change in ("added", "changed", "gone", "unchanged")))
    return FileComparison(counts, found.is_sent, warnings, diff)


def base_of(old: CheckedCsv | None, new: CheckedCsv, key: Sequence[str]) -> tuple[CheckedCsv | None, list[str]]:
    """Return the file to compare with, which is none if it does not have the key, and the warnings. Raises
    ColumnsChanged if the new file does not have it.
    """
    _expect_columns(key, new)
    return old if old is not None and old.has_once(key) else None, _warnings(old, new, key)


def _expect_columns(key: Sequence[str], file: CheckedCsv) -> None:
    if not file.has_once(key):
        next_step = "Write load.changes.key with the column names of Looker's header, then run again."
        cause = f"load.changes.key is {listed(key)}, but the header does not contain each of them exactly once"
        cause = f"{cause}: {', '.join(file.header)}."
        if alike := lookalikes.of(key, file.header):
            cause = f"{lookalikes.differences(alike)} {cause}"
            next_step = f"In load.changes.key, write {lookalikes.advice(alike)}."
        raise ColumnsChanged(cause, next_step=next_step)


def _warnings(old: CheckedCsv | None, new: CheckedCsv, key: Sequence[str]) -> list[str]:
    if old is None or sorted(old.columns) == sorted(new.columns):
        return []
    kind = "changed" if old.has_once(key) else "new"
    differ = f"The columns differ from those of the last landed file, so every row counts as {kind}."
    return [f"{differ} {header_changes(old.header, new.header)}"]
