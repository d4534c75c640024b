"""`engine: bigquery` finds in two files what the function finds: the same numbers, columns and rows, and changes.

DuckDB runs BigQuery's statements, after the translation of `local.sandbox.bigquery.dialect`, over the same files.
"""

import csv
import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from common.platform.bigquery import BigQuery
from common.platform.clock import Deadline, SystemClock
from common.storage.bucket import Bucket
from common.tables import compare
from common.tables.bigquery import changes as changes_in_bigquery
from common.tables.bigquery import comparing as in_bigquery
from common.tables.bigquery.query_context import QueryContext
from common.tables.equality.result import BlockEquality, NotComparable, Pairing, SentFile
from common.tables.records import split
from local.sandbox.bigquery import SandboxBigQuery
from local.sandbox.pigment import RowEdit, SandboxPigment
from local.sandbox.storage import SandboxStorage
from local.sandbox.wire import Server
from tests.proofs.test_random_tables_are_compared_without_a_mistake import Pigment, other_cell, tables
from tests.support.equality import compare_with_block

pytestmark = pytest.mark.long


class EngineVerdict(NamedTuple):
    """What an engine finds, without the order of the rows that it names."""

    equality: BlockEquality | None
    rows: list[bytes]
    why_not: str = ""


class Engines:
    """Both engines over one bucket."""

    def __init__(self, bucket: Bucket, bigquery: BigQuery) -> None:
        self._bucket, self._bigquery = bucket, bigquery
        self.billed = 0

    def compare(self, sent: bytes, block: bytes, pairing: Pairing, delimiter: str = ",") -> list[EngineVerdict]:
        self._bucket.replace("sent", sent)
        self._bucket.replace("block", block)
        rows = len(split(block)) - 1
        here, there = SentFile("sent", ","), SentFile("block", delimiter)
        deadline = Deadline.after(SystemClock(), 100)
        context = QueryContext(self._bigquery, "run", "a-job", deadline, self._note)

        def function() -> BlockEquality:
            return compare_with_block(self._bucket, [here], there, pairing, 2 * rows, shows_values=True)

        def bigquery() -> BlockEquality:
            return in_bigquery.compare_with_block(self._bucket, here, there, pairing, rows, context, shows_values=True)

        return [verdict_of(function), verdict_of(bigquery)]

    def changes(self, before: bytes, after: bytes, key: list[str], rows: int) -> list[object]:
        self._bucket.replace("before", before)
        self._bucket.replace("after", after)
        context = QueryContext(self._bigquery, "run", "a-job", Deadline.after(SystemClock(), 100), self._note)
        files = self._bucket, "before", "after", key, ",", rows, lambda *_: None
        return [compare.compare(*files), changes_in_bigquery.compare_files(*files, context)]

    def _note(self, bytes_billed: int) -> None:
        self.billed += bytes_billed


def verdict_of(compare: Callable[[], BlockEquality]) -> EngineVerdict:
    try:
        found = compare()
    except NotComparable as error:
        return EngineVerdict(None, [], error.reason)
    return EngineVerdict(msgspec.structs.replace(found, rows=[]), sorted(map(msgspec.json.encode, found.rows)))


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    storage = SandboxStorage(tmp_path_factory.mktemp("storage"))
    storage.create_bucket("bucket")
    bigquery = SandboxBigQuery(storage)
    with Server(storage) as storage_server, Server(bigquery) as bigquery_server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", storage_server.url)
        patch.setenv("BIGQUERY_EMULATOR_HOST", bigquery_server.url)
        yield Engines(Bucket("bucket"), BigQuery("test", "EU", random.Random(1)))
    bigquery.close()
    storage.close()


def as_csv(rows: list[list[str]], delimiter: str = ",") -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", delimiter=delimiter).writerows(rows)
    return text.getvalue().encode()


