"""A load that sends only a part of the rows destroys the others if the import configuration clears: it stops."""

import dataclasses
import gc
from datetime import datetime, timedelta
from typing import Any

import pytest

from local.sandbox.pigment.model import Clear
from local.sandbox.wire import Response
from tests.support.command_line import run_deployed
from tests.support.kills import DELIVER, Processes, StopPoint
from tests.support.trips import HEADER as TRIPS_HEADER
from tests.support.trips import Trip, Trips, told
from tests.support.world import CONFIGURATION, HEADER, ROWS, World, delivery


def trip(number: int, month: int) -> Trip:
    return Trip(number, datetime(2026, month, 2))  # noqa: DTZ001  # local, as Looker sends it


JANUARY = [trip(1, 1), trip(2, 1)]
FEBRUARY = [trip(3, 2), trip(4, 2), trip(5, 2)]
MARCH = [Trip(6, datetime(2026, 3, 1, 1))]  # noqa: DTZ001
EVERY = [*JANUARY, *FEBRUARY, *MARCH]
COLUMNS = [{name: name} for name in HEADER[:3]]
WRITES = ["lease", "staged file", "pushing", "importing", "receipt", "cursor", "release, or the next lease"]


@dataclasses.dataclass
class Clearing:
    """An incremental pull into a list whose import configuration clears before it imports."""

    world: World
    trips: Trips

    def set_clearing(self, clear: Clear) -> None:
        (configuration,) = (each for each in self.world.pigment.configurations() if each.id == self.trips.configuration)
        self.world.pigment.configuration(
            configuration.block, TRIPS_HEADER, uuid=configuration.id, unique=configuration.unique, clear=clear
        )

    def set_guards(self, **guards: int) -> None:
        self.world.raw["pulls"]["trips"]["guards"] = guards
        self.world.save_jobs()


def clearing(world: World, *, repeatable: bool) -> Clearing:
    trips = Trips(world, repeatable=repeatable)
    trips.put(EVERY)
    cleared = Clearing(world, trips)
    cleared.set_clearing("all")
    return cleared


@pytest.fixture(params=[True, False], ids=["repeatable", "append"])
def cleared(world: World, request: pytest.FixtureRequest) -> Clearing:
    return clearing(world, repeatable=request.param)


def test_the_window_that_deletes_fails_and_is_the_last_one(world: World, cleared: Clearing) -> None:
    answer = world.run_pull("trips")

    assert (answer.status, answer.code, answer.receipt["outcome"]) == (422, "too_many_deleted", "failed")
    assert answer.error["message"] == (
        "Pigment deleted 2 rows, guards.max_deleted allows 0. The rows that were sent have landed."
    )
    assert "not to clear" in answer.error["next_step"]
    assert answer.receipt["rows"] | {"read": 3, "sent": 3, "inserted": 3, "deleted": 2} == answer.receipt["rows"]
    assert len(world.imports) == 2, "the window after it is not sent"
    assert cleared.trips.landed() == told(FEBRUARY)


def test_no_later_run_sends_anything(world: World, cleared: Clearing) -> None:
    first = world.run_pull("trips").receipt

    answers = [world.run_pull("trips") for _ in range(2)]

    for answer in answers:
        assert (answer.status, answer.code, answer.receipt["outcome"]) == (422, "too_many_deleted", "refused")
        assert answer.error["message"] == (
            f"Run {first['run']} deleted 2 rows in Pigment, guards.max_deleted allows 0. Nothing was sent."
        )
    assert len(world.imports) == 2
    assert cleared.trips.landed() == told(FEBRUARY)


def test_the_first_window_into_a_list_with_rows_is_stopped(world: World) -> None:
    cleared = clearing(world, repeatable=False)
    other = world.folder / "other.csv"
    other.write_text("Trips Id,Trips Note\n99,by hand\n")
    world.pigment.load(cleared.trips.configuration, other)

    answer = world.run_pull("trips")

    assert answer.code == "too_many_deleted"
    assert cleared.trips.landed() == told(JANUARY)


def test_loading_again_from_the_start_completes_the_list(world: World) -> None:
    cleared = clearing(world, repeatable=True)
    world.run_pull("trips")
    cleared.set_clearing("none")

    again = run_deployed("backfill", "trips", "--from", "2026-01-01")
    later = world.run_pull("trips")

    assert again.status == 0, again.errors
    assert (later.status, later.receipt["outcome"]) == (200, "landed")
    assert cleared.trips.landed() == told(EVERY)


