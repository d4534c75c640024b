"""Parts of a Look that the bridge does not send do not keep its rows from landing."""

import json
from typing import Any

import pytest

from tests.support.world import FIELDS, ROWS, World

DISABLED = {"table_calculation": "double", "expression": "${flights.delay} * 2", "is_disabled": True}
MEASURE = {"measure": "days", "based_on": "flights.day", "type": "count_distinct", "label": "Days"}

HARMLESS: dict[str, dict[str, Any]] = {
    "row totals without pivots": {"row_total": "right"},
    "row totals of an empty list of pivots": {"row_total": "right", "pivots": []},
    "a disabled table calculation": {"dynamic_fields": json.dumps([DISABLED])},
    "a disabled table calculation that sorts": {
        "dynamic_fields": json.dumps([DISABLED]),
        "sorts": ["double desc", "flights.day"],
    },
}


@pytest.mark.parametrize("look", HARMLESS.values(), ids=HARMLESS)
def test_a_look_lands_without_what_is_not_sent(world: World, look: dict[str, Any]) -> None:
    world.put_flights(ROWS, **look)

    assert world.run_pull("flights").body["outcome"] == "landed"
    (run,) = [each for each in world.looker_server.exchanges if each.path.endswith("/queries/run/csv")]
    assert b"table_calculation" not in run.body


def test_custom_fields_beside_a_disabled_table_calculation_are_sent(world: World) -> None:
    world.put_flights(ROWS)
    world.looker.look(
        "12",
        "Flights",
        "nyc",
        "flights",
        [*FIELDS[1:2], "days", "double"],
        dynamic_fields=json.dumps([DISABLED, MEASURE]),
    )

    preview = world.run_pull("flights", preview=True).receipt["preview"]

    assert preview["header"] == ["Flights Carrier", "Days"]


def test_an_enabled_table_calculation_beside_a_disabled_one_is_refused(world: World) -> None:
    enabled = {"table_calculation": "half", "expression": "${flights.delay} / 2", "is_disabled": False}
    world.put_flights(ROWS, dynamic_fields=json.dumps([DISABLED, enabled]))

    answer = world.run_pull("flights")

    assert answer.code == "cannot_stream"
    assert "(half)" in answer.error["message"]