def check_tables(engines: Engines, number_of_tables: int, seed: int, folder: Path) -> list[object]:
    """Compare random tables that Pigment imported, then changed and lost rows of; return where the engines differ."""
    chance = random.Random(seed)
    wrong: list[object] = []

    def compare(block: Pigment) -> None:
        function, bigquery = engines.compare(*block.files(), Pairing(key=["Key"]))
        if function != bigquery:
            wrong.append((function, bigquery))

    with SandboxPigment() as pigment:
        for number, table in zip(range(number_of_tables), tables(chance), strict=False):
            block = Pigment(pigment, table, number, folder)
            compare(block)
            row, column = chance.choice(table.rows), chance.randrange(len(table.kinds))
            cells = [each[column + 1] for each in table.rows if each is not row]
            other = other_cell(chance, table.kinds[column], cells, row[column + 1])
            if other is not None:
                block.edit(RowEdit({"Key": row[0]}, {table.header[column + 1]: other}))
                compare(block)
            block.edit(RowEdit({"Key": row[0]}, doubles=chance.random() < 0.5))
            compare(block)
    return wrong


# What Looker may send and what Pigment may have, by the form of the column.
FORMS: dict[str, tuple[list[str], list[str]]] = {
    "number": (
        ["1", "1.0", " 1", "1 ", "+1", "01", "1e0", "1.", "0", "-0", "0.0", ".5", "0.50", "1E+2", "100", "", "n/a",
         "nan", "0.12345678901234549", "0.12345678901234551", "0.1234567890123456", "12345678901234567",
         "12345678901234568", "0.12345678901234567", "-1.5", "1e-7", "1.5.1"],
        ["1", "0", "0.5", "100", "12345678901234570", "0.1234567890123455", "0.1234567890123457", "-1.5", "0.0000001",
         ""],
    ),
    "number with decimal commas": (
        ["1,5", "1.5", "1", "1.234,5", "0,25", "", "1,50", "-3,0"],
        ["1.5", "1", "1234.5", "0.25", "-3"],
    ),
    "number with thousands": (
        ["1,234", "1,234.5", "1,000,000", "1", "12", ""],
        ["1234", "1234.5", "1000000", "1", "12"],
    ),
    "padded number": (["50", "50.0", "16.66", "4.1", "0"], ["50.00", "16.66", "4.10", "0.00"]),
    "date": (
        ["2024-03-04", "2024-03-04 00:00:00", "20240304", "2024/03/04", "2024/3/4", "04.03.2024", "4.3.2024",
         "03/04/2024", "3/4/2024", "03/04/2024 10:11:12", "03-04-2024", "04/03/2024", "2024-03", "31.02.2024", "",
         "?", "13/13/2024", " 2024/03/04"],
        ["2024-03-04", "2024-04-03", "2024-03-01", "2024-03-04", ""],
    ),
    "time": (
        ["2024-03-04 05:06:07", "2024-03-04T05:06:07", "2024-03-04T05:06:07Z", "2024-03-04 05:06", "2024-03-04",
         "2024-03-04 05:06:07.5", "2024-03-04 05:06:07.500000", "2024-03-04 05:06:07.5000009", "2024-3-4 5:6:7", "",
         "x", "2024-03-04 05:06:07 UTC", "2024-02-30 05:06:07"],
        ["2024-03-04T05:06:07", "2024-03-04T05:06:00", "2024-03-04T00:00:00", "2024-03-04T05:06:07.5", ""],
    ),
    "month": (
        ["2024-04", "2024-04-01", "2024-04-30", "Apr 24", "apr 24", "Apr 2024", "April 2024", "04/2024", "4/2024",
         "May 24", "May 2024", "", "Foo 24", "Dec 69", "Dec 68", "13/2024"],
        ["Apr 24", "May 24", "Dec 69", "Dec 68"],
    ),
    "boolean": (["Yes", "No", "true", "FALSE", "1", "0", "y", "n", "", "maybe", "yes "], ["TRUE", "FALSE"]),
    "text": (
        ["a", "A", "a ", " a", "", "é", "e\u0301", "a\nb", 'a"b', "a,b", "\u00a0", "漢", "007", "7", "NULL", "\\N"],
        ["a", "A", "a ", "", "é", "a\nb", 'a"b', "a,b", "007", "漢", "\\N"],
    ),
}  # fmt: skip


