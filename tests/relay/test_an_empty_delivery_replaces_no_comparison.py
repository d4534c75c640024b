"""After a delivery without rows, later ones and the block are compared with the rows that landed before it."""

from typing import Any

import pytest

from local.sandbox.wire import Response
from tests.support.command_line import run_deployed
from tests.support.world import EXPORTS, World, delivery

TEN = [(str(number), "1") for number in range(10)]

pytestmark = pytest.mark.parametrize("keep", ["every", "latest"])


def add_compared_relay(world: World, keep: str) -> None:
    block = world.pigment.block(world.pigment.application("Planning"), "Sales")
    configuration = world.pigment.configuration(block, ["Id", "Amount"], unique=["Id"])
    target: dict[str, Any] = {"repeatable": True, "configuration": configuration}
    verify = {"source": {"list": block}, "key": ["Id"]}
    world.add_relay("sales", keep=keep, target=target, guards={"min_rows": 0}, verify=verify)


def deliver(world: World, *deliveries: list[tuple[str, str]]) -> None:
    for rows in deliveries:
        world.post_delivery("sales", delivery(*rows))
        world.clock.advance(60)
        world.run_deliver()


def test_a_great_change_is_held(world: World, keep: str) -> None:
    guards = {"min_rows": 0, "approve": {"max_changed": "10%", "max_deleted": 0}}
    world.add_relay("sales", keep=keep, target={"repeatable": True}, guards=guards)

    deliver(world, TEN, [], [("99", "1"), ("98", "2")])

    found = [(receipt["outcome"], receipt["rows"]["read"]) for receipt in world.receipts("sales")]
    assert found == [("landed", 10), ("nothing_new", 0), ("held", 2)]


def test_a_shrunken_delivery_is_refused(world: World, keep: str) -> None:
    guards = {"min_rows": 0, "max_shrink": "50%"}
    world.add_relay("sales", keep=keep, target={"repeatable": True}, guards=guards)

    deliver(world, TEN)
    world.add_relay("sales", keep=keep, target={"repeatable": True}, guards={"min_rows": 0})
    deliver(world, [])
    world.add_relay("sales", keep=keep, target={"repeatable": True}, guards=guards)
    deliver(world, TEN[:2])

    assert [receipt["outcome"] for receipt in world.receipts("sales")] == ["landed", "nothing_new", "refused"]


def test_a_correct_block_is_equal(world: World, keep: str) -> None:
    add_compared_relay(world, keep)
    deliver(world, TEN, [])

    done = run_deployed("verify", "sales", clock=world.clock)

    assert done.status == 0, done.output


def test_a_block_that_is_compared_later_is_equal(world: World, keep: str) -> None:
    add_compared_relay(world, keep)
    world.pigment_server.fault(EXPORTS, times=-1, refuse=Response(503))
    deliver(world, TEN, [])
    world.pigment_server.heal()

    world.run_deliver()

    first = world.receipts("sales")[0]
    assert (first["outcome"], first["verified"]) == ("landed", "equal")
