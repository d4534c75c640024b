"""A call that has landed is answered with its receipt when it is repeated, also after other landings."""

import pytest

from local.sandbox.wire import Response
from tests.support.world import ROWS, World

T1 = {"X-CloudScheduler-ScheduleTime": "2026-03-01T06:15:00Z"}
T2 = {"X-CloudScheduler-ScheduleTime": "2026-03-01T06:16:00Z"}


@pytest.mark.parametrize("between", [1, 8])
def test_a_scheduled_call_that_is_repeated_after_others(world: World, between: int) -> None:
    first = world.run_pull("flights", headers=T1).receipt
    for number in range(between):
        world.clock.advance(1)
        world.run_pull("flights", headers={"X-CloudScheduler-ScheduleTime": f"2026-03-01T07:{number:02d}:00Z"})

    again = world.run_pull("flights", headers=T1).receipt

    assert again["run"] == first["run"]
    assert len(world.landed_rows()) == (1 + between) * len(ROWS)


def test_a_scheduled_call_that_is_repeated_after_a_signal(world: World) -> None:
    world.add_relay("ready", start="flights")
    first = world.run_pull("flights", headers=T1).receipt
    world.clock.advance(5)
    world.post_delivery("ready", b'{"a": 1}')
    world.run_deliver()
    world.clock.advance(5)

    again = world.run_pull("flights", headers=T1).receipt

    assert again["run"] == first["run"]
    assert len(world.landed_rows()) == 2 * len(ROWS)


def test_a_signal_that_could_not_be_closed_lands_once(world: World) -> None:
    world.add_relay("ready", start="flights")
    world.post_delivery("ready", b'{"a": 1}')
    refused = Response(403, b"{}")
    world.storage_server.fault(r"POST /storage/v1/b/bucket/o/inbox.*rewriteTo.*", times=-1, refuse=refused)
    world.run_deliver()
    world.storage_server.heal()
    world.clock.advance(60)
    world.run_pull("flights", headers=T2)
    world.clock.advance(60)

    world.run_deliver()

    assert len(world.landed_rows()) == 2 * len(ROWS)
    assert world.objects("inbox/") == []
