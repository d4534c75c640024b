"""Read both files, match their rows by key, and count the changes."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from common.tables.compare.base import BaseDigests
from common.tables.compare.diff import RowSamples
from common.tables.compare.digests import Digests, FileLayout, Matches, cell, digest_of, digest_of_key
from common.tables.compare.file import CheckedCsv
from common.tables.staging import ProgressCallback

ROWS_AT_ONCE = 12_000_000
"Of both files together: a quarter of a gigabyte of digests."

_CHANGE = """
    CASE
        WHEN times > 1 THEN 'repeated'
        WHEN times = 0 THEN 'gone'
        WHEN times_before = 0 THEN 'added'
        -- A key may occur twice in the old file only if another key identified rows then.
        WHEN times_before = 1 AND min(row) = max(row) AND $is_comparable THEN 'unchanged'
        ELSE 'changed'
    END
"""
"If the files do not have the same columns, every row has changed."


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
    base: BaseDigests | None = None,
) -> MatchedRows:
    """Match the rows of two files; the new one has `rows` rows. Raises StorageRefused as `compare` does.

    Args:
        base: the digests of the old file, if they are being computed already.
    """
    matched = MatchedRows(bytearray(rows), samples, Counter())
    is_comparable = old is not None and sorted(old.columns) == sorted(new.columns)
    shares = 2 * rows // ROWS_AT_ONCE + 1
    for share in range(shares):
        known = base.of_columns(new.columns) if base and old and shares == 1 else None
        with known or Digests(share, shares) as digests:
            order = [old.columns.index(column) for column in new.columns] if old and is_comparable else None
            if _add_both(digests, None if known else old, new, key, order, progress) != rows:
                raise new.refusal()
            empty, places = digests.empty_keys(samples.most)
            matched.empty_rows += empty
            samples.add("empty", [(-1, place) for place in places])
            for matches in digests.matches(_CHANGE, "unchanged", is_comparable=is_comparable):
                _count(matched, matches)
    return matched


def digests_of_base(base: CheckedCsv, key: Sequence[str], rows: int, progress: ProgressCallback) -> Digests | None:
    """Return the digests of a file with `rows` rows, unless it does not have the key, or is too long to keep them until
    another one like it has arrived.
    """
    if 2 * rows > ROWS_AT_ONCE or not base.has_once(key):
        return None
    digests = Digests(0, 1)
    try:
        digests.add(base, _layout(base, key), progress, is_new=False)
    except BaseException:
        digests.close()
        raise
    return digests


def count_kept(old: CheckedCsv, new: CheckedCsv, rows: int, progress: ProgressCallback) -> int:
    """Return how many rows both files have, whole rows being their keys; they have `rows` rows and the same columns."""
    kept, shares = 0, rows // ROWS_AT_ONCE + 1
    order = [old.columns.index(column) for column in new.columns]
    for share in range(shares):
        with Digests(share, shares) as digests:
            _add_both(digests, old, new, [], order, progress)
            kept += digests.count_kept()
    return kept


def _add_both(
    digests: Digests,
    old: CheckedCsv | None,
    new: CheckedCsv,
    key: Sequence[str],
    order: list[int] | None,
    progress: ProgressCallback,
) -> int:
    """Add the digests of both files, and return the number of rows of the new one.

    Each file has a thread of its own, of which Arrow and DuckDB use one.
    """
    with ThreadPoolExecutor(1, "comparing") as pool:
        earlier = old and pool.submit(digests.add, old, _layout(old, key, order), progress, is_new=False)
        rows = digests.add(new, _layout(new, key), progress, is_new=True)
        if earlier:
            earlier.result()
    return rows


def _layout(file: CheckedCsv, key: Sequence[str], row: list[int] | None = None) -> FileLayout:
    cells = [cell(place) for place in row or range(len(file.header))]
    key_cells = [cell(file.header.index(name)) for name in key]
    # A whole row is a key like any other, whatever its cells are.
    digest = digest_of_key(key_cells) if key else digest_of(cells)
    return FileLayout(digest, digest_of(cells))


def _count(matched: MatchedRows, matches: Matches) -> None:
    matched.keys[matches.change] += matches.keys
    if matches.change == "repeated":
        matched.repeated_rows += matches.rows
    matched.samples.add(matches.change, [pair[::-1] for pair in matches.first(matched.samples.most)])
    if matches.change in ("added", "changed"):
        for place, _ in matches.pairs():
            matched.is_sent[place] = 1
