"""The two sides of a comparison: the files that were sent, and a block's file."""

import math
import operator
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import duckdb

from common.tables.compare.digests import Digests, FileLayout, cell, digest_of
from common.tables.compare.file import ReadableCsv
from common.tables.compare.scan import open_database, scan
from common.tables.equality.forms import Reading
from common.tables.staging import ProgressCallback


class RowTotals(NamedTuple):
    """What two sides have in common if they have the same rows, in whatever order.

    Rows that differ have other sums but in one of about 10¹⁹ cases: those in which two rows have the same hash.
    """

    rows: int
    hashes: int
    "The sum of a hash of 64 bits of each row."
    hashes_again: int
    "The sum of a hash of each of these hashes: differences do not cancel each other out in both."


class Side:
    """Rows of one or several files, numbered one file after the other, and their compared columns.

    Args:
        columns: their names in these files, in the same order on both sides.
        readings: how each of them is read.
        key: the numbers of the columns that identify a row.
    """

    def __init__(
        self, files: Sequence[ReadableCsv], columns: Sequence[str], readings: Sequence[Reading], key: Sequence[int]
    ) -> None:
        self.columns = columns
        self.readings = readings
        self._files = files
        self._key = key
        self._begins: list[int] = []

    def is_read_like(self, other: "Side") -> bool:
        """Whether both have the same columns, read in the same way."""
        return (self.columns, self.readings) == (other.columns, other.readings)

    def digest(self, digests: Digests, progress: ProgressCallback, *, is_new: bool) -> int:
        """Add the digests of all rows, and return their number."""
        rows = 0
        self._begins = []
        for file in self._files:
            self._begins.append(rows)
            rows += digests.add(file, self._layout(file), progress, is_new=is_new, begin=rows)
        return rows

    def totals(self, database: duckdb.DuckDBPyConnection, progress: ProgressCallback) -> RowTotals:
        """Add up the hashes of all rows: three times as fast as their digests, and without memory for each row."""
        totals = RowTotals(0, 0, 0)
        for file in self._files:
            rows = f"SELECT {self._row_hash(file)} AS row FROM records"  # noqa: S608  # of our own SQL
            query = f"SELECT coalesce(sum(row), 0), coalesce(sum(hash(row)), 0) FROM ({rows})"  # noqa: S608  # of our own SQL
            found = scan(database, file, query, progress, begin=totals.rows)
            totals = RowTotals(*map(operator.add, totals, (found.rows, *map(int, found.answer[0]))))
        return totals

    def cells_at(self, places: Iterable[int]) -> dict[int, list[str]]:
        """Read the compared cells of some rows, in the order of the columns."""
        by_file: defaultdict[int, set[int]] = defaultdict(set)
        for place in places:
            number = bisect_right(self._begins, place) - 1
            by_file[number].add(place - self._begins[number])
        found = {}
        for number, wanted in by_file.items():
            file = self._files[number]
            order = [file.header.index(name) for name in self.columns]
            for place, cells in file.records_at(wanted).items():
                found[self._begins[number] + place] = [cells[column] for column in order]
        return found

    def sums(self, progress: ProgressCallback) -> dict[str, float]:
        """Return the sum of each column of numbers. A row counts as often as it is there."""
        numbers = [number for number, reading in enumerate(self.readings) if reading.form == "number"]
        if not numbers:
            return {}
        with open_database() as database:
            of_files = [self._sums_of(database, file, numbers, progress) for file in self._files]
        totals = [math.fsum(of_column) for of_column in zip(*of_files, strict=True)] or [0.0] * len(numbers)
        return {self.columns[number]: total for number, total in zip(numbers, totals, strict=True)}

    def _sums_of(
        self, database: duckdb.DuckDBPyConnection, file: ReadableCsv, numbers: Sequence[int], progress: ProgressCallback
    ) -> tuple[float, ...]:
        cells = {number: cell(file.header.index(self.columns[number])) for number in numbers}
        sums = ", ".join(f"coalesce(fsum({self.readings[number].number(name)}), 0)" for number, name in cells.items())
        return scan(database, file, f"SELECT {sums} FROM records", progress).answer[0]  # noqa: S608  # of our own SQL

    def key_of(self, cells: Sequence[str]) -> list[str]:
        return [cells[number] for number in self._key]

    def _layout(self, file: ReadableCsv) -> FileLayout:
        cells = [cell(file.header.index(name)) for name in self.columns]
        key = [self.readings[number].canonical(cells[number]) for number in self._key]
        return FileLayout(digest_of(key), self._row_hash(file))

    def _row_hash(self, file: ReadableCsv) -> str:
        """Return SQL for a number of 64 bits that rows with the same meaning share."""
        cells = [cell(file.header.index(name)) for name in self.columns]
        hashes = [reading.hashed(name) for reading, name in zip(self.readings, cells, strict=True)]
        return digest_of(hashes)
