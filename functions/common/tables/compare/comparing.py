"""Two files compared, row by row: by the key, whatever their order, and by what cells say, however they are written.

Columns go by their names: that they changed places is no change, as every file goes out with its own header.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from common.platform.errors import ColumnsChanged, KeysNotUnique
from common.runs.receipts import ChangeCounts, Diff
from common.storage.store import Store
from common.tables.compare import showing
from common.tables.compare.file import File
from common.tables.compare.showing import Samples


class Comparison(msgspec.Struct, frozen=True):
    """How a file differs from the one before it."""

    counts: ChangeCounts
    is_sent: bytearray
    "A byte for each row of the file: 1 for those that are new or changed."
    warnings: list[str]
    diff: Diff | msgspec.UnsetType = msgspec.UNSET


class BadKeys(msgspec.Struct, frozen=True):
    """The file's rows cannot be told apart, so neither can what became of them."""

    empty_rows: int
    repeated_keys: int
    repeated_rows: int
    "In which these keys stand."
    diff: Diff | msgspec.UnsetType = msgspec.UNSET

    def refusal(self) -> KeysNotUnique:
        """With how many they are, and not what they hold."""
        said = []
        if self.empty_rows:
            said.append(f"{self.empty_rows:,} rows have an empty key")
        if self.repeated_keys:
            said.append(f"{self.repeated_keys:,} keys are there more than once, in {self.repeated_rows:,} rows")
        return KeysNotUnique(f"By load.changes.key, {'; '.join(said)}.")


def key_in_file(key: Sequence[str], columns: Mapping[str, str]) -> list[str]:
    """The key's columns as the staged file heads them.

    Args:
        key: as Looker heads them.
        columns: `target.columns`, which has all of them or is empty.
    """
    return [columns[name] for name in key] if columns else list(key)


def compare(
    store: Store,
    before: str | None,
    after: str,
    key: Sequence[str],
    delimiter: str,
    rows: int,
    progress: Callable[[str, int], None],
    *,
    samples: int = 0,
) -> Comparison | BadKeys:
    """Find the rows of a file that are new or changed.

    A key is bad where any of its columns is empty: like the primary key of a database, each of them is needed to name
    the row.

    Args:
        before: the last landed file; None: there is none, and every row is new.
        key: as both files head its columns.
        rows: how many `after` is known to have.
        samples: of how many rows of each fate a `Diff` shall show the content; 0: no `Diff`.

    Raises:
        ColumnsChanged: the file lacks a column of the key.
        StorageRefused: a file is not there, or is not what was checked.
    """
    from common.tables.compare import matching  # noqa: PLC0415  # DuckDB and Arrow take a third of a second to import

    new = File(store, after, delimiter)
    _expect_columns(key, new.header)
    old = File(store, before, delimiter) if before else None
    warnings = _warnings(old, new, key)
    if old is not None and not _has(old.header, key):
        old = None
    found = matching.match(old, new, key, rows, Samples(samples), progress)
    diff = showing.diff(old, new, key, found.samples) if samples else msgspec.UNSET
    if found.empty_rows or found.repeated_rows:
        return BadKeys(found.empty_rows, found.keys["repeated"], found.repeated_rows, diff)
    counts = ChangeCounts(*(found.keys[fate] for fate in ("added", "changed", "gone", "unchanged")))
    return Comparison(counts, found.is_sent, warnings, diff)


def _expect_columns(key: Sequence[str], header: Sequence[str]) -> None:
    if not _has(header, key):
        raise ColumnsChanged(
            f"load.changes.key is {', '.join(key)}, and not each of them stands, once, in the header "
            f"{', '.join(header)}.",
            next_step="Write load.changes.key as Looker heads the columns, then run again.",
        )


def _has(header: Sequence[str], key: Sequence[str]) -> bool:
    return all(header.count(name) == 1 for name in key)


def _warnings(old: File | None, new: File, key: Sequence[str]) -> list[str]:
    if old is None or sorted(old.columns) == sorted(new.columns):
        return []
    fate = "changed" if _has(old.header, key) else "new"
    said = f"The columns are not those of the last landed file, so every row counts as {fate}: "
    return [f"{said}{', '.join(old.header)} became {', '.join(new.header)}."]
