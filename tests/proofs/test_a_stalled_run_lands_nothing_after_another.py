"""A process that is stopped for longer than its lease lasts, while another run takes over, lands nothing afterwards."""

import json
import os
from datetime import datetime

import pytest

from common.runs.leases import LIFETIME_S
from tests.support.kills import AT_EVERY_WRITE, DELIVER, ProcessCall, Processes, StopPoint, When
from tests.support.settling import settle
from tests.support.trips import Trip, Trips, told
from tests.support.world import CONFIGURATION, HEADER, PUSH, STORAGE_WRITES, World, delivery

pytestmark = pytest.mark.long

SCHEDULE_EVENT = {"X-CloudScheduler-ScheduleTime": "2026-03-01T06:15:00Z"}
PULL = ProcessCall.of_job("pull", "flights", SCHEDULE_EVENT)
LATER_PULL = ProcessCall.of_job("pull", "flights", {"X-CloudScheduler-ScheduleTime": "2026-03-01T07:15:00Z"})
OLD, NEW = ["2013-01-01", "UA", "EWR", "1"], ["2013-01-02", "AA", "JFK", "2"]


def take_over(world: World, call: ProcessCall, configuration: str) -> None:
    """Call another instance after the lease has expired, and settle unknown runs as a person does."""
    world.clock.advance(LIFETIME_S + 1)
    for _ in range(4):
        answer = world.call_function(call.function, headers=call.headers, **json.loads(call.body))
        if answer.status == 200 or not settle(world, configuration):
            return


def fresh_flights(world: World, repeatable: bool) -> str:
    """Add a pull with an empty list."""
    block = world.pigment.block(world.pigment.application("Planning"), f"Flights {os.urandom(4).hex()}")
    configuration = world.pigment.configuration(block, HEADER, clear="all" if repeatable else "none")
    for name in world.objects(""):
        world.bucket.delete(name)
    world.put_flights([OLD])
    world.add_pull("flights", target={"repeatable": repeatable, "configuration": configuration})
    return configuration


@pytest.mark.parametrize(
    "repeatable", [pytest.param(True, id="repeatable", marks=pytest.mark.slow), pytest.param(False, id="append")]
)
@pytest.mark.parametrize("when", AT_EVERY_WRITE)
def test_a_pull_stopped_at_any_write(world: World, processes: Processes, when: When, repeatable: bool) -> None:
    steps, is_hit = 0, True
    while is_hit:
        configuration = fresh_flights(world, repeatable)

        def new_rows_land(configuration: str = configuration) -> None:
            world.put_flights([NEW])
            take_over(world, PULL, configuration)

        point = StopPoint(world.storage_server, STORAGE_WRITES, steps, when)
        is_hit = processes.stalls(world, PULL, point, new_rows_land)
        take_over(world, PULL, configuration)
        assert len(world.pigment.rows(configuration)) == 1, steps
        assert world.objects("leases/") == [], steps
        steps += 1
    assert steps > 7


@pytest.mark.slow
@pytest.mark.parametrize("when", ["after", "before"])
def test_a_pull_through_a_bucket_stopped_at_any_write(world: World, processes: Processes, when: When) -> None:
    """The file of the later run stays in the bucket that Pigment reads."""
    world.storage.create_bucket("connector")
    file = world.folder / "state" / "connector" / "flights.csv"
    steps, is_hit = 0, True
    while is_hit:
        fresh_flights(world, repeatable=False)
        block = world.pigment.block(world.pigment.application("Planning"), f"Connector {os.urandom(4).hex()}")
        configuration = world.pigment.configuration(block, HEADER, source=lambda: file)
        way = {"via": "storage", "bucket": "connector", "path": "flights.csv"}
        world.add_pull("flights", target={"configuration": configuration, **way})

        def new_rows_land(configuration: str = configuration) -> None:
            world.put_flights([NEW])
            take_over(world, LATER_PULL, configuration)

        point = StopPoint(world.storage_server, STORAGE_WRITES, steps, when)
        is_hit = processes.stalls(world, PULL, point, new_rows_land)
        new_rows_land()
        landed = [list(row.values()) for row in world.pigment.rows(configuration)]
        # Stopped before it had the lease, the run begins after the other one: each of the three calls lands its rows.
        assert landed.count(NEW) == (3 if (when, steps) == ("before", 0) else 1), steps
        assert OLD not in landed[1:], steps
        assert ",".join(NEW) in file.read_text(), steps
        assert world.objects("leases/") == [], steps
        steps += 1
    assert steps > 8


def test_a_pull_stopped_in_the_middle_of_its_push(world: World, processes: Processes) -> None:
    # The file exceeds the buffers of a connection, so the process waits until Pigment reads more.
    world.put_flights([["2013-01-01", "UA", "x" * 8000, str(number)] for number in range(4000)])

    def another_run_lands() -> None:
        world.put_flights([NEW])
        take_over(world, PULL, CONFIGURATION)

    point = StopPoint(world.pigment_server, PUSH, 0, "before")
    assert processes.stalls(world, PULL, point, another_run_lands)

    assert world.landed_rows() == [NEW]
    assert len(world.imports) == 1
    assert world.receipts()[0]["error"]["code"] == "run_interrupted"
    assert world.objects("leases/") == []


@pytest.mark.slow
@pytest.mark.parametrize("when", ["after", "before"])
def test_an_incremental_append_stopped_at_any_write(world: World, processes: Processes, when: When) -> None:
    rows = [Trip(number, datetime(2026, 1, 1 + number)) for number in range(1, 4)]  # noqa: DTZ001  # wall-clock times
    steps, is_hit = 0, True
    while is_hit:
        name = f"trips_{os.urandom(4).hex()}"
        call = ProcessCall.of_job("pull", name)
        trips = Trips(world, repeatable=False, name=name, cursor=f"{name}.id", start=1, window=1)
        trips.put(rows[:1])

        def later_rows_land(trips: Trips = trips, call: ProcessCall = call) -> None:
            trips.put(rows[:2])
            take_over(world, call, trips.configuration)

        is_hit = processes.stalls(
            world, call, StopPoint(world.storage_server, STORAGE_WRITES, steps, when), later_rows_land
        )
        trips.put(rows)
        take_over(world, call, trips.configuration)
        assert trips.landed() == told(rows), steps
        steps += 1
    assert steps > 7


@pytest.mark.slow
@pytest.mark.parametrize("when", ["after", "before"])
def test_a_deliverer_stopped_at_any_write(world: World, processes: Processes, when: When) -> None:
    steps, is_hit = 0, True
    while is_hit:
        relay = f"sales-{os.urandom(4).hex()}"
        configuration = world.add_list(relay)
        world.raw |= {"pulls": {}, "relays": {}}
        world.add_relay(relay, target={"configuration": configuration})
        for number in range(2):
            assert world.post_delivery(relay, delivery((str(number), "1"))).status == 200
            world.clock.advance(1)

        def another_deliverer_lands(configuration: str = configuration) -> None:
            take_over(world, DELIVER, configuration)

        point = StopPoint(world.storage_server, STORAGE_WRITES, steps, when)
        is_hit = processes.stalls(world, DELIVER, point, another_deliverer_lands)
        take_over(world, DELIVER, configuration)
        assert [row["Id"] for row in world.pigment.rows(configuration)] == ["0", "1"], steps
        assert world.objects(f"inbox/{relay}/") == world.objects("leases/") == [], steps
        steps += 1
    assert steps > 9
