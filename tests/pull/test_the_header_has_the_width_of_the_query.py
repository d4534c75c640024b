"""Without pivots and calculations, the header has as many columns as the query has fields."""

import json

import pytest

from tests.support.world import HEADER, PULL_RUN, ROWS, World

PROSE = b"The warehouse is asleep.\nPlease call again tomorrow.\n"


@pytest.mark.parametrize("min_rows", [1, 0])
@pytest.mark.parametrize("lines", [1, 2])
def test_an_answer_of_prose_is_refused(world: World, min_rows: int, lines: int) -> None:
    world.add_pull("flights", guards={"min_rows": min_rows})
    world.looker_server.fault(PULL_RUN, replace=b"".join(PROSE.splitlines(keepends=True)[:lines]))

    answer = world.run_pull("flights")

    assert (answer.status, answer.code) == (502, "query_failed"), answer.body
    assert "it has 1 columns, the query selects 4 fields" in answer.error["message"]
    assert "target.columns" in answer.error["next_step"]
    assert "asleep" not in json.dumps(answer.body)
    assert world.imports == []


def test_a_window_without_the_querys_header_is_refused(world: World) -> None:
    start = {"cursor": "flights.day", "start": "2013-01-01", "window": "1 month"}
    world.add_pull("flights", load={"incremental": start}, target={"repeatable": True}, guards={"min_rows": 0})
    world.looker_server.fault(PULL_RUN, replace=PROSE)

    assert world.run_pull("flights").code in ("query_failed", "columns_changed")


def test_a_field_that_is_named_twice_is_one_column(world: World) -> None:
    world.looker.look("12", "Flights", "nyc", "flights", ["flights.carrier", "flights.day", "flights.carrier"])

    answer = world.run_pull("flights", preview=True)

    assert answer.status == 200, answer.body


def test_columns_that_the_job_names_are_found_among_others(world: World) -> None:
    world.add_pull("flights", target={"columns": {name: name for name in HEADER}})
    rows = "".join(f"{number},x,{day},{carrier},a,1\n" for number, (day, carrier, *_) in enumerate(ROWS))
    world.looker_server.fault(PULL_RUN, replace=f"Row,Mode,{','.join(HEADER)}\n{rows}".encode())

    answer = world.run_pull("flights", preview=True)

    assert answer.status == 200, answer.body
    assert "left out: Row, Mode" in answer.receipt["warnings"][0]
