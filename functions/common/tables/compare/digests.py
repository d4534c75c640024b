"""Find the rows of two sides that have the same key, and those that are equal, by their digests.

`compare` matches a file with the one before it; `tables.equality` matches what was sent with what a block has.

Of each row, memory holds its place, a digest of its key and one of all its cells: 21 bytes. The keys are compared in
shares, each with a reading of the files of its own, so that memory does not grow with the files.

A digest is DuckDB's hash of 64 bits of the cells: a cell is the same with quotes and without. One changed row in 10¹⁹
has the digest it had before, and would not be sent. Two keys with one digest, as one in 400,000 files of ten million
rows has them, are refused as a repeated key; and a new key with the digest of one that is gone is a changed row, which
is sent. Rows with the same digest can be constructed, but anyone who can write rows in Looker can also leave a row
unchanged.
"""

import heapq
import threading
from collections.abc import Iterator, Sequence
from typing import Self

import duckdb
import msgspec

from common.tables.compare.file import ReadableCsv
from common.tables.compare.scan import open_database, scan
from common.tables.staging import ProgressCallback

_MATCHED_AT_ONCE = 250_000
_MOST = 2**64

_MATCH = """
    SELECT
        change,
        count(*),
        sum(times)::BIGINT,
        coalesce(list(place) FILTER (change <> $usual), []),
        coalesce(list(place_before) FILTER (change <> $usual), [])
    FROM (
        SELECT
            max(place) FILTER (is_new) AS place,
            min(place) FILTER (NOT is_new) AS place_before,
            count(*) FILTER (is_new) AS times,
            count(*) FILTER (NOT is_new) AS times_before,
            CHANGE AS change
        FROM digests
        WHERE key BETWEEN $first::UBIGINT AND $last::UBIGINT
        GROUP BY key
    )
    GROUP BY change
"""

_KEPT = """
    SELECT coalesce(sum(least(times, times_before)), 0)::BIGINT
    FROM (
        SELECT count(*) FILTER (is_new) AS times, count(*) FILTER (NOT is_new) AS times_before
        FROM digests
        WHERE key BETWEEN $first::UBIGINT AND $last::UBIGINT
        GROUP BY key
    )
"""


class FileLayout(msgspec.Struct, frozen=True):
    """How a row of a file becomes two digests: SQL over columns that are named by their places."""

    key: str
    "NULL: the row has no key."
    row: str
    "Of the cells that are compared, in the same order on both sides."


def cell(place: int) -> str:
    """Return the SQL of a cell as it stands in the file."""
    return f'"{place}"'


def digest_of(cells: Sequence[str]) -> str:
    """Return the SQL of the digest of several cells, which are SQL too."""
    return f"hash({', '.join(cells)})"


def digest_of_key(cells: Sequence[str]) -> str:
    """Return the SQL of the digest of a key, which is none if one of its cells is empty."""
    is_whole = " AND ".join(f"{each} <> ''" for each in cells)
    return f"CASE WHEN {is_whole} THEN {digest_of(cells)} END"


class Digests:
    """The digests of one share of the keys; the first share, 0, also has the empty keys."""

    def __init__(self, share: int, of_shares: int) -> None:
        self._bounds = _bounds(share, of_shares, 0, _MOST)
        self._is_all = of_shares == 1
        # The size is bounded.
        self._database = open_database(memory_limit="1GiB")
        self._connections = threading.local()
        self._database.execute("CREATE TABLE digests (is_new BOOLEAN, place UINTEGER, key UBIGINT, row UBIGINT)")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._database.close()

    def add(
        self, file: ReadableCsv, layout: FileLayout, progress: ProgressCallback, *, is_new: bool, begin: int = 0
    ) -> int:
        """Add the digests of a file's rows, and return their number. Raises StorageRefused if it is not CSV any more.

        Each thread has a connection of its own, so that two files can be read at the same time.

        Args:
            begin: the place of its first row.
        """
        bounds = {} if self._is_all else {"first": str(self._bounds[0]), "last": str(self._bounds[1] - 1)}
        values = {"is_new": is_new, **bounds}
        return scan(self._connection(), file, self._insertion(layout), progress, values, begin=begin).rows

    def _connection(self) -> duckdb.DuckDBPyConnection:
        if not hasattr(self._connections, "database"):
            self._connections.database = self._database.cursor()
        database: duckdb.DuckDBPyConnection = self._connections.database
        return database

    def empty_keys(self, samples: int) -> tuple[int, list[int]]:
        """Return the number of new rows with an empty key, and the places of the first of them."""
        rows = "FROM digests WHERE is_new AND key IS NULL"
        count = self._ask(f"SELECT count(*) {rows}")[0][0]
        return count, [place for (place,) in self._ask(f"SELECT place {rows} ORDER BY place LIMIT {samples}")]

    def count_kept(self) -> int:
        """Return how many rows both files have; a repeated row counts as often as both have it."""
        bounds = [{"first": str(first), "last": str(end - 1)} for first, end in self._parts()]
        return sum(self._database.execute(_KEPT, each).fetchall()[0][0] for each in bounds)

    def matches(self, change: str, usual: str, **parameters: bool) -> Iterator["Matches"]:
        """Yield how keys have changed, some keys at a time.

        Args:
            change: SQL that names the change of a key, from `times`, `times_before` and aggregates over its rows.
            usual: the change of which nobody wants the places.
            parameters: those of `change`.
        """
        query = _MATCH.replace("CHANGE", change)
        for first, end in self._parts():
            bounds = {"first": str(first), "last": str(end - 1)}
            for found in self._database.execute(query, {**parameters, **bounds, "usual": usual}).fetchall():
                yield Matches(*found)

    def _parts(self) -> Iterator[tuple[int, int]]:
        """Yield the bounds of keys of which memory holds the groups at a time."""
        (rows,) = self._ask("SELECT count(*) FROM digests")[0]
        parts = rows // _MATCHED_AT_ONCE + 1
        return (_bounds(part, parts, *self._bounds) for part in range(parts))

    def _insertion(self, layout: FileLayout) -> str:
        return f"""
            INSERT INTO digests
            SELECT $is_new, place, key, row
            FROM (SELECT place, {layout.key} AS key, {layout.row} AS row FROM records)
            {"" if self._is_all else "WHERE coalesce(key, 0) BETWEEN $first::UBIGINT AND $last::UBIGINT"}
        """  # noqa: S608  # of our own SQL and numbers

    def _ask(self, question: str) -> list[tuple[int, ...]]:
        return self._database.execute(question).fetchall()


class Matches(msgspec.Struct, frozen=True):
    """Keys with the same kind of change."""

    change: str
    keys: int
    rows: int
    "The number of new rows with these keys."
    places: Sequence[int | None]
    "Of a row of each key, in what is new; None: it is not there. Empty for the usual change."
    places_before: Sequence[int | None]

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Yield the place now and before of a row of each key; -1 if it is not there."""
        for place, before in zip(self.places, self.places_before, strict=True):
            yield -1 if place is None else place, -1 if before is None else before

    def first(self, most: int) -> list[tuple[int, int]]:
        """Return the first of these pairs, by their place now, or before."""
        return heapq.nsmallest(most, self.pairs(), key=lambda pair: pair[0] if pair[0] >= 0 else pair[1])


def _bounds(part: int, parts: int, first: int, end: int) -> tuple[int, int]:
    """Return one of equal parts of a range; digests are distributed evenly."""
    whole = end - first
    return first + whole * part // parts, first + whole * (part + 1) // parts
