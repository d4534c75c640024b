"""How two files differ: the counts, and the sample of rows that a preview shows."""

from collections.abc import Iterable, Sequence

import msgspec

from common.tables.compare.file import CheckedCsv

RowPlaces = tuple[int, int]
"The place of a row before and now; -1: it is not in that file."


class ChangeCounts(msgspec.Struct, frozen=True):
    """How a file differs from the one that landed before it, in rows."""

    added: int
    changed: int
    gone: int
    "No longer in Looker; Pigment still has them."
    unchanged: int


class ChangedCell(msgspec.Struct, frozen=True):
    column: str
    before: str
    after: str


class ChangedRow(msgspec.Struct, frozen=True):
    key: list[str]
    cells: list[ChangedCell]


class Diff(msgspec.Struct, frozen=True):
    """Examples of the differences. It is part of a preview's answer, and is never stored or logged."""

    key: list[str]
    header: list[str] = []
    changed_rows: list[ChangedRow] = []
    new_rows: list[list[str]] = []
    gone_keys: list[list[str]] = []
    bad_keys: list[list[str]] = []
    "Keys that are empty or occur twice."


class RowSamples(msgspec.Struct):
    """The places of the first rows of each kind of change."""

    most: int
    pairs: dict[str, list[RowPlaces]] = {}

    def add(self, change: str, pairs: Iterable[RowPlaces]) -> None:
        known = [*self.pairs.get(change, []), *pairs]
        self.pairs[change] = sorted(known, key=lambda pair: pair[::-1])[: self.most]

    def of(self, change: str) -> list[RowPlaces]:
        return self.pairs.get(change, [])


def diff_of(old: CheckedCsv | None, new: CheckedCsv, key: Sequence[str], samples: RowSamples) -> Diff:
    """Read the cells of the sampled rows, in the order of their files."""
    wanted = [pair for change in ("changed", "added", "repeated", "empty") for pair in samples.of(change)]
    after = new.records_at({place for _, place in wanted})
    wanted_before = [pair for change in ("changed", "gone") for pair in samples.of(change)]
    before = old.records_at({place for place, _ in wanted_before}) if old else {}
    return Diff(
        key=list(key),
        header=new.header,
        changed_rows=[_changed(old, new, key, before[was], after[now]) for was, now in samples.of("changed") if old],
        new_rows=[after[now] for _, now in samples.of("added")],
        gone_keys=[_key(old, key, before[was]) for was, _ in samples.of("gone") if old],
        bad_keys=[_key(new, key, after[now]) for change in ("empty", "repeated") for _, now in samples.of(change)],
    )


def _changed(old: CheckedCsv, new: CheckedCsv, key: Sequence[str], before: list[str], after: list[str]) -> ChangedRow:
    """Compare two versions of a row; a column that only one file has counts as empty in the other."""
    was = dict(zip(old.columns, before, strict=True))
    now = dict(zip(new.columns, after, strict=True))
    cells = [
        ChangedCell(column[0], was.get(column, ""), now.get(column, ""))
        for column in {**now, **was}
        if was.get(column, "") != now.get(column, "")
    ]
    return ChangedRow(_key(new, key, after), cells)


def _key(file: CheckedCsv, key: Sequence[str], cells: list[str]) -> list[str]:
    return [cells[file.header.index(name)] for name in key]
