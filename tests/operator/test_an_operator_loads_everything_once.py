"""`bridge backfill`: the bulk load, window by window, on this machine or at the deployed function."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from werkzeug.datastructures import Headers

import looker_pull
from common.runs.receipts import Receipt
from local import backfill
from local.backfill import Landed
from local.sandbox.wire import Response
from looker_pull import PullCall
from tests.support.settling import let_holds_lapse
from tests.support.trips import Trip, Trips, told
from tests.support.world import PULL_RUN, PUSH, World

BRIDGE = str(Path(sys.executable).parent / "bridge")
ROWS = [Trip(number, datetime(2025, 12, 20) + timedelta(days=number)) for number in range(1, 60)]  # noqa: DTZ001


@pytest.fixture
def trips(world: World) -> Trips:
    trips = Trips(world, repeatable=False, start="2025-12-01", window="1 week")
    trips.put(ROWS)
    return trips


def bridge(*arguments: str) -> subprocess.CompletedProcess[str]:
    """With `BRIDGE_BUCKET` in the environment: as an operator of the deployed bridge."""
    return subprocess.run([BRIDGE, *arguments], capture_output=True, text=True, check=False, timeout=120)


def test_everything_lands_and_a_second_time_nothing_is_left(trips: Trips) -> None:
    first, second = bridge("backfill", "trips"), bridge("backfill", "trips")

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert trips.landed() == told(ROWS)
    assert "everything has landed up to" in first.stdout
    assert "59 rows read" in first.stdout
    assert "0 rows read" in second.stdout
    assert "up to 2025-12-08 00:00:00, 0 rows" in first.stderr


def test_the_deployed_function_does_the_work(world: World, trips: Trips) -> None:
    done = bridge("backfill", "trips", "--function", world.addresses["pull"], "--json")

    assert done.returncode == 0, done.stderr
    assert trips.landed() == told(ROWS)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert answers[-1]["progress"]["done"]
    assert sum(answer["progress"]["rows"]["inserted"] or 0 for answer in answers) == len(ROWS)
    assert len(answers) < 8, "as many windows to a call as fit a quarter of a minute"


def test_killed_it_goes_on_from_what_has_landed(world: World, trips: Trips) -> None:
    process = subprocess.Popen([BRIDGE, "backfill", "trips"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill() -> None:
        process.send_signal(signal.SIGKILL)
        process.wait()

    world.pigment_server.fault(PUSH, after=3, act=kill, reset_before=True)
    process.wait()
    some = trips.landed()
    assert 0 < sum(some.values()) < len(ROWS)
    let_holds_lapse(world)

    done = bridge("backfill", "trips")

    # The push that died on its way is for a person to settle: nobody else can know.
    assert (done.returncode, "landing_unknown" in done.stdout) == (1, True)
    run = next(receipt["run"] for receipt in world.receipts("trips") if receipt["outcome"] == "unknown")
    assert bridge("settle", run, "--not-landed").returncode == 0
    assert bridge("backfill", "trips").returncode == 0
    assert trips.landed() == told(ROWS)


def test_a_stretch_is_loaded_again(world: World) -> None:
    trips = Trips(world, repeatable=True, start="2025-12-01")
    trips.put(ROWS)
    assert bridge("backfill", "trips").returncode == 0
    mended = [Trip(row.id, row.updated, "mended") for row in ROWS]
    trips.put(mended)

    done = bridge("backfill", "trips", "--from", "2026-01-01", "--to", "2026-02-01")

    assert done.returncode == 0, done.stderr
    january = {row.id for row in ROWS if row.updated.month == 1}
    assert trips.landed() == told(mended[at] if row.id in january else row for at, row in enumerate(ROWS))


def test_a_preview_shows_every_window_with_its_rows_and_sends_nothing(world: World, trips: Trips) -> None:
    shown = bridge("backfill", "trips", "--preview", "--to", "2026-01-12")

    assert shown.returncode == 0, shown.stderr
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert lines[2:] == [
        ["2025-12-15", "00:00:00", "2025-12-22", "00:00:00", "1"],
        ["2025-12-22", "00:00:00", "2025-12-29", "00:00:00", "7"],
        ["2025-12-29", "00:00:00", "2026-01-05", "00:00:00", "7"],
        ["2026-01-05", "00:00:00", "2026-01-12", "00:00:00", "7"],
        ["6", "windows", "22"],
    ]
    assert world.imports == []
    assert trips.landed() == {}


def test_what_cannot_be_loaded_is_three_lines(world: World, trips: Trips) -> None:
    assert trips.landed() == {}
    unknown = bridge("backfill", "nothing")
    whole = bridge("backfill", "flights", "--from", "2026-01-01")
    nowhere = bridge("backfill", "trips", "--function", "http://127.0.0.1:9")
    elsewhere = bridge("backfill", "trips", "--function", world.looker_server.url)

    assert "error: no_such_job" in unknown.stderr
    assert "for incremental pulls" in whole.stdout
    assert "cannot be reached" in nowhere.stderr
    assert "answered 404, and not as the function does" in elsewhere.stderr
    assert {each.returncode for each in (unknown, whole, nowhere, elsewhere)} == {1}


class TestTheDriver:
    def test_waits_for_a_busy_vendor_and_goes_on(self, world: World, trips: Trips) -> None:
        world.looker_server.fault(PULL_RUN, after=2, times=3, refuse=Response(503, headers={"Retry-After": "900"}))
        waited: list[float] = []

        steps = list(drive(waited))

        assert isinstance(steps[-1], Landed)
        assert trips.landed() == told(ROWS)
        assert waited == [900.0] * 3

    def test_gives_up_when_that_lasts(self, world: World, trips: Trips) -> None:
        world.looker_server.fault(PULL_RUN, times=-1, refuse=Response(503, headers={"Retry-After": "900"}))
        waited: list[float] = []

        steps = list(drive(waited))

        (last,) = steps
        assert isinstance(last, Receipt)
        assert last.error is not None
        assert last.error.code == "looker_busy"
        assert waited == [900.0] * 10
        assert trips.landed() == {}

    def test_waits_while_pigment_imports(self, world: World, trips: Trips) -> None:
        world.hold_pigment()
        waited: list[float] = []

        def wait(seconds: float) -> None:
            waited.append(seconds)
            world.release_pigment()
            for each in world.imports:
                world.pigment.finished(each.id)

        steps = list(backfill.drive(act, PullCall("trips"), wait))

        assert isinstance(steps[-1], Landed)
        assert waited == [5.0]
        assert trips.landed() == told(ROWS)

    def test_shows_how_far_it_is(self, trips: Trips) -> None:
        steps = [step for step in drive([]) if isinstance(step, Landed)]

        shares = [backfill.share(step.progress, "2025-12-01 00:00:00") for step in steps]
        assert shares == sorted(shares)
        assert (shares[0] < 0.1, shares[-1]) == (True, 1.0)
        assert [step.rows for step in steps] == sorted(step.rows for step in steps)
        assert trips.landed() == told(ROWS)


def act(call: PullCall) -> Receipt:
    return looker_pull.act(call, Headers())


def drive(waited: list[float]) -> Iterator[Landed | Receipt]:
    return backfill.drive(act, PullCall("trips"), waited.append)
