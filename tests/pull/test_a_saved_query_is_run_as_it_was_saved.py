"""Which query a pull runs: all of what Looker has saved, and nothing from the trash."""

import json
from typing import Any

import pytest

from local.sandbox.wire import Response
from tests.support.world import ROWS, World

SAVED_LOOK = r"GET /api/4\.0/looks/12$"
SAVED_QUERY = r"GET /api/4\.0/queries/slug/"


def requested(world: World) -> dict[str, Any]:
    """Return the query that the last run requested."""
    run = [each for each in world.looker_server.exchanges if each.path == "/api/4.0/queries/run/csv"][-1]
    body: dict[str, Any] = json.loads(run.body)
    return body


def test_a_look_in_the_trash_is_not_found_and_the_error_says_where_it_is(world: World) -> None:
    world.put_flights(ROWS, deleted=True)

    answer = world.run_pull("flights")

    assert (answer.status, answer.code) == (502, "look_not_found"), answer.body
    assert "The Look 12 is in Looker's trash: it was deleted from the folder Shared at 2026-" in answer.error["message"]
    assert "restore" in answer.error["next_step"]
    assert world.imports == []


@pytest.mark.parametrize("source", [{"look": "12"}, {"query": "slug"}], ids=["look", "query"])
def test_parts_of_a_query_that_the_bridge_does_not_know_are_passed_on(world: World, source: dict[str, str]) -> None:
    saved = world.looker.looks["12"].query.describe("http://looker")
    analysis = {"forecasting": [{"field_name": "flights.delay", "forecast_n": 7}]}
    new = {"analysis_config": analysis, "row_sampling": 0.5, "not_used": None}
    world.looker_server.fault(SAVED_LOOK, refuse=Response.of_json({"id": "12", "deleted": False, "query": saved | new}))
    world.looker_server.fault(SAVED_QUERY, refuse=Response.of_json(saved | new))
    world.add_pull("flights", source=source)

    answer = world.run_pull("flights")

    assert answer.status == 200, answer.body
    assert requested(world) == {
        "model": "nyc",
        "view": "flights",
        "fields": saved["fields"],
        "sorts": saved["sorts"],
        "filters": {},
        "filter_config": None,
        "limit": "-1",
        "analysis_config": analysis,
        "row_sampling": 0.5,
    }
