"""Compare files that were sent with a block, in bounded memory.

If the sums of the hashes of all rows are the same, so are the rows: the block is read once, while it arrives. Otherwise
rows are matched by the digests of their keys, and their cells by one digest of what they mean (`forms`). Rows whose
digests differ are then read again and compared cell by cell: numbers with more digits than Pigment keeps may be equal
all the same, and the cells that differ are counted by column.

Importing this module takes a third of a second: only what compares imports it.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from common.platform.text import listed
from common.storage.bucket import Bucket
from common.tables.compare.file import CheckedCsv, ReadableCsv
from common.tables.compare.scan import open_database
from common.tables.equality.cells import different_columns
from common.tables.equality.forms import DECIMAL_COMMA, Commas, Form, Reading, forms_of
from common.tables.equality.matching import Matched, Pair, have_same_rows, match
from common.tables.equality.result import (
    BlockEquality,
    ColumnSum,
    DifferentCell,
    DifferentRow,
    NotComparable,
    Pairing,
    Problem,
    SentFile,
)
from common.tables.equality.sides import RowTotals, Side
from common.tables.staging import ProgressCallback

MOST_SHOWN = 10
"Rows in a result: enough to look at in Pigment."
_READ_AT_ONCE = 20_000
_OTHER_PROBLEMS: Sequence[Problem] = ("missing", "doubled", "extra")


class BlockComparison:
    """Compares all rows of files that were sent with all rows of a block.

    Its methods raise NotComparable if the columns or the key do not allow it, StorageRefused if a file is missing, and
    RowsMalformed.
    """

    def __init__(self, bucket: Bucket, sent: Sequence[SentFile], pairing: Pairing) -> None:
        self._files = [CheckedCsv(bucket, file.path, file.delimiter) for file in sent]
        self._pairing = pairing
        self._commas: Mapping[str, Commas] = {}
        "What commas mean in the columns that were sent, where it is known."
        self._ahead: tuple[Side, RowTotals] | None = None

    def read_ahead(self, progress: ProgressCallback) -> None:
        """Read what was sent before the block is there, so that `count_same` need not: the block's cells probably have
        the forms that these have.
        """
        if self._can_count_same:
            for file in self._files:
                # Between two reads, nobody may wait for the third any more.
                _ = file.header
                progress("rows compared", 0)
            columns = {name: name for name in _sent_columns(self._files, self._pairing)}
            mine = self._sent_side(columns, forms_of(self._files[-1], list(columns), "."))
            with open_database() as database:
                self._ahead = mine, mine.totals(database, progress)

    def count_same(self, block: ReadableCsv, progress: ProgressCallback) -> int | None:
        """Return the number of rows if both have the same ones; None if they have to be matched to tell.

        The block is read at most once.
        """
        mine, theirs = self._sides(block)
        if not self._can_count_same:
            return None
        side, totals = self._ahead or (mine, None)
        return have_same_rows(mine, theirs, progress, totals if side.is_read_like(mine) else None)

    def match(
        self, block: CheckedCsv, rows: int, progress: ProgressCallback, *, shows_values: bool = False
    ) -> BlockEquality:
        """Match rows by their keys, and find out what differs.

        Args:
            rows: about how many both have together.
            shows_values: whether the result has the values of changed rows.
        """
        replaces = self._pairing.replaces
        mine, theirs = self._sides(block)
        found = match(mine, theirs, rows, progress, MOST_SHOWN, replaces=replaces)
        if commas := _commas_in(mine, [*found.changed, *found.first("missing", _READ_AT_ONCE)]):
            # Every number with a comma looked different. Only those rows show what the commas mean.
            self._commas = commas
            mine, theirs = self._sides(block)
            found = match(mine, theirs, rows, progress, MOST_SHOWN, replaces=replaces)
        if repeated := found.keys["repeated"]:
            twice = f"{repeated:,} of its keys were sent more than once"
            raise NotComparable(f"verify.key does not identify rows: {twice}.")
        return _result(mine, theirs, found, shows_values=shows_values)

    def sums(self, block: CheckedCsv, progress: ProgressCallback) -> list[ColumnSum]:
        """Return the sums of the columns of numbers, as `match` has read them if it was necessary."""
        mine, theirs = self._sides(block)
        sent, there = mine.sums(progress), theirs.sums(progress)
        return [
            ColumnSum(name, sent[name], there[in_block])
            for name, in_block in zip(mine.columns, theirs.columns, strict=True)
            if name in sent
        ]

    @property
    def _can_count_same(self) -> bool:
        """Whether a block with the same rows is equal. One that kept what a later file should have replaced has all
        rows, and some of them twice.
        """
        return not (self._pairing.may_have_extra or self._pairing.replaces)

    def _sides(self, block: ReadableCsv) -> tuple[Side, Side]:
        pairing = self._pairing
        columns = compared_columns(self._files, block, pairing)
        forms = forms_of(block, list(columns.values()), pairing.decimal_sign)
        in_block: Commas = "decimals" if pairing.decimal_sign == "," else "none"
        theirs = [Reading(forms[name], in_block) for name in columns.values()]
        there = Side([block], list(columns.values()), theirs, self._key_places(columns))
        return self._sent_side(columns, forms), there

    def _sent_side(self, columns: Mapping[str, str], forms: Mapping[str, Form]) -> Side:
        """Return what was sent.

        Args:
            columns: the name of each column that was sent, and the one that has a form.
        """
        readings = [
            Reading(forms[there], self._commas.get(name, "none"), self._pairing.is_day_first)
            for name, there in columns.items()
        ]
        return Side(self._files, list(columns), readings, self._key_places(columns))

    def _key_places(self, columns: Mapping[str, str]) -> list[int]:
        return [list(columns).index(name) for name in self._pairing.key]


def compared_columns(files: Sequence[ReadableCsv], block: ReadableCsv, pairing: Pairing) -> dict[str, str]:
    """Return the columns to compare: the name as sent, which all files have, and the name in the block. Raises
    NotComparable.
    """
    columns = {name: pairing.columns.get(name, name) for name in _sent_columns(files, pairing)}
    if absent := [there for there in columns.values() if block.header.count(there) != 1]:
        cause = f"The block does not have exactly one column {listed(absent)}. It has: {listed(block.header)}"
        raise NotComparable(f"{cause}. Name them in verify.columns, or leave them out with verify.ignore.")
    if twice := [name for name in columns if any(file.header.count(name) != 1 for file in files)]:
        raise NotComparable(f"The file has {listed(twice)} more than once.")
    return columns


def _sent_columns(files: Sequence[ReadableCsv], pairing: Pairing) -> list[str]:
    """Return the columns that all files have, without those to ignore. Raises NotComparable if the key is not there."""
    sent = [name for name in files[-1].header if all(name in file.header for file in files)]
    columns = [name for name in sent if name not in pairing.ignored]
    if absent := [name for name in pairing.key if name not in columns]:
        raise NotComparable(f"verify.key has {listed(absent)}, which was not sent. Sent: {listed(sent)}.")
    return columns


def _commas_in(sent: Side, pairs: Sequence[Pair]) -> dict[str, Commas]:
    """Return what commas mean in the columns of numbers that have some in these rows."""
    places = [number for number, reading in enumerate(sent.readings) if reading.form == "number"]
    if not places or not pairs:
        return {}
    rows = sent.cells_at({place for place, _ in pairs[:_READ_AT_ONCE]}).values()
    found: dict[str, Commas] = {}
    for place in places:
        cells = [row[place] for row in rows if "," in row[place]]
        if cells:
            has_decimals = any(re.fullmatch(DECIMAL_COMMA, cell) for cell in cells)
            found[sent.columns[place]] = "decimals" if has_decimals else "thousands"
    return found


def _result(mine: Side, theirs: Side, found: Matched, *, shows_values: bool) -> BlockEquality:
    columns: Counter[str] = Counter()
    changed = found.keys["changed"] - len(found.changed)
    rows: list[DifferentRow] = []
    for row in _changed_rows(mine, theirs, found.changed):
        changed += 1
        columns.update(row.columns)
        if len(rows) < MOST_SHOWN:
            rows.append(row if shows_values else row.without_values())
    for problem in _OTHER_PROBLEMS:
        rows += _keys(mine, theirs, problem, found.first(problem, MOST_SHOWN - len(rows)))
    sent = sum(found.keys[each] for each in ("missing", "doubled", "changed", "equal"))
    by_column = {name: columns[name] for name in mine.columns if columns[name]}
    missing, doubled, extra = (found.keys[problem] for problem in _OTHER_PROBLEMS)
    return BlockEquality(sent, found.rows_in_block, missing, extra, doubled, changed, by_column, rows)


def _changed_rows(mine: Side, theirs: Side, pairs: Sequence[Pair]) -> Iterator[DifferentRow]:
    """Yield the rows that do not mean the same, of those whose digests differ."""
    remaining = iter(sorted(pairs))
    while some := list(islice(remaining, _READ_AT_ONCE)):
        sent, there = mine.cells_at({place for place, _ in some}), theirs.cells_at({place for _, place in some})
        rows = [(sent[place], there[place_there]) for place, place_there in some]
        for (row, row_there), different in zip(rows, different_columns(mine, theirs, rows), strict=True):
            if different:
                cells = [DifferentCell(mine.columns[each], row[each], row_there[each]) for each in different]
                yield DifferentRow("changed", mine.key_of(row), [cell.column for cell in cells], cells)


def _keys(mine: Side, theirs: Side, problem: Problem, pairs: Sequence[Pair]) -> list[DifferentRow]:
    """Return the keys of rows of which one side has none or too many, as that side writes them that has the row."""
    side, places = (
        (theirs, [there for _, there in pairs]) if problem == "extra" else (mine, [here for here, _ in pairs])
    )
    cells = side.cells_at(places)
    return [DifferentRow(problem, side.key_of(cells[place])) for place in places]
