"""An action's address is for one use. If nothing of its rows has arrived, it is asked once more, and no third time."""

import pytest

from local.sandbox.wire import Response
from tests.support.action_caller import LookerSide
from tests.support.world import World

DOWNLOAD = "GET /downloads/.*"
ROWS = b"Id,Amount\n1,10\n"
LEFT_OVER = Response(200, ROWS, {"Content-Type": "text/csv"})
"Looker's answer, of which the address stays valid."


@pytest.fixture
def looker(world: World) -> LookerSide:
    world.add_relay("sales")
    return LookerSide(world)


@pytest.mark.parametrize("arrived_bytes", [0, 5])
def test_if_the_address_is_still_valid_the_rows_land(looker: LookerSide, arrived_bytes: int) -> None:
    looker.server.fault(DOWNLOAD, refuse=LEFT_OVER, cut_after_bytes=arrived_bytes)

    assert looker.execute("sales", looker.offer(ROWS))["success"]

    assert looker.world.run_deliver().body["delivered"] == 1
    assert len(looker.downloads.asked) == 1


def test_if_the_address_is_used_up_the_break_is_reported(looker: LookerSide) -> None:
    looker.server.fault(DOWNLOAD, cut_after_bytes=0)

    outcome = looker.execute("sales", looker.offer(ROWS))

    assert not outcome["success"]
    assert outcome["message"].startswith("Looker's answer broke off")
    assert "Send it again in Looker" in outcome["message"]
    assert len(looker.downloads.asked) == 2
    assert looker.world.objects("inbox/") == []


def test_it_is_not_asked_a_third_time(looker: LookerSide) -> None:
    fault = looker.server.fault(DOWNLOAD, times=-1, refuse=LEFT_OVER, cut_after_bytes=0)

    outcome = looker.execute("sales", looker.offer(ROWS))

    assert (outcome["success"], fault.hits) == (False, 2)
    assert outcome["message"].startswith("Looker's answer broke off")


def test_once_rows_have_been_stored_it_is_not_asked_again(looker: LookerSide) -> None:
    block = b"".join(b"id-%09d,%09d\n" % (number, number) for number in range(40_000))
    looker.server.fault(DOWNLOAD, cut_after_bytes=3 * len(block))

    assert not looker.execute("sales", looker.offer([b"Id,Amount\n", *[block] * 5]))["success"]
    assert len(looker.downloads.asked) == 1
