"""`bridge runs` lists the newest runs. What it costs does not depend on how many there were before."""

import json
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from common.runs import receipts
from tests.support.command_line import run_deployed
from tests.support.world import World

NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def add_runs(world: World, job: str, days: int, *, each_day: int = 1, until: datetime = NOON) -> list[str]:
    """Store receipts of the days before a moment; return the ids of their runs, newest first."""
    moments = [until - timedelta(days=day, minutes=number) for day in range(days) for number in range(each_day)]
    runs = []
    for moment in moments:
        run = receipts.run_id(moment, 0.5)
        receipts.file(world.bucket, receipts.begin(run, job, "pull", moment))
        runs.append(run)
    return runs


def listed(*arguments: str) -> list[tuple[str, str]]:
    result = run_deployed("runs", *arguments, "--json")
    assert result.status == 0, result.errors
    return [(each["job"], each["run"]) for each in json.loads(result.output)]


class ListingCost(NamedTuple):
    requests: list[str]
    names: int
    "The number of objects that the answers list."


def cost(world: World, *arguments: str) -> ListingCost:
    """What one listing asks of storage."""
    world.storage_server.keep_bytes, world.storage_server.exchanges = 1 << 20, []
    listed(*arguments)
    world.storage_server.keep_bytes = 0
    # Google's client looks the bucket up on a thread of its own.
    exchanges = [each for each in world.storage_server.exchanges if each.path != "/storage/v1/b/bucket"]
    answers = [json.loads(each.answer) for each in exchanges if each.path.endswith("/o")]
    return ListingCost([each.path for each in exchanges], sum(len(answer.get("items", [])) for answer in answers))


def test_the_newest_runs_of_all_jobs_are_listed(world: World) -> None:
    flights = add_runs(world, "flights", 3, each_day=4)
    sales = add_runs(world, "sales", 30, until=NOON - timedelta(hours=1))
    newest_first = sorted([(run, "flights") for run in flights] + [(run, "sales") for run in sales], reverse=True)

    assert listed() == [(job, run) for run, job in newest_first[:20]]
    assert listed("--last", "5") == [(job, run) for run, job in newest_first[:5]]
    assert len(listed("--last", "1000")) == 42


def test_the_newest_runs_of_one_job_are_listed(world: World) -> None:
    flights = add_runs(world, "flights", 30)
    add_runs(world, "flights-daily", 2)

    assert listed("flights") == [("flights", run) for run in flights[:20]]
    assert listed("flights", "--last", "1") == [("flights", flights[0])]


@pytest.mark.long
def test_earlier_days_cost_nothing(world: World) -> None:
    add_runs(world, "flights", 25)
    add_runs(world, "sales", 2)
    before = [cost(world), cost(world, "flights")]

    add_runs(world, "flights", 375, until=NOON - timedelta(days=25))

    after = [cost(world), cost(world, "flights")]
    assert [(len(each.requests), each.names) for each in after] == [(len(each.requests), each.names) for each in before]
    assert max(len(each.requests) for each in after) < 50


def test_a_busy_day_is_listed_without_the_days_before(world: World) -> None:
    add_runs(world, "flights", 2, each_day=25)

    found = cost(world, "flights")

    assert found.names == 25
    # The leases, the held runs, the days, those of the last day, and twenty receipts.
    assert len(found.requests) == 24, found.requests


@pytest.mark.usefixtures("world")
def test_no_runs_are_said_to_be_none() -> None:
    assert run_deployed("runs").output == "There are no runs.\n"
    assert run_deployed("runs", "flights").output == "There are no runs of flights.\n"
    assert listed() == []
