"""A delivery with as many rows as its own query allows is cut: it is refused as at Looker's general limits."""

from typing import Any

import pytest

from tests.support.world import World, delivery


def plan(limit: Any) -> dict[str, Any]:
    return {"scheduled_plan_id": 7, "title": "Sales", "type": "Look", "query": {"id": 1, "limit": limit}}


@pytest.fixture
def sales(world: World) -> World:
    world.add_relay("sales")
    return world


@pytest.mark.parametrize("limit", ["3", 3])
def test_a_delivery_of_exactly_its_limit_is_dead_with_the_reason(sales: World, limit: Any) -> None:
    sales.post_delivery("sales", delivery(("1", "1"), ("2", "2"), ("3", "3"), scheduled_plan=plan(limit)))

    assert sales.run_deliver().body["dead"] == 1

    assert sales.imports == []
    (refused,) = [entry.metadata for entry in sales.bucket.entries("dead/")]
    assert (refused["code"], "exactly 3 rows" in refused["reason"]) == ("truncated_at_limit", True)
    assert "edit the schedule" in sales.receipts("sales")[-1]["error"]["next_step"]


def test_accept_cap_lands_it(world: World) -> None:
    world.add_relay("sales", guards={"accept_cap": True})
    world.post_delivery("sales", delivery(("1", "1"), scheduled_plan=plan("1")))

    assert world.run_deliver().body["delivered"] == 1


@pytest.mark.parametrize("query", [None, "AbCdEf", {}, {"limit": None}, {"limit": "-1"}, {"limit": "2"}, {"limit": {}}])
def test_another_limit_or_none_refuses_nothing(sales: World, query: Any) -> None:
    body = delivery(("1", "1"), scheduled_plan={**plan(None), "query": query})

    assert sales.post_delivery("sales", body).status == 200
    assert sales.run_deliver().body["delivered"] == 1