def random_files(chance: random.Random) -> tuple[bytes, bytes, Pairing, str]:
    """Return files whose rows agree in most keys and some cells."""
    kinds = chance.choices(list(FORMS), k=chance.randint(1, 4))
    header = ["Key", *(f"C{number}" for number in range(len(kinds)))]
    keys = [f"k{chance.randint(0, 30)}" if chance.random() < 0.2 else f"k{n}" for n in range(chance.randint(0, 12))]

    def rows_of(side: int) -> list[list[str]]:
        return [[key, *(chance.choice(FORMS[kind][side]) for kind in kinds)] for key in keys if chance.random() < 0.9]

    mine, theirs = rows_of(0), rows_of(1)
    if chance.random() < 0.3:
        theirs = [*mine]
        chance.shuffle(theirs)
    delimiter = chance.choice(",;")
    pairing = Pairing(
        key=chance.choice([["Key"], ["Key", "C0"], ["C0"]]),
        columns={"Key": "Name"},
        ignored=header[2:3] if chance.random() < 0.1 else [],
        is_day_first=chance.random() < 0.5,
        may_have_extra=chance.random() < 0.3,
    )
    block = [["Name", *header[1:]], *theirs]
    return as_csv([header, *mine]), as_csv(block, delimiter), pairing, delimiter


def check_forms(engines: Engines, number_of_files: int, seed: int) -> tuple[int, list[Any]]:
    """Compare random files; return how many were equal, and where the engines differ."""
    chance = random.Random(seed)
    equal = 0
    wrong: list[Any] = []
    for _ in range(number_of_files):
        sent, block, pairing, delimiter = random_files(chance)
        function, bigquery = engines.compare(sent, block, pairing, delimiter)
        equal += function.equality is not None and not function.equality.differs(accepts_extra=False)
        if function != bigquery and not has_more_than_are_shown(function):
            wrong.append((sent, block, pairing, function, bigquery))
    return equal, wrong


def check_changes(engines: Engines, number_of_files: int, seed: int) -> list[object]:
    """Compare random files with the ones before them; return where the engines do not send the same rows."""
    chance = random.Random(seed)
    wrong: list[object] = []
    for _ in range(number_of_files):
        columns = ["Key", "A", "B"]
        keys = [chance.choice(["", "1", "11", "é"]) if chance.random() < 0.2 else f"k{n}" for n in range(9)]
        pool = [*FORMS["text"][0], "1", "11"]
        before = [[key, chance.choice(pool), chance.choice(pool)] for key in keys if chance.random() < 0.8]
        after = [row if chance.random() < 0.5 else [row[0], chance.choice(pool), row[2]] for row in before]
        after += [[f"n{n}", chance.choice(pool), ""] for n in range(chance.randint(0, 3))]
        chance.shuffle(after)
        # Only in the old file may a key occur twice: another key identified rows then.
        before += before[:1] * (chance.random() < 0.3)
        key = chance.choice([["Key"], ["Key", "A"]])
        order = chance.sample(range(3), 3)
        older = [[row[at] for at in order] for row in [columns, *before]]
        if chance.random() < 0.1:
            older = [row[:2] for row in older]
        function, bigquery = engines.changes(as_csv(older), as_csv([columns, *after]), key, len(after))
        if function != bigquery:
            wrong.append((older, after, key, function, bigquery))
    return wrong


def has_more_than_are_shown(verdict: EngineVerdict) -> bool:
    """Whether an engine chooses which rows it names; it names ten."""
    found: Any = verdict.equality
    return found is not None and found.missing + found.extra + found.doubled + found.changed > 10


def test_a_few_random_tables(engines: Engines, tmp_path: Path) -> None:
    assert check_tables(engines, 4, 1, tmp_path) == []


def test_cells_in_every_form(engines: Engines) -> None:
    equal, wrong = check_forms(engines, 25, 1)

    assert wrong == []
    assert 2 < equal < 23


def test_random_files_send_the_same_changes(engines: Engines) -> None:
    assert check_changes(engines, 20, 1) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 6))
def test_thousands_of_tables_in_four_parts(engines: Engines, tmp_path: Path, seed: int) -> None:
    assert check_tables(engines, 500, seed, tmp_path) == []
    assert check_forms(engines, 2_000, seed)[1] == []
    assert check_changes(engines, 500, seed) == []
