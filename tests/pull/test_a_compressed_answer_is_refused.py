"""Rows that a gateway compresses unasked are refused: if they broke off between two rows, no decoder would notice."""

import pytest

from local.sandbox.wire import Response
from tests.support.action_caller import LookerSide
from tests.support.world import EXPORTS, PULL_RUN, ROWS, World

MANY = [["2013-01-01", "UA", "EWR", str(number)] for number in range(1_500)]
CSV = b"Id;Amount\n" + b"".join(b"%d;%d\n" % (number, number) for number in range(1_500))
TRUNCATED = {"broken off between two rows": 300, "whole": None}


@pytest.fixture
def looker_side(world: World) -> LookerSide:
    return LookerSide(world)


def row_end(content: bytes, after: int | None) -> int | None:
    return None if after is None else content.index(b"\n", after) + 1


@pytest.mark.parametrize("after", TRUNCATED.values(), ids=TRUNCATED.keys())
def test_lookers_rows_are_not_sent_on(world: World, after: int | None) -> None:
    world.put_flights(MANY)
    rows = "".join(",".join(row) + "\n" for row in (["Day", "Carrier", "Origin", "Delay"], *MANY)).encode()
    answer = Response(200, rows, {"Content-Type": "text/csv"})
    world.looker_server.fault(PULL_RUN, refuse=answer, compress=True, end_after_bytes=row_end(rows, after))

    refused = world.run_pull("flights")

    assert (refused.status, refused.code) == (502, "answer_not_understood"), refused.body
    assert "compressed" in refused.error["message"]
    assert world.imports == []
    assert world.run_pull("flights").receipt["rows"]["sent"] == len(MANY)


@pytest.mark.parametrize("after", TRUNCATED.values(), ids=TRUNCATED.keys())
def test_an_actions_download_is_not_stored(world: World, looker_side: LookerSide, after: int | None) -> None:
    world.add_relay("sales")
    rows = CSV.replace(b";", b",")
    looker_side.server.fault("GET /downloads/", compress=True, end_after_bytes=row_end(rows, after))

    outcome = looker_side.execute("sales", looker_side.offer(rows))

    assert outcome["success"] is False
    assert "compressed" in outcome["message"]
    assert world.objects("inbox/") == []


@pytest.mark.parametrize("after", TRUNCATED.values(), ids=TRUNCATED.keys())
def test_an_export_is_not_published(world: World, after: int | None) -> None:
    world.add_export("revenue")
    answer = Response(200, CSV, {"Content-Type": "text/csv"})
    end = row_end(CSV, after)
    world.pigment_server.fault(EXPORTS, times=-1, refuse=answer, compress=True, end_after_bytes=end)

    refused = world.run_export("revenue")

    assert (refused.status, refused.code) == (502, "answer_not_understood"), refused.body
    assert world.objects("exports/") == world.objects("tmp/") == []


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
def test_an_answer_that_says_it_is_not_compressed_is_read(world: World, coding: str) -> None:
    header = b"Flights Day,Flights Carrier,Flights Origin,Flights Delay\n"
    rows = header + b"".join(",".join(row).encode() + b"\n" for row in ROWS[:2])
    headers = {"Content-Type": "text/csv", "Content-Encoding": coding}
    world.looker_server.fault(PULL_RUN, refuse=Response(200, rows, headers))

    assert world.run_pull("flights").body["outcome"] == "landed"
