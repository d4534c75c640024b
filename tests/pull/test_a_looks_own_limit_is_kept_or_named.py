"""A Look with a limit of its own, such as a top 10: all its rows are read with a warning, or the limit is kept."""

import json
from typing import Any

import pytest

from common import bridge_yaml
from common.platform.errors import BridgeFileInvalid
from tests.support.world import PULL_RUN, ROWS, World


def requested(world: World) -> list[tuple[str, str]]:
    """Return the limits that Looker was sent, in the query and in the address."""
    runs = [each for each in world.looker_server.exchanges if each.path == "/api/4.0/queries/run/csv"]
    return [(json.loads(run.body)["limit"], run.query["limit"][0]) for run in runs]


def many(world: World, count: int, limit: str | None) -> None:
    world.put_flights([["2013-01-01", "UA", "EWR", str(number)] for number in range(count)], limit=limit)


def sources(world: World) -> list[dict[str, Any]]:
    slug = world.looker.looks["12"].query.slug
    return [{"look": "12", "limit": "look"}, {"query": slug, "limit": "look"}]


def test_a_limit_that_is_not_applied_is_a_warning(world: World) -> None:
    world.put_flights(ROWS, limit="3")

    answer = world.run_pull("flights")

    assert (answer.status, answer.body["rows"]["sent"]) == (200, 5), answer.body
    (warning,) = answer.body["warnings"]
    assert "a limit of 3 rows, which was not applied: 5 rows were read" in warning
    assert "source.limit" in warning


def test_a_limit_that_looker_saves_with_every_look_is_none(world: World) -> None:
    many(world, 501, "500")

    assert world.run_pull("flights").body["warnings"] == []


@pytest.mark.parametrize("kind", [0, 1], ids=["look", "query"])
@pytest.mark.parametrize(("rows", "limit"), [(9, 3), (3, 3), (2, 3), (600, 500)], ids=str)
def test_a_limit_that_is_kept_is_no_truncation(world: World, kind: int, rows: int, limit: int) -> None:
    many(world, rows, str(limit))
    world.add_pull("flights", source=sources(world)[kind])

    answer = world.run_pull("flights")

    assert (answer.status, answer.body["rows"]["sent"]) == (200, min(rows, limit)), answer.body
    assert requested(world) == [(str(limit), str(limit))]
    assert answer.body["warnings"] == []


def test_another_limit_than_the_kept_one_is_a_truncation(world: World) -> None:
    many(world, 6000, "5500")
    world.looker.permissions = {"access_data"}
    world.add_pull("flights", source={"look": "12", "limit": "look"})

    assert world.run_pull("flights").code == "truncated_at_limit"


def test_more_rows_than_the_kept_limit_are_refused(world: World) -> None:
    many(world, 9, "3")
    world.looker_server.fault(PULL_RUN, append=b"2013-01-01,UA,EWR,9\n")
    world.add_pull("flights", source={"look": "12", "limit": "look"})

    answer = world.run_pull("flights")

    assert answer.code == "answer_not_understood"
    assert "4 rows, and was asked for 3" in answer.error["message"]


@pytest.mark.parametrize("limit", [None, "-1"])
def test_a_look_without_a_limit_to_keep_is_read_whole(world: World, limit: str | None) -> None:
    world.put_flights(ROWS, limit=limit)
    world.add_pull("flights", source={"look": "12", "limit": "look"})

    answer = world.run_pull("flights")

    assert answer.body["rows"]["sent"] == 5
    assert answer.body["warnings"] == ["The Look or query has no row limit of its own, so all rows were read."]


def test_windows_cannot_have_a_limit(world: World) -> None:
    load = {"incremental": {"cursor": "flights.day", "start": "2013-01-01", "window": "1 month"}}
    world.add_pull("flights", source={"look": "12", "limit": "look"}, load=load)

    with pytest.raises(BridgeFileInvalid, match=r"pulls.flights.source.limit: would cut every window"):
        bridge_yaml.decode(world.raw)
