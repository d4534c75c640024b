"""An interrupted `bridge backfill --from` is continued by the same command, and by no other."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from werkzeug.datastructures import Headers

import looker_pull
from local import backfill as local_backfill
from local.sandbox.pigment import BlockColumn
from local.sandbox.wire import Response
from looker_pull import PullCall
from tests.support.command_line import run_deployed
from tests.support.trips import Trip, Trips, told
from tests.support.world import PUSH, World

ROWS = [Trip(number, datetime(2025, 10, 5) + timedelta(days=14 * number), "old") for number in range(10)]  # noqa: DTZ001
RESTATED = [Trip(row.id, row.updated, "new") for row in ROWS]
JOB: dict[str, Any] = {"cursor": "trips.updated", "start": "2025-10-01", "window": "1 month"}
FROM = ("--from", "2025-10-01")


@pytest.fixture
def trips(world: World) -> Trips:
    """All rows have landed, and a backfill of them has ended after two windows."""
    trips = Trips(world, repeatable=True, **JOB)
    trips.put(ROWS)
    assert run_deployed("backfill", "trips", clock=world.clock).status == 0
    stopped = world.run_pull("trips", from_=FROM[1], windows=2)
    assert stopped.receipt["progress"]["reached"] == "2025-12-01 00:00:00"
    world.clock.advance(10 * 86400)
    return trips


def backfill(world: World, *arguments: str) -> str:
    done = run_deployed("backfill", "trips", *arguments, clock=world.clock)
    assert done.status == 0, done.errors
    return done.errors + done.output


def test_the_same_range_is_continued_and_the_command_says_so(world: World, trips: Trips) -> None:
    trips.put(RESTATED)

    said = backfill(world, *FROM)

    assert "An interrupted backfill of this range continues at 2025-12-01 00:00:00. --restart loads all of it" in said
    assert trips.landed() == told(ROWS[:5] + RESTATED[5:])


def test_a_restart_loads_all_of_the_range(world: World, trips: Trips) -> None:
    trips.put(RESTATED)

    said = backfill(world, *FROM, "--restart")

    assert "continues" not in said
    assert trips.landed() == told(RESTATED)


def test_a_shorter_range_is_loaded_from_its_beginning(world: World, trips: Trips) -> None:
    trips.put(RESTATED)

    said = backfill(world, *FROM, "--to", "2025-11-01")

    assert "continues" not in said
    assert trips.landed() == told(RESTATED[:2] + ROWS[2:])


def test_another_configuration_gets_all_rows(world: World, trips: Trips) -> None:
    block = world.pigment.block(world.pigment.application("Planning"), "new list")
    columns: list[BlockColumn | str] = [BlockColumn("Trips Id"), "Trips Note"]
    trips.configuration = world.pigment.configuration(block, columns, unique=["Trips Id"])
    trips.change(repeatable=True, **JOB)
    (warning,) = world.run_pull("trips").receipt["warnings"]
    assert warning.endswith("run `bridge backfill trips --from …` for that.")

    said = backfill(world, *FROM)

    assert "continues" not in said
    assert trips.landed() == told(ROWS)


@pytest.mark.parametrize("runs_between", [0, 1])
def test_in_another_time_zone_it_begins_again(world: World, trips: Trips, runs_between: int) -> None:
    trips.put(RESTATED)
    trips.change(repeatable=True, query_timezone="America/New_York", **JOB)
    for _ in range(runs_between):
        world.run_pull("trips")

    said = backfill(world, *FROM)

    assert "continues" not in said
    assert trips.landed() == told(RESTATED)


@pytest.mark.usefixtures("trips")
def test_a_restart_needs_a_range(world: World) -> None:
    done = run_deployed("backfill", "trips", "--restart", clock=world.clock)

    assert done.status == 1
    assert done.errors.startswith("error: malformed_request\n`restart` is for a range that begins at `from`.")


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_after_a_backfill_in_another_time_zone_the_load_continues_where_it_was(world: World, zone: str) -> None:
    job: dict[str, Any] = {"start": "2026-02-01", "window": "1 week"}
    trips = Trips(world, repeatable=True, **job)
    rows = [Trip(number, datetime(2026, 2, 20) + timedelta(hours=number)) for number in range(24 * 12)]  # noqa: DTZ001
    trips.put([row for row in rows if row.updated < world.clock.now().replace(tzinfo=None)])
    world.run_pull("trips")
    world.clock.advance(3 * 86400)
    trips.change(repeatable=True, cursor="trips.updated", query_timezone=zone, **job)
    trips.put(rows)

    backfill(world, "--from", "2026-02-22", "--to", "2026-02-24")
    world.run_pull("trips")

    assert trips.landed() == told(rows)


def test_a_restart_that_has_to_wait_is_one_all_the_same(world: World, trips: Trips) -> None:
    trips.put(RESTATED)
    busy = Response(429, headers={"Retry-After": "400"})
    world.pigment_server.fault(PUSH, times=2, refuse=busy)
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        world.clock.advance(seconds)

    call = PullCall("trips", from_=FROM[1], restart=True)
    steps = list(local_backfill.load(lambda each: looker_pull.act(each, Headers()), call, wait))

    assert isinstance(steps[-1], local_backfill.BackfillStep)
    assert trips.landed() == told(RESTATED)


def test_an_append_is_not_loaded_from_its_start_after_a_range(world: World) -> None:
    trips = Trips(world, repeatable=True, **JOB)
    trips.put(ROWS)
    backfill(world, *FROM)
    before = trips.landed()
    trips.change(repeatable=False, **JOB)

    answer = world.run_pull("trips")

    assert answer.code == "cursor_unfit"
    assert "only a range was loaded until now" in answer.error["message"]
    assert trips.landed() == before


def test_a_range_of_several_windows_is_compared_with_all_of_them(world: World) -> None:
    trips = Trips(world, repeatable=True, **JOB)
    trips.put(ROWS)
    (block,) = (block.id for block in world.pigment.blocks() if block.name == "trips")
    world.raw["pulls"]["trips"]["verify"] = {"source": {"list": block}, "key": ["Trips Id"]}
    world.save_jobs()

    backfill(world, *FROM, "--to", "2026-02-15")

    verdicts = [receipt["verified"] for receipt in world.receipts("trips")]
    assert "equal" in verdicts
    assert "differs" not in verdicts