def test_loading_again_with_a_configuration_that_still_clears_stops_and_begins_again(world: World) -> None:
    cleared = clearing(world, repeatable=True)
    cleared.set_clearing("none")
    world.run_pull("trips")
    cleared.set_clearing("all")
    range_: dict[str, Any] = {"from_": "2026-01-01", "to": "2026-03-01"}

    stopped = world.run_pull("trips", **range_)
    cleared.set_clearing("none")
    scheduled = world.run_pull("trips")
    again = world.run_pull("trips", **range_)
    world.run_pull("trips", from_="2026-03-01", to="2026-03-02")

    assert (stopped.code, scheduled.receipt["outcome"]) == ("too_many_deleted", "refused")
    assert again.receipt["progress"]["windows"] == 2
    assert cleared.trips.landed() == told(EVERY)


def test_deletions_within_the_guard_are_landed(world: World, cleared: Clearing) -> None:
    cleared.set_guards(max_deleted=3)

    answer = world.run_pull("trips")

    assert (answer.status, answer.receipt["outcome"]) == (200, "landed")
    assert answer.receipt["progress"]["rows"]["deleted"] == 5


def test_raising_the_guard_lets_the_load_go_on(world: World, cleared: Clearing) -> None:
    world.run_pull("trips")
    cleared.set_guards(max_deleted=3)

    answer = world.run_pull("trips")

    assert (answer.status, answer.receipt["progress"]["windows"]) == (200, 1)
    assert len(world.imports) == 3


def test_another_configuration_lets_the_load_go_on(world: World) -> None:
    cleared = clearing(world, repeatable=True)
    world.run_pull("trips")
    other = Trips(world, repeatable=True, name="others")
    world.raw["pulls"]["trips"]["target"]["configuration"] = other.configuration
    world.save_jobs()

    answer = world.run_pull("trips")

    assert (answer.status, answer.receipt["outcome"]) == (200, "landed")
    assert cleared.trips.landed() == told(FEBRUARY)


def test_a_range_without_rows_does_not_end_the_stop(world: World) -> None:
    clearing(world, repeatable=True)
    world.run_pull("trips")

    empty = world.run_pull("trips", from_="2026-02-10", to="2026-02-20")

    assert empty.receipt["outcome"] == "nothing_new"
    later = world.run_pull("trips")
    assert (later.code, later.receipt["outcome"]) == ("too_many_deleted", "refused")


def test_a_range_of_windows_without_rows_does_not_end_the_stop(world: World) -> None:
    """Its last window ends the range, and nothing has landed."""
    clearing(world, repeatable=True)
    world.run_pull("trips")
    world.clock.advance(timedelta(days=120).total_seconds())

    empty = [world.run_pull("trips", windows=1, from_="2026-04-01", to="2026-06-01") for _ in range(2)]

    assert [answer.receipt["outcome"] for answer in empty] == ["nothing_new", "nothing_new"]
    assert [answer.receipt["progress"]["done"] for answer in empty] == [False, True]
    later = world.run_pull("trips")
    assert (later.code, later.receipt["outcome"]) == ("too_many_deleted", "refused")


def test_a_range_lifts_the_stop_once_all_of_it_has_landed_again(world: World) -> None:
    cleared = clearing(world, repeatable=True)
    world.run_pull("trips")
    cleared.set_clearing("none")
    # The fourth window of the range, April, has no rows.
    range_: dict[str, Any] = {"from_": "2026-01-01", "to": "2026-04-20"}
    world.clock.advance(timedelta(days=60).total_seconds())

    codes = []
    for _ in range(3):
        world.run_pull("trips", windows=1, **range_)
        codes.append(world.run_pull("trips").code)
    world.run_pull("trips", windows=1, **range_)

    assert codes == ["too_many_deleted"] * 3
    assert world.run_pull("trips").status == 200
    assert cleared.trips.landed() == told(EVERY)


def test_a_full_load_may_clear(world: World) -> None:
    set_clearing_flights(world)

    first, second = world.run_pull("flights"), world.run_pull("flights")

    assert (first.receipt["outcome"], second.receipt["outcome"]) == ("landed", "landed")
    assert second.receipt["rows"]["deleted"] == len(ROWS)


def test_a_full_load_with_the_guard_stops_too(world: World) -> None:
    set_clearing_flights(world)
    world.add_pull("flights", guards={"max_deleted": 4})
    tick = {"X-CloudScheduler-ScheduleTime": "2026-03-01T06:15:00Z"}
    world.run_pull("flights")

    answers = [world.run_pull("flights", headers=tick) for _ in range(2)]
    later = world.run_pull("flights")

    assert [answer.receipt["rows"]["deleted"] for answer in answers] == [5, 5]
    assert answers[0].body == answers[1].body, "a repeated call is answered with the receipt"
    assert (later.code, later.receipt["outcome"]) == ("too_many_deleted", "refused")
    assert len(world.imports) == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
