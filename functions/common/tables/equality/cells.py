"""Compare the rows whose digests differ, cell by cell."""

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from common.tables.equality.forms import TOLERANCE, Reading
from common.tables.equality.sides import Side


def different_columns(sent: Side, block: Side, rows: Sequence[tuple[list[str], list[str]]]) -> list[list[int]]:
    """Return, for each pair of rows, the numbers of the columns whose cells do not mean the same."""
    if not rows:
        return []
    width = len(sent.columns)
    tests = [
        _differ(mine, f"s{number}", theirs, f"b{number}")
        for number, (mine, theirs) in enumerate(zip(sent.readings, block.readings, strict=True))
    ]
    columns = {f"s{number}": [row[number] for row, _ in rows] for number in range(width)}
    columns |= {f"b{number}": [row[number] for _, row in rows] for number in range(width)}
    with duckdb.connect(config={"temp_directory": "", "threads": 1}) as database:
        database.register("pairs", pa.table({name: pa.array(cells, pa.string()) for name, cells in columns.items()}))
        found = database.execute(f"SELECT {', '.join(tests)} FROM pairs").fetchall()  # noqa: S608  # of our own SQL
    return [[number for number, differs in enumerate(row) if differs] for row in found]


def _differ(mine: Reading, cell: str, theirs: Reading, other: str) -> str:
    """Return SQL that tells if two cells have different meanings."""
    unlike = f"{mine.canonical(cell)} <> {theirs.canonical(other)}"
    if mine.form != "number":
        return unlike
    a, b = mine.number(cell), theirs.number(other)
    are_close = f"abs({a} - ({b})) <= {TOLERANCE} * greatest(abs({a}), abs({b}))"
    return f"({unlike}) AND NOT (({mine.is_long(cell)} OR {theirs.is_long(other)}) AND coalesce({are_close}, false))"
