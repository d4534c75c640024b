"""`rows.sent` of a receipt: the rows that were handed to Pigment, and not those that were only ready to be."""

import pytest

from local.sandbox.wire import Response
from tests.support.world import PUSH, ROWS, World

NOTHING_WAS_TAKEN = {
    "the key is refused": {"refuse": Response(401)},
    "the file is refused": {"refuse": Response(400)},
    "Pigment is busy": {"refuse": Response(429)},
}
IT_MAY_HAVE_BEEN_TAKEN = {
    "the connection breaks after the file": {"reset_after": True},
    "a gateway answers 502 after the file": {"answer_instead": Response(502)},
}


@pytest.mark.parametrize("how", NOTHING_WAS_TAKEN.values(), ids=NOTHING_WAS_TAKEN.keys())
def test_nothing_counts_as_sent_if_pigment_took_nothing(world: World, how: dict[str, object]) -> None:
    world.pigment_server.fault(PUSH, times=-1, **how)

    receipt = world.run_pull("flights").receipt

    assert (receipt["rows"]["read"], receipt["rows"]["sent"]) == (len(ROWS), None)
    assert world.receipts()[0]["rows"]["sent"] is None


def test_nothing_counts_as_sent_if_pigment_cannot_be_reached(world: World) -> None:
    world.pigment_server.stop()

    assert world.run_pull("flights").receipt["rows"]["sent"] is None


def test_nothing_counts_as_sent_without_a_key(world: World) -> None:
    world.secrets.deny("pigment-import-key")

    assert world.run_pull("flights").receipt["rows"]["sent"] is None


@pytest.mark.parametrize("how", IT_MAY_HAVE_BEEN_TAKEN.values(), ids=IT_MAY_HAVE_BEEN_TAKEN.keys())
def test_rows_count_as_sent_if_pigment_may_have_taken_them(world: World, how: dict[str, object]) -> None:
    world.pigment_server.fault(PUSH, times=-1, **how)

    receipt = world.run_pull("flights").receipt

    assert (receipt["outcome"], receipt["rows"]["sent"]) == ("unknown", len(ROWS))


def test_the_last_attempt_decides_what_was_sent(world: World) -> None:
    world.pigment_server.fault(PUSH, refuse=Response(429))

    assert world.run_pull("flights").receipt["rows"]["sent"] == len(ROWS)
