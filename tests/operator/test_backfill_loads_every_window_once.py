"""`bridge backfill` loads all windows of an incremental pull, on this machine or by the deployed function."""

import json
import signal
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from werkzeug.datastructures import Headers

import looker_pull
from common.runs.receipts import Receipt
from local import backfill
from local.backfill import BackfillStep
from local.sandbox.wire import Response
from looker_pull import PullCall
from tests.support.command_line import BRIDGE, run_deployed
from tests.support.settling import expire_leases
from tests.support.trips import Trip, Trips, told
from tests.support.world import PULL_RUN, PUSH, World

pytestmark = pytest.mark.long

ROWS = [Trip(number, datetime(2025, 12, 20) + timedelta(days=number)) for number in range(1, 60)]  # noqa: DTZ001


@pytest.fixture
def trips(world: World) -> Trips:
    trips = Trips(world, repeatable=False, start="2025-12-01", window="1 week")
    trips.put(ROWS)
    return trips


def test_all_windows_land_and_a_second_backfill_loads_nothing(trips: Trips) -> None:
    first, second = run_deployed("backfill", "trips"), run_deployed("backfill", "trips")

    assert (first.status, second.status) == (0, 0), first.errors + second.errors
    assert trips.landed() == told(ROWS)
    assert first.output.startswith("trips: all windows up to ")
    assert first.output.endswith(" have landed, 59 rows read.\n")
    assert second.output.endswith(" have landed, 0 rows read.\n")
    assert "up to 2025-12-08 00:00:00, 0 rows" in first.errors


def test_the_deployed_function_can_load_the_windows(world: World, trips: Trips) -> None:
    done = run_deployed("backfill", "trips", "--function", world.addresses["pull"], "--json")

    assert done.status == 0, done.errors
    assert trips.landed() == told(ROWS)
    answers = [json.loads(line) for line in done.output.splitlines()]
    assert answers[-1]["progress"]["done"]
    assert sum(answer["progress"]["rows"]["inserted"] or 0 for answer in answers) == len(ROWS)
    assert len(answers) < 8, "a call loads as many windows as fit into 15 seconds"


def test_after_a_kill_it_continues_with_the_first_window_that_has_not_landed(world: World, trips: Trips) -> None:
    process = subprocess.Popen([BRIDGE, "backfill", "trips"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill() -> None:
        process.send_signal(signal.SIGKILL)
        process.wait()

    world.pigment_server.fault(PUSH, after=3, then=kill, reset_after=True)
    process.wait()
    some = trips.landed()
    assert 0 < sum(some.values()) < len(ROWS)
    expire_leases(world)

    done = run_deployed("backfill", "trips")

    # Pigment may have accepted the interrupted push, so a person has to settle it.
    assert (done.status, "landing_unknown" in done.output) == (1, True)
    run = next(receipt["run"] for receipt in world.receipts("trips") if receipt["outcome"] == "unknown")
    assert run_deployed("settle", run, "--landed").status == 0
    assert run_deployed("backfill", "trips").status == 0
    assert trips.landed() == told(ROWS)


def test_from_and_to_load_a_range_again(world: World) -> None:
    trips = Trips(world, repeatable=True, start="2025-12-01")
    trips.put(ROWS)
    assert run_deployed("backfill", "trips").status == 0
    corrected = [Trip(row.id, row.updated, "corrected") for row in ROWS]
    trips.put(corrected)

    done = run_deployed("backfill", "trips", "--from", "2026-01-01", "--to", "2026-02-01")

    assert done.status == 0, done.errors
    january = {row.id for row in ROWS if row.updated.month == 1}
    assert trips.landed() == told(corrected[at] if row.id in january else row for at, row in enumerate(ROWS))


def test_a_preview_shows_the_rows_of_every_window_and_sends_nothing(world: World, trips: Trips) -> None:
    shown = run_deployed("backfill", "trips", "--preview", "--to", "2026-01-12")

    assert shown.status == 0, shown.errors
    lines = [line.split() for line in shown.output.splitlines()]
    assert lines[2:] == [
        ["2025-12-15", "00:00:00", "2025-12-22", "00:00:00", "1"],
        ["2025-12-22", "00:00:00", "2025-12-29", "00:00:00", "7"],
        ["2025-12-29", "00:00:00", "2026-01-05", "00:00:00", "7"],
        ["2026-01-05", "00:00:00", "2026-01-12", "00:00:00", "7"],
        ["6", "windows", "22"],
    ]
    assert world.imports == []
    assert trips.landed() == {}


def test_errors_exit_with_1_and_say_what_is_wrong(world: World, trips: Trips) -> None:
    assert trips.landed() == {}
    unknown_job = run_deployed("backfill", "nothing")
    full_load = run_deployed("backfill", "flights", "--from", "2026-01-01", "--json")
    unreachable = run_deployed("backfill", "trips", "--function", "http://127.0.0.1:9")
    not_a_function = run_deployed("backfill", "trips", "--function", world.looker_server.url)

    assert unknown_job.errors.startswith("error: no_such_job\n")
    assert full_load.errors.startswith("error: malformed_request\nOnly an incremental pull can load a range")
    assert world.receipts("flights") == world.receipts("trips") == []
    assert unreachable.errors.startswith("error: malformed_request\nThe function cannot be reached: ")
    assert "The address answered 404, but not in the format of the function." in not_a_function.errors
    assert {each.status for each in (unknown_job, full_load, unreachable, not_a_function)} == {1}


class TestTheLoop:
    def test_backfill_waits_for_a_busy_vendor_and_continues(self, world: World, trips: Trips) -> None:
        world.looker_server.fault(PULL_RUN, after=2, times=3, refuse=Response(503, headers={"Retry-After": "900"}))
        waited: list[float] = []

        steps = list(load(waited))

        assert isinstance(steps[-1], BackfillStep)
        assert trips.landed() == told(ROWS)
        assert waited == [900.0] * 3

    def test_backfill_ends_after_ten_waits_in_a_row(self, world: World, trips: Trips) -> None:
        world.looker_server.fault(PULL_RUN, times=-1, refuse=Response(503, headers={"Retry-After": "900"}))
        waited: list[float] = []

        steps = list(load(waited))

        (last,) = steps
        assert isinstance(last, Receipt)
        assert last.error is not None
        assert last.error.code == "looker_busy"
        assert waited == [900.0] * 10
        assert trips.landed() == {}

    def test_backfill_waits_while_pigment_imports(self, world: World, trips: Trips) -> None:
        world.pause_imports()
        waited: list[float] = []

        def wait(seconds: float) -> None:
            waited.append(seconds)
            world.resume_imports()
            for each in world.imports:
                world.pigment.finished(each.id)

        steps = list(backfill.load(act, PullCall("trips"), wait))

        assert isinstance(steps[-1], BackfillStep)
        assert waited == [5.0]
        assert trips.landed() == told(ROWS)

    def test_backfill_yields_a_growing_share(self, trips: Trips) -> None:
        steps = [step for step in load([]) if isinstance(step, BackfillStep)]

        shares = [backfill.completed_share(step.progress, "2025-12-01 00:00:00") for step in steps]
        assert shares == sorted(shares)
        assert (shares[0] < 0.1, shares[-1]) == (True, 1.0)
        assert [step.rows for step in steps] == sorted(step.rows for step in steps)
        assert trips.landed() == told(ROWS)


def act(call: PullCall) -> Receipt:
    return looker_pull.act(call, Headers())


def load(waited: list[float]) -> Iterator[BackfillStep | Receipt]:
    return backfill.load(act, PullCall("trips"), waited.append)
