"""Which rows of two files have the same key, and which of those are the same: found out by digests alone.

Of every row stay its place, a digest of its key and one of all its cells, 37 bytes in all. The keys are looked at in
shares, each in a reading of the files of its own, so that memory does not grow with the files.

A digest is the 128-bit MD5 of the cells with a NUL between them, which no checked file holds: other cells are another
text, and a cell is the same with quotes around it and without. One changed row in 10³⁸ has the digest it had before,
and would not be sent. Two keys with one digest are refused as one key twice, and a new key with the digest of one that
is gone is a changed row, which is sent. Rows can be made up to have the same MD5; who can do that in Looker can as well
leave a row as it was.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, Self

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.csv as arrow_csv

Fate = Literal["added", "changed", "gone", "unchanged", "repeated"]

_MATCHED_AT_ONCE = 250_000
_FETCHED_AT_ONCE = 10_000
_MOST = 2**128
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_MATCH = """
    CREATE OR REPLACE TEMP TABLE matched AS
    SELECT
        min(place) FILTER (is_new) AS place,
        min(place) FILTER (NOT is_new) AS place_before,
        count(*) FILTER (is_new) AS times,
        count(*) FILTER (NOT is_new) AS times_before,
        CASE
            WHEN times > 1 THEN 'repeated'
            WHEN times = 0 THEN 'gone'
            WHEN times_before = 0 THEN 'added'
            -- A key may have been there twice only where another key told rows apart then.
            WHEN times_before = 1 AND min(row) = max(row) AND $is_comparable THEN 'unchanged'
            ELSE 'changed'
        END AS fate
    FROM digests
    WHERE key BETWEEN $first::UHUGEINT AND $last::UHUGEINT
    GROUP BY key
"""


class Layout(msgspec.Struct, frozen=True):
    """How a file's records are to be read."""

    width: int
    delimiter: str
    key: list[int]
    "Where the key's columns stand."
    row: list[int]
    "Where each column stands, in an order that is the same for both files."


class Digests:
    """Of one share of the keys.

    Args:
        share, of_shares: which one; the first has the empty keys as well.
    """

    def __init__(self, share: int, of_shares: int) -> None:
        self._bounds = _bounds(share, of_shares, 0, _MOST)
        self._is_all = of_shares == 1
        # What is bounded needs no disk, and the only disk of a function is its memory.
        self._database = duckdb.connect(config={"temp_directory": "", "memory_limit": "1GiB", "threads": 2})
        self._database.execute("CREATE TABLE digests (is_new BOOLEAN, place UINTEGER, key UHUGEINT, row UHUGEINT)")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add(self, records: bytes, layout: Layout, place: int, *, is_new: bool) -> int:
        """Take whole records, the first of which stands at a place of its file.

        Returns:
            how many they are.

        Raises:
            pyarrow.ArrowInvalid: they are no CSV of this layout.
        """
        cells = _read(records, layout)
        places = pa.arange(place, place + len(cells)).cast(pa.uint32())
        self._database.register("records", cells.append_column("place", places))
        self._database.execute(self._insertion(layout), {"is_new": is_new, **({} if self._is_all else self._range())})
        self._database.unregister("records")
        return len(cells)

    def empty_keys(self, samples: int) -> tuple[int, list[int]]:
        """How many new rows have one, and where the first of them stand."""
        rows = "FROM digests WHERE is_new AND key IS NULL"
        count = self._ask(f"SELECT count(*) {rows}")[0][0]
        return count, [place for (place,) in self._ask(f"SELECT place {rows} ORDER BY place LIMIT {samples}")]

    def matches(self, *, is_comparable: bool) -> Iterator["Matches"]:
        """Keys and what became of them, some at a time.

        Args:
            is_comparable: both files have the same columns; otherwise no row is as it was.
        """
        (rows,) = self._ask("SELECT count(*) FROM digests")[0]
        parts = rows // _MATCHED_AT_ONCE + 1
        for part in range(parts):
            first, last = _bounds(part, parts, *self._bounds)
            self._database.execute(_MATCH, {"is_comparable": is_comparable, "first": str(first), "last": str(last - 1)})
            yield Matches(self._database)

    def _insertion(self, layout: Layout) -> str:
        key = _columns(layout.key)
        is_whole = " AND ".join(f"\"{place}\" <> ''" for place in layout.key)
        return f"""
            INSERT INTO digests
            SELECT $is_new, place, key, md5_number(concat_ws(chr(0), {_columns(layout.row)}))
            FROM (SELECT *, CASE WHEN {is_whole} THEN md5_number(concat_ws(chr(0), {key})) END AS key FROM records)
            {"" if self._is_all else "WHERE coalesce(key, 0) BETWEEN $first::UHUGEINT AND $last::UHUGEINT"}
        """  # noqa: S608  # of numbers alone

    def _range(self) -> dict[str, str]:
        first, end = self._bounds
        return {"first": str(first), "last": str(end - 1)}

    def _ask(self, question: str) -> list[tuple[int, ...]]:
        return self._database.execute(question).fetchall()


class Matches:
    """Some keys, each once, and what became of them; good until the next ones are asked for."""

    def __init__(self, database: duckdb.DuckDBPyConnection) -> None:
        self._database = database

    def counts(self) -> dict[Fate, tuple[int, int]]:
        """How many keys had each fate, and how many new rows they stand in."""
        counted = self._database.execute("SELECT fate, count(*), sum(times)::BIGINT FROM matched GROUP BY fate")
        return {fate: (keys, rows) for fate, keys, rows in counted.fetchall()}

    def to_send(self) -> Iterator[int]:
        """Where the rows stand that are new or changed."""
        chosen = self._database.execute("SELECT place FROM matched WHERE fate IN ('added', 'changed')")
        while places := chosen.fetchmany(_FETCHED_AT_ONCE):
            yield from (place for (place,) in places)

    def samples(self, fate: Fate, most: int) -> list[tuple[int, int]]:
        """The first of one fate: where they stood before, and where they stand; -1: nowhere."""
        found = self._database.execute(
            "SELECT coalesce(place_before, -1), coalesce(place, -1) FROM matched WHERE fate = ? "
            "ORDER BY coalesce(place, place_before) LIMIT ?",
            [fate, most],
        )
        return found.fetchall()


def _bounds(part: int, parts: int, first: int, end: int) -> tuple[int, int]:
    """One of equal parts of a range; digests are spread evenly over theirs."""
    whole = end - first
    return first + whole * part // parts, first + whole * (part + 1) // parts


def _columns(places: Sequence[int]) -> str:
    return ", ".join(f'"{place}"' for place in places)


def _read(records: bytes, layout: Layout) -> pa.Table:
    # By number: a header may repeat a name.
    numbers = [str(place) for place in range(layout.width)]
    # Arrow takes away a byte order mark, and here one is the content of a cell.
    content = _BYTE_ORDER_MARK + records if records.startswith(_BYTE_ORDER_MARK) else records
    return arrow_csv.read_csv(
        pa.BufferReader(content),
        arrow_csv.ReadOptions(use_threads=False, block_size=len(content), column_names=numbers),
        arrow_csv.ParseOptions(delimiter=layout.delimiter, newlines_in_values=True, ignore_empty_lines=False),
        arrow_csv.ConvertOptions(column_types=dict.fromkeys(numbers, pa.string())),
    )
