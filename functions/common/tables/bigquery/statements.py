"""The statements that compare two tables, in GoogleSQL, each of which reads both tables once.

Tables have one column of text for each column of their file: c0, c1 and so on. In a comparison, the cells that are
compared are s0, s1, … of the row that was sent and b0, b1, … of the row in the block.
"""

from collections.abc import Callable, Sequence

import msgspec

from common.tables.bigquery.meaning import canonical, differ, matches
from common.tables.equality.forms import DECIMAL_COMMA, Reading

SENT, BLOCK = "sent", "block"
"The names of the two tables of a verification."
BEFORE, AFTER = "before", "after"
"The names of the two tables of a changes load."


class ComparedColumn(msgspec.Struct, frozen=True):
    """A column that both tables have: where it is in each, and how it is read there."""

    in_sent: int
    in_block: int
    sent_as: Reading
    block_as: Reading


def column(place: int) -> str:
    """Return the name of a table's column."""
    return f"c{place}"


def comparison(columns: Sequence[ComparedColumn], key: Sequence[int], samples: int) -> str:
    """Return the statement whose rows are the kinds of change, each with the numbers of its keys and of their rows on
    both sides, with the numbers of cells that differ in each column, and with some of its rows.

    `numbers` has these counts for all columns, and for all columns of numbers two more: how many cells that were sent
    have a comma, and how many of these one that can only be a decimal one. A sample is a JSON array: of all columns the
    cell that was sent, the cell of the block, and whether they differ.

    Args:
        key: which of these columns identify a row.
        samples: how many rows of each kind.
    """
    places = range(len(columns))
    keys = ", ".join(f"k{at}" for at in range(len(key)))
    differences = [differ(each.sent_as, f"s{at}", each.block_as, f"b{at}") for at, each in enumerate(columns)]
    sample = ", ".join(
        [*(f"COALESCE(s{at}, '')" for at in places), *(f"COALESCE(b{at}, '')" for at in places)]
        + [f"CASE WHEN d{at} THEN '1' ELSE '' END" for at in places]
    )
    counts = [f"SUM(CASE WHEN change = 'changed' AND d{at} THEN 1 ELSE 0 END) AS n{at}" for at in places]
    commas = [
        f"SUM(CASE WHEN {test} THEN 1 ELSE 0 END) AS {name}{at}"
        for at in numbers_of(columns)
        for name, test in (("comma", f"STRPOS(s{at}, ',') > 0"), ("decimal", matches(f"s{at}", DECIMAL_COMMA)))
    ]
    return f"""
WITH
sent_keys AS ({_by_key(SENT, [(each.in_sent, each.sent_as) for each in columns], key, "times", "s")}),
block_keys AS ({_by_key(BLOCK, [(each.in_block, each.block_as) for each in columns], key, "times_before", "b")}),
matched AS (
    SELECT *, {", ".join(f"{test} AS d{at}" for at, test in enumerate(differences))}
    FROM sent_keys FULL JOIN block_keys USING ({keys})
),
judged AS (
    SELECT *,
        CASE
            WHEN times > 1 THEN 'repeated'
            WHEN times IS NULL THEN 'extra'
            WHEN times_before IS NULL THEN 'missing'
            WHEN times_before > 1 THEN 'doubled'
            WHEN {" OR ".join(f"d{at}" for at in places)} THEN 'changed'
            ELSE 'equal'
        END AS change
    FROM matched
),
sampled AS (
    SELECT *, CASE WHEN change <> 'equal' THEN TO_JSON_STRING([{sample}]) END AS sample FROM judged
)
SELECT change, COUNT(*) AS keys, COALESCE(SUM(times), 0) AS sent, COALESCE(SUM(times_before), 0) AS block,
    {", ".join([*counts, *commas])},
    ARRAY_AGG(sample IGNORE NULLS ORDER BY sample LIMIT {samples}) AS samples
FROM sampled
GROUP BY change
"""  # noqa: S608  # of our own SQL and numbers


def same_rows(columns: Sequence[ComparedColumn]) -> str:
    """Return the statement that counts the different rows of which the tables do not have the same number."""
    row = ", ".join(f"v{at}" for at in range(len(columns)))
    sides = [
        f"SELECT {_row([(each.in_sent, each.sent_as) for each in columns])}, 1 AS n FROM {SENT}",  # noqa: S608
        f"SELECT {_row([(each.in_block, each.block_as) for each in columns])}, -1 AS n FROM {BLOCK}",  # noqa: S608
    ]
    rows = f"SELECT {row} FROM ({' UNION ALL '.join(sides)}) GROUP BY {row} HAVING SUM(n) <> 0"  # noqa: S608
    return f"SELECT COUNT(*) AS different FROM ({rows})"  # noqa: S608


