"""A delivery describes the query behind it. What would land beside its rows, or instead of them, is refused by name."""

import json
from typing import Any

import pytest

from local.sandbox.wire import Request
from tests.support.action_caller import LookerSide, execution
from tests.support.world import FunctionAnswer, World, delivery

LOOK = {"scheduled_plan_id": 7, "title": "Sales", "type": "Look", "filters_differ_from_look": False}
DASHBOARD = {**LOOK, "type": "Dashboard"}

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"total": True}, "totals, which land as one more row"),
    ({"total": "true"}, "totals, which land as one more row"),
    ({"subtotals": ["orders.region"]}, "subtotals"),
    ({"pivots": ["orders.region", "orders.year"]}, "pivots (orders.region, orders.year)"),
    ({"pivots": {"odd": 1}}, "pivots (unnamed)"),
    ({"row_total": "right"}, "row totals"),
    ({"row_total": True, "total": True}, "row totals; totals"),
]

ACCEPTED: list[object] = [
    None,
    "AbCdEf",
    {},
    {"total": None, "subtotals": None, "pivots": None, "row_total": None},
    {"total": False, "subtotals": [], "pivots": [], "row_total": ""},
    {"total": "false", "row_total": "false", "fields": ["orders.id", "orders.amount"], "filters": {"a.b": "7 days"}},
    # They are columns like the others.
    {"dynamic_fields": '[{"table_calculation": "share"}]', "has_table_calculations": True},
]


@pytest.fixture
def sales(world: World) -> World:
    world.add_relay("sales")
    return world


@pytest.fixture
def looker(sales: World) -> LookerSide:
    return LookerSide(sales)


def posted(world: World, plan: object) -> FunctionAnswer:
    return world.post_delivery("sales", delivery(("1", "10"), ("", "10"), scheduled_plan=plan))


@pytest.mark.parametrize("plan", [LOOK, DASHBOARD], ids=["look", "dashboard"])
@pytest.mark.parametrize(("query", "named"), REFUSED)
def test_what_lands_beside_the_rows_is_refused_by_name(
    sales: World, plan: dict[str, Any], query: dict[str, Any], named: str
) -> None:
    answer = posted(sales, {**plan, "query": query})

    assert (answer.status, answer.code) == (422, "delivery_not_usable")
    message = answer.body["looker"]["message"]
    assert named in message
    assert "save a copy of the Look without the parts named here, and schedule the copy" in message
    assert sales.objects("inbox/") == []


@pytest.mark.parametrize(("query", "named"), REFUSED)
def test_an_action_refuses_it_before_its_address_is_used(looker: LookerSide, query: dict[str, Any], named: str) -> None:
    body = execution(looker.offer([("1", "10")]), {})
    body["scheduled_plan"]["query"] |= query

    outcome = looker.post("/actions/sales/execute", body).body["looker"]

    assert (outcome["success"], named in outcome["message"]) == (False, True)
    assert looker.downloads.asked == []


def test_an_action_with_attached_rows_refuses_it_too(looker: LookerSide) -> None:
    body = delivery(("1", "10"), scheduled_plan={**LOOK, "query": {"total": True}})

    assert "totals" in looker.post("/actions/sales/execute", json.loads(body)).body["looker"]["message"]


@pytest.mark.parametrize("query", ACCEPTED)
def test_any_other_description_lands(sales: World, query: object) -> None:
    assert posted(sales, {**LOOK, "query": query}).status == 200
    assert sales.run_deliver().body["delivered"] == 1


def test_a_signal_does_not_care(sales: World) -> None:
    sales.add_relay("ready", start="flights")
    plan = {**LOOK, "query": {"total": True}, "filters_differ_from_look": True}

    assert sales.post_delivery("ready", delivery(("1", "1"), scheduled_plan=plan)).status == 200


@pytest.mark.parametrize("differ", [True, "true"])
def test_filters_of_the_schedule_are_refused_with_the_setting_that_accepts_them(sales: World, differ: object) -> None:
    answer = posted(sales, {**LOOK, "filters_differ_from_look": differ})

    assert (answer.status, answer.code) == (422, "delivery_not_usable")
    message = answer.body["looker"]["message"]
    assert "filters of its own" in message
    assert "accept_filters: true" in message


@pytest.mark.parametrize("differ", [None, False, "false", "", 0, []])
def test_the_filters_of_the_look_land(sales: World, differ: object) -> None:
    assert posted(sales, {**LOOK, "filters_differ_from_look": differ}).status == 200


def test_accepted_filters_land_with_a_warning(world: World) -> None:
    world.add_relay("sales", accept_filters=True)

    assert posted(world, {**LOOK, "filters_differ_from_look": True}).status == 200

    assert world.run_deliver().body["delivered"] == 1
    (warning,) = world.receipts("sales")[0]["warnings"]
    assert "differ from the Look's" in warning


@pytest.mark.parametrize("accept", [False, True])
def test_an_action_heeds_the_filters_too(looker: LookerSide, accept: bool) -> None:
    looker.world.add_relay("sales", accept_filters=accept)
    body = execution(looker.offer([("1", "10")]), {})
    body["scheduled_plan"]["filters_differ_from_look"] = True

    assert looker.post("/actions/sales/execute", body).body["looker"]["success"] == accept

    asked: list[Request] = looker.downloads.asked
    assert len(asked) == (1 if accept else 0)
    if accept:
        assert looker.world.run_deliver().body["delivered"] == 1
        assert "differ from the Look's" in looker.world.receipts("sales")[0]["warnings"][0]


def test_a_delivery_of_an_earlier_version_is_judged_when_it_lands(sales: World) -> None:
    """It was stored before its description was read."""
    sales.add_relay("sales", accept_filters=True)
    posted(sales, {**LOOK, "filters_differ_from_look": True})
    sales.add_relay("sales")

    assert sales.run_deliver().body["dead"] == 1

    (refused,) = [entry.metadata for entry in sales.bucket.entries("dead/")]
    assert (refused["code"], "filters" in refused["reason"]) == ("delivery_not_usable", True)
