"""A delivery that a person replays is the newest of its relay, whatever that person's clock says."""

import pytest

from tests.support.clock import ClockOff
from tests.support.command_line import run_deployed
from tests.support.world import World, delivery


def amounts(world: World) -> list[str]:
    rows = world.pigment.rows(world.raw["relays"]["sales"]["target"]["configuration"])
    return [row["Amount"] for row in rows]


def deliver(world: World, amount: str) -> None:
    world.post_delivery("sales", delivery(("1", amount)))
    world.run_deliver()
    world.clock.advance(1)


@pytest.mark.parametrize("off_s", [-5400, -90, 0, 90, 5400])
def test_it_lands_and_so_does_the_one_after_it(world: World, off_s: float) -> None:
    world.add_relay("sales", keep="latest", target={"repeatable": True})
    deliver(world, "5")
    deliver(world, "6")
    first = world.objects("delivered/sales/")[0].removeprefix("delivered/")

    done = run_deployed("deliveries", "replay", first, clock=ClockOff(world.clock, off_s))
    world.run_deliver()
    world.clock.advance(1)
    deliver(world, "7")

    assert done.status == 0, done.errors
    assert amounts(world) == ["5", "6", "5", "7"]


def test_it_follows_one_that_waits(world: World) -> None:
    world.add_relay("sales", target={"repeatable": True})
    deliver(world, "5")
    first = world.objects("delivered/sales/")[0].removeprefix("delivered/")
    world.post_delivery("sales", delivery(("1", "6")))

    run_deployed("deliveries", "replay", first, clock=ClockOff(world.clock, -90))
    world.run_deliver()

    assert amounts(world) == ["5", "6", "5"]
