"""Looker may answer without rows by a header or by nothing. Nothing counts as no rows once Looker has said so."""

import json
from datetime import datetime
from typing import Any

import pytest

from tests.support.trips import Trip, Trips, told
from tests.support.world import HEADER, PULL_RUN, ROWS, World

DETAIL = r"POST /api/4\.0/queries/run/json_detail"
FAR_APART = [Trip(1, datetime.fromisoformat("2026-01-05")), Trip(2, datetime.fromisoformat("2026-02-25 12:00"))]


def asked_again(world: World) -> list[Any]:
    runs = [each for each in world.looker_server.exchanges if each.path == "/api/4.0/queries/run/json_detail"]
    return [(json.loads(run.body)["limit"], run.query["limit"][0]) for run in runs]


@pytest.fixture
def silent(world: World) -> World:
    """A Looker that answers a query without rows by nothing."""
    world.looker.readings.header_without_rows = False
    return world


@pytest.mark.parametrize("header_without_rows", [True, False])
@pytest.mark.parametrize("repeatable", [True, False], ids=["repeatable", "append"])
def test_the_load_goes_on_behind_an_empty_window(world: World, header_without_rows: bool, repeatable: bool) -> None:
    world.looker.readings.header_without_rows = header_without_rows
    trips = Trips(world, repeatable=repeatable, window="1 week")
    trips.put(FAR_APART)

    answer = world.run_pull("trips")

    assert answer.status == 200, answer.body
    assert trips.landed() == told(FAR_APART)
    assert (asked_again(world) == []) is header_without_rows


def test_a_window_that_is_empty_to_the_end_moves_the_cursor_and_keeps_the_header(silent: World) -> None:
    trips = Trips(silent, repeatable=True)
    trips.put(FAR_APART)
    silent.run_pull("trips")
    silent.clock.sleep(40 * 86_400)

    assert silent.run_pull("trips").body["outcome"] == "nothing_new"
    trips.put([*FAR_APART, Trip(3, silent.clock.now().replace(tzinfo=None))])
    silent.clock.sleep(86_400)
    answer = silent.run_pull("trips")

    assert (answer.body["rows"]["sent"], answer.body["warnings"]) == (1, []), answer.body


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n", b"\xef\xbb\xbf"])
def test_nothing_in_place_of_rows_is_still_a_cut(world: World, content: bytes) -> None:
    """A gateway that loses the whole body ends its answer just as properly."""
    world.add_pull("flights", guards={"min_rows": 0})
    world.looker_server.fault(PULL_RUN, times=-1, replace=content)

    answer = world.run_pull("flights")

    assert (answer.status, answer.code) == (502, "stream_cut"), answer.body
    assert "nothing, but has rows" in answer.error["message"]
    assert asked_again(world) == [("1", "1")]
    assert world.imports == []


def test_an_answer_that_breaks_off_is_not_asked_about(silent: World) -> None:
    silent.put_flights([])
    silent.looker_server.fault(PULL_RUN, replace=b"Flights Day\n", cut_after_bytes=0)

    assert silent.run_pull("flights").code == "stream_cut"
    assert asked_again(silent) == []


def test_an_error_of_the_database_is_no_empty_answer(silent: World) -> None:
    silent.put_flights([])
    failed = {"fields": {"dimensions": [], "measures": []}, "data": [], "errors": [{"message": "SQL Error"}]}
    silent.looker_server.fault(DETAIL, replace=json.dumps(failed).encode())

    answer = silent.run_pull("flights")

    assert (answer.status, answer.code) == (502, "query_failed"), answer.body


@pytest.mark.parametrize("found", [b"[]", b"{}", b"", b'{"fields": {"dimensions": []}, "data": [], "errors": null}'])
def test_an_answer_of_another_shape_proves_nothing(silent: World, found: bytes) -> None:
    silent.put_flights([])
    silent.looker_server.fault(DETAIL, replace=found)

    assert silent.run_pull("flights").code in ("answer_not_understood", "stream_cut")


@pytest.mark.parametrize("load", ["full", {"changes": {"key": HEADER[:3]}}], ids=["full", "changes"])
def test_guards_judge_it_as_a_header_without_rows(silent: World, load: Any) -> None:
    silent.add_pull("flights", load=load, target={"repeatable": True})
    assert silent.run_pull("flights").body["outcome"] == "landed"
    silent.put_flights([])

    assert silent.run_pull("flights").code == "too_few_rows"

    silent.add_pull("flights", load=load, target={"repeatable": True}, guards={"min_rows": 0})
    answer = silent.run_pull("flights")
    assert (answer.body["outcome"], answer.body["warnings"]) == ("nothing_new", []), answer.body
    assert len(silent.imports) == 1
    silent.put_flights(ROWS)
    assert silent.run_pull("flights").status == 200
