"""Every window selects the cursor, by which Looker then groups. A Look whose rows change by that is refused."""

import json
from datetime import datetime
from typing import Any

import pytest

from tests.support.trips import Trip, Trips, told
from tests.support.world import World

CUSTOM = json.dumps(
    [{"measure": "longest", "based_on": "trips.id", "type": "sum", "label": "Longest", "_kind_hint": "measure"}]
)
JANUARY = [Trip(number, datetime.fromisoformat(f"2026-01-0{number}"), "same") for number in (1, 2, 3)]


def load(world: World, fields: list[str], *, repeatable: bool, **query: Any) -> Trips:
    trips = Trips(world, repeatable=repeatable)
    trips.put(JANUARY)
    world.looker.look("trips", "Trips", "nyc", "trips", fields, **query)
    return trips


def test_a_custom_measure_without_the_cursor_is_refused(world: World) -> None:
    load(world, ["trips.note", "longest"], repeatable=True, dynamic_fields=CUSTOM)

    answer = world.run_pull("trips")

    assert (answer.status, answer.code) == (422, "cursor_unfit"), answer.body
    assert "measures (longest)" in answer.error["message"]
    assert world.imports == []


def test_dynamic_fields_that_cannot_be_read_count_as_measures(world: World) -> None:
    load(world, ["trips.note", "longest"], repeatable=True, dynamic_fields="{")

    answer = world.run_pull("trips")

    assert answer.code == "cursor_unfit", answer.body


@pytest.mark.parametrize("repeatable", [True, False], ids=["repeatable", "append"])
def test_a_measure_beside_the_cursor_is_loaded(world: World, repeatable: bool) -> None:
    fields = ["trips.updated", "longest"]
    load(world, fields, repeatable=repeatable, dynamic_fields=CUSTOM)

    answer = world.run_pull("trips", preview=True)

    assert answer.receipt["rows"]["read"] == 3, answer.body


def test_dimensions_that_repeat_without_the_cursor_are_not_appended(world: World) -> None:
    trips = load(world, ["trips.note"], repeatable=False)

    answer = world.run_pull("trips")

    assert (answer.status, answer.code) == (422, "cursor_unfit"), answer.body
    assert "trips.updated" in answer.error["message"]
    assert "the primary key trips.id" in answer.error["next_step"]
    assert trips.landed() == told([])


def test_a_primary_key_keeps_rows_apart(world: World) -> None:
    trips = load(world, ["trips.id", "trips.note"], repeatable=False)

    answer = world.run_pull("trips")

    assert answer.status == 200, answer.body
    assert trips.landed() == told(JANUARY)
