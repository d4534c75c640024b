"""Read both files, match their rows by key, and count the changes."""

from collections import Counter
from collections.abc import Sequence

import msgspec
import pyarrow as pa

from common.tables.compare.diff import RowSamples
from common.tables.compare.digests import Digests, FileLayout, Matches
from common.tables.compare.file import CheckedCsv
from common.tables.staging import ProgressCallback

_ROWS_AT_ONCE = 12_000_000
"Of both files together: half a gigabyte of digests."


class MatchedRows(msgspec.Struct):
    is_sent: bytearray
    samples: RowSamples
    keys: Counter[str]
    "The number of keys of each kind of change."
    repeated_rows: int = 0
    empty_rows: int = 0


def match(
    old: CheckedCsv | None,
    new: CheckedCsv,
    key: Sequence[str],
    rows: int,
    samples: RowSamples,
    progress: ProgressCallback,
) -> MatchedRows:
    """Match the rows of two files; the new one has `rows` rows. Raises StorageRefused as `compare` does."""
    matched = MatchedRows(bytearray(rows), samples, Counter())
    is_comparable = old is not None and sorted(old.columns) == sorted(new.columns)
    shares = 2 * rows // _ROWS_AT_ONCE + 1
    for share in range(shares):
        with Digests(share, shares) as digests:
            if old is not None:
                row = [old.columns.index(column) for column in new.columns] if is_comparable else None
                _add(digests, old, _layout(old, key, row), progress, is_new=False)
            if _add(digests, new, _layout(new, key), progress, is_new=True) != rows:
                raise new.refusal()
            empty, places = digests.empty_keys(samples.most)
            matched.empty_rows += empty
            samples.add("empty", [(-1, place) for place in places])
            for matches in digests.matches(is_comparable=is_comparable):
                _count(matched, matches)
    return matched


def count_kept(old: CheckedCsv, new: CheckedCsv, rows: int, progress: ProgressCallback) -> int:
    """Return how many rows both files have, whole rows being their keys; they have `rows` rows and the same columns."""
    kept, shares = 0, rows // _ROWS_AT_ONCE + 1
    order = [old.columns.index(column) for column in new.columns]
    for share in range(shares):
        with Digests(share, shares) as digests:
            _add(digests, old, _layout(old, [], order), progress, is_new=False)
            _add(digests, new, _layout(new, []), progress, is_new=True)
            kept += digests.count_kept()
    return kept


def _layout(file: CheckedCsv, key: Sequence[str], row: list[int] | None = None) -> FileLayout:
    width = len(file.header)
    return FileLayout(width, file.delimiter, [file.header.index(name) for name in key], row or list(range(width)))


def _add(digests: Digests, file: CheckedCsv, layout: FileLayout, progress: ProgressCallback, *, is_new: bool) -> int:
    rows = 0
    for records in file.pieces():
        try:
            rows += digests.add(records, layout, rows, is_new=is_new)
        except pa.ArrowInvalid:
            # Arrow quotes the record.
            raise file.refusal() from None
        progress("rows compared", rows)
    return rows


def _count(matched: MatchedRows, matches: Matches) -> None:
    for change, (keys, rows) in matches.counts().items():
        matched.keys[change] += keys
        if change == "repeated":
            matched.repeated_rows += rows
        if matched.samples.most:
            matched.samples.add(change, matches.samples(change, matched.samples.most))
    for place in matches.to_send():
        matched.is_sent[place] = 1
