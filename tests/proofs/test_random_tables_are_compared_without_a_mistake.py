"""Random tables are imported by the sandbox's Pigment, exported and compared: nothing is a difference until a cell, a
row or a key is changed there, and then it is always found.
"""

import csv
import datetime as dt
import random
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from common.tables.equality.result import BlockEquality, Pairing, SentFile
from local.sandbox.pigment import BlockColumn, RowEdit, SandboxPigment
from local.sandbox.pigment.exporting.csv_text import Style
from local.sandbox.pigment.exporting.request_bodies import ListRequest
from local.sandbox.pigment.model import Block, PropertyType
from tests.support.equality import compare_with_block
from tests.support.pieces import InPieces

pytestmark = pytest.mark.long

_LETTERS = string.ascii_letters + string.digits + " .,;-_'\"\n%€éßñ漢\u00a0"


class CellKind(NamedTuple):
    type: PropertyType
    make: Callable[[random.Random], str]
    format: str = "%Y-%m-%d"
    stored: Callable[[str], str] = str
    "What Pigment's database holds for a cell that was sent."


def _text(chance: random.Random) -> str:
    return "".join(chance.choices(_LETTERS, k=chance.randint(0, 8))).strip("\n")


def _code(chance: random.Random) -> str:
    return f"{chance.randint(0, 999):0{chance.choice([1, 3, 5])}d}"


def _number(chance: random.Random) -> str:
    value = chance.choice([0, chance.randint(-9, 9), chance.randint(-(10**12), 10**12), chance.uniform(-1e4, 1e4)])
    return f"{value:.{chance.choice([0, 2, 6])}f}" if isinstance(value, float) else str(value)


def _day(pattern: str) -> Callable[[random.Random], str]:
    def make(chance: random.Random) -> str:
        return (dt.date(2020, 1, 1) + dt.timedelta(chance.randint(0, 3000))).strftime(pattern)

    return make


def _iso(pattern: str) -> Callable[[str], str]:
    return lambda cell: dt.datetime.strptime(cell, pattern).date().isoformat()  # noqa: DTZ007  # a day


_KINDS = [
    CellKind("text", _text),
    CellKind("text", _code),
    CellKind("number", _number),
    CellKind("integer", lambda chance: str(chance.randint(-(10**9), 10**9))),
    *(CellKind("date", _day(each), each, _iso(each)) for each in ("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y")),
    CellKind("boolean", lambda chance: chance.choice(["true", "false"])),
]


class RandomTable(NamedTuple):
    kinds: list[CellKind]
    rows: list[list[str]]

    @property
    def header(self) -> list[str]:
        return ["Key", *(f"C{number}" for number in range(len(self.kinds)))]


def tables(chance: random.Random) -> Iterator[RandomTable]:
    while True:
        kinds = chance.choices(_KINDS, k=chance.randint(1, 5))
        rows = [[f"k{number}", *(kind.make(chance) for kind in kinds)] for number in range(chance.randint(1, 12))]
        chance.shuffle(rows)
        yield RandomTable(kinds, rows)


class Pigment:
    """A list with the rows of one table."""

    def __init__(self, pigment: SandboxPigment, table: RandomTable, number: int, folder: Path) -> None:
        self._pigment = pigment
        self._table = table
        self._block = pigment.block(pigment.application("Random"), f"Table {number}")
        columns = [
            BlockColumn("Key"),
            *(
                BlockColumn(name, kind.type, format=kind.format)
                for name, kind in zip(table.header[1:], table.kinds, strict=True)
            ),
        ]
        configuration = pigment.configuration(self._block, columns, unique=["Key"])
        self._sent = folder / "sent.csv"
        with self._sent.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([table.header, *table.rows])
        loaded = pigment.load(configuration, self._sent)
        assert loaded.status == "Completed", loaded.errors
        assert loaded.report is not None
        assert loaded.report.summary.skipped_count == 0, (table, loaded.report)

    def files(self) -> tuple[bytes, bytes]:
        """Return what was sent, and the list as Pigment exports it."""
        block = self._pigment.records.get(Block, self._block)
        request = ListRequest(friendly_headers=True)
        exported = b"".join(self._pigment.export_list(block, request, Style("Iso8601", "Comma")))
        return self._sent.read_bytes(), exported

    def compared(self) -> BlockEquality:
        sent_bytes, exported = self.files()
        bucket: Any = InPieces(4096, sent=sent_bytes, block=exported)
        sent, there, rows = SentFile("sent", ","), SentFile("block", ","), 2 * len(self._table.rows)
        return compare_with_block(bucket, [sent], there, Pairing(key=["Key"]), rows)

    def edit(self, change: RowEdit) -> None:
        assert self._pigment.edit(self._block, change) == 1


def other_cell(chance: random.Random, kind: CellKind, column: list[str], cell: str) -> str | None:
    """Return a value with another meaning than this cell; None if none was found."""
    for _ in range(20):
        other, mine = kind.stored(kind.make(chance)), kind.stored(cell)
        is_by_value = all(_is_number(each) for each in [*column, mine, other] if each)
        same = float(other) == float(mine) if is_by_value and other and mine else other == mine
        if other and not same:
            return other
    return None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def check(number_of_tables: int, seed: int, folder: Path) -> dict[str, int]:
    """Compare random tables; count false alarms and what was missed."""
    chance = random.Random(seed)
    found = dict.fromkeys(("tables", "false alarms", "cells changed", "cells missed", "rows changed", "rows missed"), 0)
    with SandboxPigment() as pigment:
        for number, table in zip(range(number_of_tables), tables(chance), strict=False):
            block = Pigment(pigment, table, number, folder)
            found["tables"] += 1
            found["false alarms"] += block.compared().differs(accepts_extra=False)
            row, column = chance.choice(table.rows), chance.randrange(len(table.kinds))
            cells = [each[column + 1] for each in table.rows if each is not row]
            other = other_cell(chance, table.kinds[column], cells, row[column + 1])
            if other is not None:
                block.edit(RowEdit({"Key": row[0]}, {table.header[column + 1]: other}))
                equality = block.compared()
                found["cells changed"] += 1
                found["cells missed"] += (equality.changed, equality.columns) != (1, {table.header[column + 1]: 1})
            block.edit(RowEdit({"Key": row[0]}, doubles=chance.random() < 0.5))
            equality = block.compared()
            found["rows changed"] += 1
            found["rows missed"] += equality.missing + equality.doubled != 1
    return found


def expected(tables: int, found: dict[str, int]) -> dict[str, int]:
    none = {"false alarms": 0, "cells missed": 0, "rows missed": 0}
    return {**found, "tables": tables, "rows changed": tables, **none}


def test_a_few_random_tables(tmp_path: Path) -> None:
    found = check(6, 1, tmp_path)

    assert found == expected(6, found)
    assert found["cells changed"] > 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_ten_thousand_random_tables_in_ten_parts(tmp_path: Path, seed: int) -> None:
    found = check(1_000, seed, tmp_path)

    assert found == expected(1_000, found)
