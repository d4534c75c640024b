"""Without pivots and calculations, a delivery has as many columns as the query that it names has fields."""

import json
from typing import Any

import pytest

from tests.support.action_caller import LookerSide, execution
from tests.support.payloads import attached
from tests.support.world import World, delivery

TWO = ["sales.id", "sales.amount"]
CALCULATION = json.dumps([{"table_calculation": "share", "expression": "1"}])
PROSE = "The warehouse is asleep.\nPlease call again tomorrow.\n"


def plan(fields: Any = TWO, **query: Any) -> dict[str, Any]:
    return {"scheduled_plan_id": 7, "title": "Sales", "type": "Look", "query": {"fields": fields, **query}}


def prose(extension: str = "csv") -> bytes:
    rows = json.dumps([{"Message": "The warehouse is asleep."}])
    if extension == "json":
        return attached(rows, "json", "application/json", scheduled_plan=plan())
    return attached(PROSE, scheduled_plan=plan())


@pytest.mark.parametrize("extension", ["csv", "json"])
@pytest.mark.parametrize("min_rows", [0, 1])
def test_prose_is_refused_when_it_arrives(world: World, extension: str, min_rows: int) -> None:
    world.add_relay("sales", guards={"min_rows": min_rows})

    answer = world.post_delivery("sales", prose(extension))

    assert (answer.status, answer.code) == (502, "query_failed"), answer.body
    message = answer.body["looker"]["message"]
    assert "it has 1 columns, the query selects 2 fields" in message
    assert "target.columns" in message
    assert "asleep" not in message
    assert world.objects("inbox/") == []


@pytest.mark.parametrize(
    "described",
    [
        plan(),
        plan([*TWO, "sales.id"]),
        plan([*TWO, "share"], dynamic_fields=CALCULATION),
        plan(["sales.id"], dynamic_fields=CALCULATION),
        plan(["sales.id"], has_table_calculations=True),
        plan(None),
        plan([]),
        plan("sales.id"),
        plan([{"odd": 1}, None]),
        {**plan(), "query": None},
    ],
    ids=json.dumps,
)
def test_a_header_that_fits_or_cannot_be_judged_lands(world: World, described: dict[str, Any]) -> None:
    world.add_relay("sales")

    assert world.post_delivery("sales", delivery(("1", "10"), scheduled_plan=described)).status == 200
    assert world.run_deliver().body["delivered"] == 1


def test_columns_that_the_relay_names_are_found_among_fewer(world: World) -> None:
    """Looker leaves out columns that are hidden in the visualization, if the schedule applies it."""
    world.add_relay("sales", target={"columns": {"Id": "Id", "Amount": "Amount"}})

    assert world.post_delivery("sales", delivery(("1", "10"), scheduled_plan=plan([*TWO, "sales.note"]))).status == 200
    assert world.run_deliver().body["delivered"] == 1


def test_what_is_stored_is_judged_again_when_it_lands(world: World) -> None:
    """It may have been stored by an earlier version, or for a relay that named its columns."""
    world.add_relay("sales", target={"columns": {"Id": "Id", "Amount": "Amount"}})
    world.post_delivery("sales", delivery(("1", "10"), scheduled_plan=plan([*TWO, "sales.note"])))
    world.add_relay("sales")

    assert world.run_deliver().body["dead"] == 1
    (refused,) = [entry.metadata for entry in world.bucket.entries("dead/")]
    assert (refused["code"], "selects 3 fields" in refused["reason"]) == ("query_failed", True)


@pytest.mark.parametrize("fields", [TWO, [*TWO, "sales.note"]])
def test_the_rows_of_an_action_are_judged_when_they_land(world: World, fields: list[str]) -> None:
    world.add_relay("sales")
    looker = LookerSide(world)
    body = execution(looker.offer([("1", "10")]), {})
    body["scheduled_plan"]["query"]["fields"] = fields
    assert looker.post("/actions/sales/execute", body).body["looker"]["success"]

    counts = world.run_deliver().body

    assert (counts["delivered"], counts["dead"]) == ((1, 0) if fields == TWO else (0, 1))
