"""`bridge check` finds each cursor that a pull would refuse, in the same words, whatever the pull reads."""

import json
from typing import Any

import pytest

from local import checks
from local.checks import Finding
from local.sandbox.wire import Response
from tests.support.world import FIELDS, World

OWN = json.dumps([{"dimension": "own_day", "expression": "${flights.day}", "_type_hint": "date"}])
CURSOR = "pulls.flights.load.incremental.cursor"


def windows(cursor: str) -> dict[str, Any]:
    return {"incremental": {"cursor": cursor, "start": "2013-01-01", "window": "1 month", "delay": "1 hour"}}


def sources(world: World, fields: list[str], **query: Any) -> dict[str, dict[str, Any]]:
    """The same rows as a Look, as a saved query and as a query of bridge.yaml."""
    look = world.looker.look("12", "Flights", "nyc", "flights", fields, **query)
    return {
        "look": {"look": "12"},
        "query": {"query": look.query.slug},
        "explore": {"explore": {"model": "nyc", "view": "flights", "fields": fields}},
    }


def findings(world: World) -> list[Finding]:
    (world.folder / "bridge.yaml").write_text(json.dumps(world.raw))
    return list(checks.findings(world.folder / "bridge.yaml", world.instance))


@pytest.mark.parametrize("kind", ["look", "query", "explore"])
@pytest.mark.parametrize(
    ("cursor", "fields"),
    [
        ("flights.dya", [*FIELDS]),
        ("Flights Day", [*FIELDS]),
        ("flights.day\u00a0", [*FIELDS]),
        ("flights.count", ["flights.carrier", "flights.count"]),
        ("flights.origin", [*FIELDS]),
        ("flights.day", ["flights.carrier", "flights.count"]),
        ("flights.day", ["flights.carrier", "flights.origin"]),
    ],
)
def test_both_refuse_it_in_the_same_words(world: World, kind: str, cursor: str, fields: list[str]) -> None:
    world.add_pull("flights", source=sources(world, fields)[kind], load=windows(cursor))

    error = world.run_pull("flights").error
    (finding,) = [each for each in findings(world) if each.subject == CURSOR]

    assert (error["code"], finding.colour) == ("cursor_unfit", "red")
    assert (finding.what, finding.next_step) == (error["message"], error["next_step"])


def test_a_dimension_that_only_the_look_defines_is_refused_by_both(world: World) -> None:
    world.add_pull("flights", source=sources(world, [*FIELDS], dynamic_fields=OWN)["look"], load=windows("own_day"))

    (finding,) = [each for each in findings(world) if each.subject == CURSOR]

    assert world.run_pull("flights").code == "cursor_unfit"
    assert (finding.colour, "no dimension own_day" in finding.what) == ("red", True)


def test_an_explore_that_cannot_be_read_is_red_because_a_pull_reads_it_too(world: World) -> None:
    world.add_pull("flights", source={"look": "12"}, load=windows("flights.day"))
    world.looker_server.fault(r"GET /api/4\.0/lookml_models/", times=-1, refuse=Response(404))

    error = world.run_pull("flights").error
    (finding,) = [each for each in findings(world) if each.subject == CURSOR]

    assert (finding.colour, finding.what) == ("red", error["message"])


@pytest.mark.parametrize("resource", ["queries", "users"])
def test_a_resource_has_no_cursor_for_both(world: World, resource: str) -> None:
    world.add_pull("flights", source={"resource": resource}, load=windows("history.first_query_date"))

    found = [each for each in findings(world) if each.subject == "pulls.flights.load.incremental"]

    assert world.run_pull("flights").code == "bridge_file_invalid"
    assert [each.colour for each in found] == ["red"]


@pytest.mark.parametrize("kind", ["look", "query", "explore"])
def test_a_cursor_that_a_pull_takes_is_green(world: World, kind: str) -> None:
    world.add_pull("flights", source=sources(world, [*FIELDS])[kind], load=windows("flights.day"))

    assert [each.colour for each in findings(world) if each.subject == CURSOR] == ["green"]
    assert world.run_pull("flights", preview=True).status == 200
