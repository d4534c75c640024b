"""`load: changes` reads its base while Looker sends rows: when they are there, half of the comparison is done."""

import threading
from typing import Any

import pytest

from common.tables import compare
from common.tables.compare import BadKeys, BaseDigests
from common.tables.compare import matching as by_key
from tests.support.equality import EndlessFile, ignore
from tests.support.pieces import InPieces
from tests.support.world import HEADER, ROWS, World

KEY = ["Flights Day", "Flights Carrier"]
QUERY = r"POST /api/4\.0/queries/run"
BASE = r"GET /download/.*bases"
PATIENCE_S = 10.0

BEFORE = b"Id,Name\n1,a\n2,b\n3,c\n"
AFTER = b"Id,Name\n1,a\n2,B\n4,d\n"


@pytest.fixture
def landed(world: World) -> World:
    """A pull of changes that has landed once."""
    block = world.pigment.block(world.pigment.application("Planning"), "Keyed flights")
    configuration = world.pigment.configuration(block, HEADER, unique=KEY)
    target = {"configuration": configuration, "repeatable": True}
    world.add_pull("flights", load={"changes": {"key": KEY}}, target=target)
    assert world.run_pull("flights").receipt["outcome"] == "landed"
    return world


def no_comparison_runs() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name.startswith("comparing")]


def test_the_base_has_been_read_when_looker_answers(landed: World) -> None:
    was_read = threading.Event()
    in_time: list[bool] = []
    # After the header, the rows.
    landed.storage_server.fault(BASE, after=1, then=was_read.set)
    landed.looker_server.fault(QUERY, then=lambda: in_time.append(was_read.wait(PATIENCE_S)))
    landed.put_flights([[*ROWS[0][:3], "99"], *ROWS[1:]])

    receipt = landed.run_pull("flights").receipt

    assert in_time == [True]
    assert receipt["changes"] == {"added": 0, "changed": 1, "gone": 0, "unchanged": 4}
    assert no_comparison_runs()


def test_a_failing_looker_ends_the_run_and_the_reading(landed: World) -> None:
    landed.looker_server.fault(QUERY, times=-1, cut_after_bytes=40)

    answer = landed.run_pull("flights")

    assert answer.code == "stream_cut"
    assert no_comparison_runs()


def test_a_base_that_is_gone_meanwhile_fails_the_run(landed: World) -> None:
    cursor: Any = landed.bucket.read_json("cursors/flights.json", dict[str, Any])
    base = cursor.value["staged"]
    landed.storage_server.fault(BASE, act=lambda: landed.bucket.delete(base))

    answer = landed.run_pull("flights")

    assert answer.code == "storage_refused"
    assert no_comparison_runs()


def compared(before: bytes, after: bytes, rows_before: int = 3) -> tuple[object, list[bool]]:
    """Compare two files with the digests of the base, and say each time whether they served."""
    bucket: Any = InPieces(8, before=before, after=after)
    served: list[bool] = []

    class Noted(BaseDigests):
        def of_columns(self, columns: Any) -> Any:
            digests = super().of_columns(columns)
            served.append(digests is not None)
            return digests

    files = bucket, "before", "after", ["Id"], ",", after.count(b"\n") - 1, ignore
    with Noted(bucket, "before", ",", rows_before, ["Id"]) as base:
        found = compare.compare(*files, base=base)
    assert found == compare.compare(*files)
    return found, served


@pytest.mark.parametrize(
    ("before", "after", "serves"),
    [
        (BEFORE, AFTER, [True]),
        (BEFORE, b"Name,Id\na,1\nB,2\nd,4\n", [False]),
        (BEFORE, b"Id,Name,More\n1,a,\n2,b,\n", [False]),
        (b"Number,Name\n1,a\n", AFTER, []),
        (b"Id,Id\n1,a\n", AFTER, []),
        (BEFORE, b"Id,Name\n1,a\n1,b\n,c\n", [True]),
        (b"Id,Name\n", AFTER, [True]),
    ],
    ids=["same columns", "other order", "one more", "other key", "key twice", "bad keys", "no rows"],
)
def test_a_comparison_finds_the_same_without_them(before: bytes, after: bytes, serves: list[bool]) -> None:
    found, served = compared(before, after)

    assert served == serves
    assert isinstance(found, BadKeys) == (b"1,b" in after)


def test_a_long_base_is_read_in_shares_when_the_rows_are_there() -> None:
    assert compared(BEFORE, AFTER, by_key.ROWS_AT_ONCE)[1] == [False]


def test_nobody_waits_for_a_long_base_that_is_not_needed() -> None:
    bucket: Any = EndlessFile()

    with BaseDigests(bucket, "base", ",", 3, ["Id"]):
        assert bucket.has_begun.wait(PATIENCE_S)

    assert not bucket.is_read_whole
