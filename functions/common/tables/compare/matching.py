"""Both files read, their rows matched by key, and what became of them counted."""

from collections import Counter
from collections.abc import Callable, Sequence

import msgspec
import pyarrow as pa

from common.tables.compare.digests import Digests, Layout, Matches
from common.tables.compare.file import File
from common.tables.compare.showing import Samples

_ROWS_AT_ONCE = 12_000_000
"Of both files together: half a gigabyte of digests."


class Matched(msgspec.Struct):
    """What became of the rows, as far as it is known."""

    is_sent: bytearray
    "A byte for each row of the new file."
    samples: Samples
    keys: Counter[str]
    "By what became of them."
    repeated_rows: int = 0
    empty_rows: int = 0


def match(
    old: File | None,
    new: File,
    key: Sequence[str],
    rows: int,
    samples: Samples,
    progress: Callable[[str, int], None],
) -> Matched:
    """
    Args:
        rows: how many the new file is known to have.

    Raises:
        StorageRefused: a file is not there, or is not what was checked.
    """
    matched = Matched(bytearray(rows), samples, Counter())
    is_comparable = old is not None and sorted(old.columns) == sorted(new.columns)
    shares = 2 * rows // _ROWS_AT_ONCE + 1
    for share in range(shares):
        with Digests(share, shares) as digests:
            if old is not None:
                row = [old.columns.index(column) for column in new.columns] if is_comparable else None
                _add(digests, old, _layout(old, key, row), progress, is_new=False)
            if _add(digests, new, _layout(new, key), progress, is_new=True) != rows:
                raise new.refusal()
            _count_empty(matched, digests)
            for matches in digests.matches(is_comparable=is_comparable):
                _count(matched, matches)
    return matched


def _layout(file: File, key: Sequence[str], row: list[int] | None = None) -> Layout:
    width = len(file.header)
    return Layout(width, file.delimiter, [file.header.index(name) for name in key], row or list(range(width)))


def _add(digests: Digests, file: File, layout: Layout, progress: Callable[[str, int], None], *, is_new: bool) -> int:
    rows = 0
    for records in file.pieces():
        try:
            rows += digests.add(records, layout, rows, is_new=is_new)
        except pa.ArrowInvalid:
            # Arrow quotes the record.
            raise file.refusal() from None
        progress("rows compared", rows)
    return rows


def _count_empty(matched: Matched, digests: Digests) -> None:
    rows, places = digests.empty_keys(matched.samples.most)
    matched.empty_rows += rows
    matched.samples.add("empty", [(-1, place) for place in places])


def _count(matched: Matched, matches: Matches) -> None:
    for fate, (keys, rows) in matches.counts().items():
        matched.keys[fate] += keys
        if fate == "repeated":
            matched.repeated_rows += rows
        if matched.samples.most:
            matched.samples.add(fate, matches.samples(fate, matched.samples.most))
    for place in matches.to_send():
        matched.is_sent[place] = 1
