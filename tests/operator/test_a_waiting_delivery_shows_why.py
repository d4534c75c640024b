"""`bridge deliveries` says what a waiting delivery waits for, and what to do about a dead one."""

import json

import pytest

from local.sandbox.wire import Response
from tests.support.command_line import run_deployed
from tests.support.world import PUSH, World, delivery


@pytest.fixture
def sales(world: World) -> World:
    world.add_relay("sales", guards={"min_rows": 1})
    world.post_delivery("sales", delivery(("1", "10")))
    return world


def details() -> list[dict[str, str]]:
    return [each["details"] for each in json.loads(run_deployed("deliveries", "--json").output)]


def test_a_delivery_that_nothing_blocks_waits_for_its_turn(sales: World) -> None:
    assert sales.objects("inbox/")

    assert "waits-because" not in details()[0]


def test_an_unsettled_run_of_the_configuration_is_named_with_its_command(sales: World) -> None:
    sales.pigment_server.fault(PUSH, reset_after=True)
    sales.run_deliver()
    (run,) = (each["run"] for each in sales.receipts("sales"))

    why = details()[0]["waits-because"]

    assert f"Run {run} of sales is unknown." in why
    assert f"`bridge settle {run} --landed`" in why
    shown = json.loads(run_deployed("deliveries", "show", "sales/").output)
    assert shown["delivery"]["details"]["waits-because"] == why


def test_a_busy_pigment_is_named_with_the_time_that_is_left(sales: World) -> None:
    sales.pigment_server.fault(PUSH, times=-1, refuse=Response(429, headers={"Retry-After": "1800"}))
    sales.run_deliver()

    why = details()[0]["waits-because"]

    assert "Pigment answered 429" in why
    assert "The next attempt is in 1800 s" in why


def test_a_relay_that_bridge_yaml_no_longer_has_is_said(sales: World) -> None:
    del sales.raw["relays"]["sales"]
    sales.save_jobs()

    assert details()[0]["waits-because"] == "bridge.yaml has no relay with this name"


def test_a_dead_delivery_shows_the_next_step(sales: World) -> None:
    sales.add_relay("sales", guards={"min_rows": 2})
    sales.run_deliver()

    (dead,) = details()

    assert dead["code"] == "too_few_rows"
    assert "min_rows" in dead["next-step"]
    assert "next-step" in run_deployed("deliveries").output
