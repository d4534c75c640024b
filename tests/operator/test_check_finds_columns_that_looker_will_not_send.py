"""`bridge check` finds columns of bridge.yaml that the query does not select, before a run fails without them."""

import json
from typing import Any

import pytest

from local import checks
from local.checks import Finding
from tests.support.world import CONFIGURATION, FIELDS, HEADER, World

LIST = "9c8b7a6d-5e4f-4a3b-8c2d-1e0f9a8b7c6d"


def columns_found(world: World, **job: Any) -> list[Finding]:
    """Return what is found of the columns that a pull names."""
    world.add_pull("flights", **job)
    (world.folder / "bridge.yaml").write_text(json.dumps(world.raw))
    found = checks.findings(world.folder / "bridge.yaml", world.instance)
    return [each for each in found if "The query selects no field" in each.what]


@pytest.mark.parametrize(
    ("key", "job"),
    [
        ("target.columns", {"target": {"columns": {"Flights Month": "Month", HEADER[1]: "Carrier"}}}),
        ("load.changes.key", {"load": {"changes": {"key": ["Flights Month"]}}, "target": {"repeatable": True}}),
        ("known.columns", {"known": {"columns": {"Flights Month": {"list": LIST, "property": "Code"}}}}),
        ("verify.key", {"verify": {"source": {"list": LIST}, "key": ["Flights Month"]}}),
        (
            "verify.columns",
            {"verify": {"source": {"list": LIST}, "key": HEADER[:1], "columns": {"Flights Month": "Month"}}},
        ),
        ("verify.ignore", {"verify": {"source": {"list": LIST}, "key": HEADER[:1], "ignore": ["Flights Month"]}}),
    ],
)
def test_a_column_that_is_not_selected_is_named_with_the_others(world: World, key: str, job: dict[str, Any]) -> None:
    (found,) = columns_found(world, **job)

    assert (found.colour, found.subject) == ("yellow", f"pulls.flights.{key}")
    assert "whose label is Flights Month." in found.what
    assert all(name in found.next_step for name in HEADER)


def test_columns_that_are_selected_are_not_mentioned(world: World) -> None:
    verify = {"source": {"list": LIST}, "key": HEADER[:2], "ignore": HEADER[3:]}

    assert columns_found(world, verify=verify, target={"columns": {name: name for name in HEADER}}) == []


def test_a_name_that_looks_the_same_is_told_apart(world: World) -> None:
    (found,) = columns_found(world, target={"columns": {"Flights\u00a0Day": "Day"}})

    assert found.next_step.startswith("Write ")


@pytest.mark.parametrize(
    "query",
    [
        {"pivots": ["flights.carrier"]},
        {"dynamic_fields": json.dumps([{"dimension": "own", "expression": "1", "label": "Flights Month"}])},
    ],
)
def test_nothing_is_said_of_a_query_whose_headers_are_not_known(world: World, query: dict[str, Any]) -> None:
    fields = [*FIELDS, "own"] if "dynamic_fields" in query else FIELDS
    world.looker.look("12", "Flights", "nyc", "flights", fields, **query)

    assert columns_found(world, source={"look": "12"}, target={"columns": {"Flights Month": "Month"}}) == []


def test_the_run_fails_as_was_foreseen(world: World) -> None:
    job = {"target": {"configuration": CONFIGURATION, "columns": {"Flights Month": "Month"}}}

    assert columns_found(world, **job)
    assert world.run_pull("flights").code == "columns_changed"
