"""With `verify`, a relay reads its block back, and the sweep does it where a call had no time."""

import pytest

from local.sandbox.pigment import RowEdit
from local.sandbox.wire import Response
from tests.support.world import EXPORTS, PUSH, World, delivery

SALES = [("1", "5"), ("2", "6")]


@pytest.fixture
def append(world: World) -> str:
    return add_relay(world)


@pytest.fixture
def keyed(world: World) -> str:
    return add_relay(world, unique=["Id"])


def add_relay(world: World, **how: object) -> str:
    """Add the relay `sales`, and return the import configuration of its list."""
    configuration = world.add_list("sales", **how)
    block = world.pigment.block(world.pigment.application("Planning"), "sales")
    world.add_relay(
        "sales",
        target={"configuration": configuration, "repeatable": bool(how)},
        verify={"source": {"list": block}, "key": ["Id"]},
    )
    return configuration


def counts(world: World) -> dict[str, int]:
    body = world.run_deliver().body
    return {name: body[name] for name in ("delivered", "waiting", "dead")}


@pytest.mark.usefixtures("keyed")
def test_a_delivery_that_is_there_is_equal(world: World) -> None:
    world.post_delivery("sales", delivery(*SALES))

    assert counts(world) == {"delivered": 1, "waiting": 0, "dead": 0}
    assert world.receipts("sales")[-1]["verified"] == "equal"


def test_an_append_keeps_the_rows_of_earlier_deliveries(world: World, append: str) -> None:
    for number, row in enumerate(SALES):
        world.post_delivery("sales", delivery(row, plan=number))
        world.run_deliver()

    assert [each["verified"] for each in world.receipts("sales")] == ["equal", "equal"]
    assert world.pigment.count(append) == 2


def test_a_delivery_that_differs_is_dead_with_the_reason(world: World, keyed: str) -> None:
    world.pigment.edit_after_next(keyed, RowEdit({"Id": "2"}, {"Amount": "60"}))
    world.post_delivery("sales", delivery(*SALES))

    assert counts(world) == {"delivered": 0, "waiting": 0, "dead": 1}
    (name,) = world.objects("dead/")
    assert world.bucket.find(name).metadata["code"] == "not_equal"  # type: ignore[union-attr]


@pytest.mark.usefixtures("keyed")
def test_a_sweep_reads_back_what_a_call_could_not(world: World) -> None:
    world.pigment_server.fault(EXPORTS, times=-1, refuse=Response(503))
    world.post_delivery("sales", delivery(*SALES))
    assert world.run_deliver().body["delivered"] == 1
    world.pigment_server.heal()

    world.run_deliver()

    (receipt,) = world.receipts("sales")
    assert (receipt["outcome"], receipt["verified"]) == ("landed", "equal")


def test_a_lost_answer_lands_each_delivery_once(world: World, append: str) -> None:
    world.pigment_server.fault(PUSH, reset_after=True)
    world.post_delivery("sales", delivery(*SALES))
    assert world.run_deliver().body["waiting"] == 1
    world.finish_imports()

    assert counts(world) == {"delivered": 0, "waiting": 0, "dead": 0}

    assert world.pigment.count(append) == 2
    assert [each["outcome"] for each in world.receipts("sales")] == ["landed"]
    assert world.objects("inbox/") == []
