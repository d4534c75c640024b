"""What a preview shows of a difference: for the first rows of each fate, their cells, read again from the files."""

from collections.abc import Iterable, Sequence

import msgspec

from common.runs.receipts import ChangedCell, ChangedRow, Diff
from common.tables.compare.file import File

Pair = tuple[int, int]
"Where a row stood before, and where it stands; -1: nowhere."


class Samples(msgspec.Struct):
    """Where the first rows of each fate stand."""

    most: int
    "Of each fate."
    pairs: dict[str, list[Pair]] = {}

    def add(self, fate: str, pairs: Iterable[Pair]) -> None:
        known = [*self.pairs.get(fate, []), *pairs]
        self.pairs[fate] = sorted(known, key=lambda pair: pair[::-1])[: self.most]

    def of(self, fate: str) -> list[Pair]:
        return self.pairs.get(fate, [])


def diff(old: File | None, new: File, key: Sequence[str], samples: Samples) -> Diff:
    """The sampled rows, each fate in the order of its file."""
    wanted = [pair for fate in ("changed", "added", "repeated", "empty") for pair in samples.of(fate)]
    after = new.records_at({place for _, place in wanted})
    wanted_before = [pair for fate in ("changed", "gone") for pair in samples.of(fate)]
    before = old.records_at({place for place, _ in wanted_before}) if old else {}
    return Diff(
        key=list(key),
        header=new.header,
        changed_rows=[_changed(old, new, key, before[was], after[now]) for was, now in samples.of("changed") if old],
        new_rows=[after[now] for _, now in samples.of("added")],
        gone_keys=[_key(old, key, before[was]) for was, _ in samples.of("gone") if old],
        bad_keys=[_key(new, key, after[now]) for fate in ("empty", "repeated") for _, now in samples.of(fate)],
    )


def _changed(old: File, new: File, key: Sequence[str], before: list[str], after: list[str]) -> ChangedRow:
    """A column that only one of the files has is empty in the other."""
    was = dict(zip(old.columns, before, strict=True))
    now = dict(zip(new.columns, after, strict=True))
    cells = [
        ChangedCell(column[0], was.get(column, ""), now.get(column, ""))
        for column in {**now, **was}
        if was.get(column, "") != now.get(column, "")
    ]
    return ChangedRow(_key(new, key, after), cells)


def _key(file: File, key: Sequence[str], cells: list[str]) -> list[str]:
    return [cells[file.header.index(name)] for name in key]