def changes(key: Sequence[int], cells: Sequence[int], before: tuple[Sequence[int], Sequence[int]] | None) -> str:
    """Return the statement that finds the rows of the table `after` that are new or changed, by their keys.

    A result has a kind of change, its number of keys and of their rows, and for a row that is to be sent its key: the
    kinds `added` and `changed` have a result for each key, all others one. Without a table `before` that has the same
    columns, all rows are to be sent, and no key is told.

    Args:
        key: the places of the key's columns in the table `after`.
        cells: the places of all its columns.
        before: the same of the table `before`, in the same order; no cells if its columns are others. None without it.
    """
    if before is None:
        older = "SELECT CAST(NULL AS STRING) AS key, 0 AS times_before LIMIT 0"
    else:
        old_key, old_cells = before
        is_whole = " AND ".join(f"{_cell(place)} <> ''" for place in old_key)
        named = [f"MIN({_cell(place)}) AS b{at}" for at, place in enumerate(old_cells)]
        chosen = ", ".join([f"{digest_of_key(old_key)} AS key", "COUNT(*) AS times_before", *named])
        older = f"SELECT {chosen} FROM {BEFORE} WHERE {is_whole} GROUP BY key"  # noqa: S608
    are_comparable = before is not None and bool(before[1])
    named = [f"MIN({_cell(place)}) AS s{at}" for at, place in enumerate(cells)] if are_comparable else []
    newer = ", ".join([f"{digest_of_key(key)} AS key", "COUNT(*) AS times", *named])
    same = " AND ".join(f"s{at} = b{at}" for at in range(len(cells))) if are_comparable else "FALSE"
    # No literal: GoogleSQL does not group by one.
    is_told = "change IN ('added', 'changed')" if are_comparable else "FALSE"
    return f"""
WITH
older AS ({older}),
newer AS (SELECT {newer} FROM {AFTER} GROUP BY key),
judged AS (
    SELECT key, times,
        CASE
            WHEN times IS NULL THEN 'gone'
            WHEN key IS NULL THEN 'empty'
            WHEN times > 1 THEN 'repeated'
            WHEN times_before IS NULL THEN 'added'
            WHEN times_before = 1 AND {same} THEN 'unchanged'
            ELSE 'changed'
        END AS change
    FROM newer FULL JOIN older USING (key)
)
SELECT change, CASE WHEN {is_told} THEN key END AS sent_key, COUNT(*) AS keys, COALESCE(SUM(times), 0) AS sent
FROM judged
GROUP BY change, sent_key
"""  # noqa: S608  # of our own SQL and numbers


def digest_of_key(places: Sequence[int], cell: Callable[[int], str] | None = None) -> str:
    """Return SQL for a digest of a key's cells, each with its length before it; NULL if one of them is empty.

    Args:
        cell: returns the SQL of a cell. Default: that of a table of BigQuery.
    """
    cells = [(cell or _cell)(place) for place in places]
    is_whole = " AND ".join(f"{each} <> ''" for each in cells)
    text = " || ".join(f"CAST(LENGTH({each}) AS STRING) || ':' || {each}" for each in cells)
    return f"CASE WHEN {is_whole} THEN TO_HEX(MD5({text})) END"


def numbers_of(columns: Sequence[ComparedColumn]) -> list[int]:
    """Return which of these columns are numbers."""
    return [at for at, each in enumerate(columns) if each.sent_as.form == "number"]


def _by_key(table: str, columns: Sequence[tuple[int, Reading]], key: Sequence[int], times: str, prefix: str) -> str:
    """Return the query for the keys of a table, each with the number of its rows, and the cells of one row.

    The cells of a key with several rows can be of several of them; only their number counts.
    """
    keys = [canonical(columns[each][1], _cell(columns[each][0])) for each in key]
    named = [f"{test} AS k{at}" for at, test in enumerate(keys)]
    cells = [f"MIN({_cell(place)}) AS {prefix}{at}" for at, (place, _) in enumerate(columns)]
    grouped = ", ".join(f"k{at}" for at in range(len(key)))
    return f"SELECT {', '.join([*named, f'COUNT(*) AS {times}', *cells])} FROM {table} GROUP BY {grouped}"  # noqa: S608


def _row(columns: Sequence[tuple[int, Reading]]) -> str:
    return ", ".join(f"{canonical(reading, _cell(place))} AS v{at}" for at, (place, reading) in enumerate(columns))


def _cell(place: int) -> str:
    """Return SQL for a cell. BigQuery reads an empty one as NULL, and a quoted empty one as text."""
    return f"COALESCE({column(place)}, '')"