@pytest.mark.parametrize("nth", range(len(WRITES)), ids=WRITES)
def test_the_load_stops_whichever_write_of_the_run_fails(world: World, nth: int) -> None:
    set_clearing_flights(world)
    world.add_pull("flights", guards={"max_deleted": 4}, target={"columns": COLUMNS, "repeatable": True})
    world.run_pull("flights")
    world.storage_server.fault("POST /upload/", refuse=Response(403, b"{}"), after=nth)
    world.run_pull("flights")
    world.heal()

    later = [world.run_pull("flights") for _ in range(2)][-1]

    assert (later.code, later.receipt["outcome"]) == ("too_many_deleted", "refused")
    assert [each.report.summary.deleted_count for each in world.imports if each.report] == [0, 5]
    # Google's client leaves the connection of a failed request to the garbage collector, which warns of it.
    gc.collect()


def set_clearing_flights(world: World) -> None:
    (block,) = (each.block for each in world.pigment.configurations() if each.id == CONFIGURATION)
    world.pigment.configuration(block, HEADER[:3], uuid=CONFIGURATION, clear="all")
    world.add_pull("flights", target={"columns": COLUMNS})


def changes(world: World, **guards: int) -> str:
    """A pull of changes into a list that its configuration clears of the rows that are not in the file."""
    block = world.pigment.block(world.pigment.application("Planning"), "Keyed flights")
    key = ["Flights Day", "Flights Carrier"]
    configuration = world.pigment.configuration(block, HEADER, unique=key, clear="all")
    target = {"configuration": configuration, "repeatable": True}
    world.add_pull("flights", load={"changes": {"key": key}}, target=target, guards=guards)
    return configuration


def test_a_load_of_changes_stops_and_then_sends_every_row(world: World) -> None:
    configuration = changes(world)
    world.run_pull("flights")
    world.put_flights([*ROWS, ["2013-01-04", "WN", "MDW", "5"]])

    stopped, refused = world.run_pull("flights"), world.run_pull("flights")
    changes(world, max_deleted=5)
    again = world.run_pull("flights")

    assert (stopped.code, stopped.receipt["rows"]["deleted"]) == ("too_many_deleted", 5)
    assert (refused.code, refused.receipt["outcome"]) == ("too_many_deleted", "refused")
    assert again.receipt["rows"]["sent"] == 6
    assert f"Run {stopped.receipt['run']} deleted 5 rows in Pigment. Every row is sent" in again.receipt["warnings"][0]
    assert world.pigment.count(configuration) == 6


def relay(world: World, **guards: int) -> dict[str, Any]:
    world.add_relay("sales", guards=guards)
    (configuration,) = (each for each in world.pigment.configurations() if each.name == "sales import")
    world.pigment.configuration(configuration.block, ["Id", "Amount"], uuid=configuration.id, clear="all")
    return {"configuration": configuration.id}


def test_a_relay_may_clear(world: World) -> None:
    relay(world)
    for amount in ("1", "2"):
        world.post_delivery("sales", delivery(("a", amount)))

    assert world.run_deliver().body["delivered"] == 2


def test_a_relay_with_the_guard_refuses_one_delivery_and_keeps_the_later_ones(world: World) -> None:
    target = relay(world, max_deleted=0)
    for amount in ("1", "2", "3"):
        world.post_delivery("sales", delivery(("a", amount)))
        world.clock.advance(1)

    stopped = world.run_deliver()
    waiting = world.run_deliver()
    world.add_relay("sales", target=target, guards={"max_deleted": 1})
    goes_on = world.run_deliver()

    assert (stopped.body["delivered"], stopped.body["dead"], stopped.body["waiting"]) == (1, 1, 1)
    assert (waiting.status, waiting.body["error"]["code"], waiting.body["waiting"]) == (422, "too_many_deleted", 1)
    (dead,) = world.bucket.entries("dead/")
    assert dead.metadata["code"] == "too_many_deleted"
    assert goes_on.body["delivered"] == 1
    assert [row["Amount"] for row in world.pigment.rows(target["configuration"])] == ["3"]


def test_a_delivery_waits_even_if_its_refused_run_is_killed_after_its_receipt(
    world: World, processes: Processes
) -> None:
    target = relay(world, max_deleted=0)
    for amount in ("1", "2"):
        world.post_delivery("sales", delivery(("a", amount)))
        world.clock.advance(1)
    assert world.run_deliver().body["dead"] == 1
    world.clock.advance(1)
    world.post_delivery("sales", delivery(("a", "3")))
    waiting = world.objects("inbox/")

    # The first write takes the lease.
    assert processes.dies(world, DELIVER, StopPoint(world.storage_server, "POST /upload/", nth=1, when="after"))
    assert [receipt["outcome"] for receipt in world.receipts("sales")][2:] == ["refused"]
    world.clock.advance(3600)
    refused = world.run_deliver()
    left = world.objects("inbox/")
    world.add_relay("sales", target=target, guards={"max_deleted": 1})
    goes_on = world.run_deliver()

    assert (len(left), left) == (1, waiting)
    assert (refused.body["error"]["code"], refused.body["dead"]) == ("too_many_deleted", 0)
    assert (goes_on.body["delivered"], goes_on.body["dead"]) == (1, 0)
