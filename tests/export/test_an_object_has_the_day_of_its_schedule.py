"""{date} and {time} in the name of an object are the schedule's own time, or a delivery's arrival, not the clock's."""

from datetime import UTC, datetime, timedelta

import pytest

from local.sandbox.wire import Response
from tests.support.command_line import run_deployed
from tests.support.trips import HEADER as TRIPS
from tests.support.trips import Trip, Trips
from tests.support.world import HEADER, World, delivery

REVENUE = b"Country;Revenue\nFR;150.00\nDE;50.00\n"
DATED = "revenue/dt={date}/{time}.csv"
BEFORE_MIDNIGHT = {"X-CloudScheduler-ScheduleTime": "2026-03-01T22:59:00Z"}
"23:59 in Paris."


@pytest.fixture
def revenue(world: World) -> World:
    world.add_export("revenue", path=DATED, time_zone="Europe/Paris")
    world.answer_exports(REVENUE)
    return world


def move_to(world: World, moment: str) -> None:
    world.clock.advance((datetime.fromisoformat(moment) - world.clock.now()).total_seconds())


def published(world: World) -> list[str]:
    return world.objects("exports/")


@pytest.mark.parametrize(
    "schedule_time",
    ["2026-03-01T22:59:00Z", "2026-03-01T22:59:00.123456789Z", "2026-03-01T23:59:00+01:00", "2026-03-01 22:59:00"],
)
def test_a_retry_after_midnight_writes_the_partition_of_its_schedule(revenue: World, schedule_time: str) -> None:
    move_to(revenue, "2026-03-01T23:04:00Z")

    answer = revenue.run_export("revenue", headers={"X-CloudScheduler-ScheduleTime": schedule_time})

    assert answer.status == 200, answer.body
    assert answer.receipt["object"] == "gs://bucket/exports/revenue/dt=2026-03-01/235900.csv"
    assert published(revenue) == ["exports/revenue/dt=2026-03-01/235900.csv"]
    assert answer.receipt["started_at"] == "2026-03-01T23:04:00.000Z"


def test_the_retry_of_an_interrupted_run_writes_the_same_object(revenue: World) -> None:
    move_to(revenue, "2026-03-01T22:59:30Z")
    lost = Response(403, b"{}", {"Content-Type": "application/json"})
    revenue.storage_server.fault(r"POST /storage/v1/b/bucket/o/tmp.*rewriteTo", answer_instead=lost)
    assert revenue.run_export("revenue", headers=BEFORE_MIDNIGHT).status != 200
    revenue.storage_server.heal()
    move_to(revenue, "2026-03-01T23:04:00Z")

    assert revenue.run_export("revenue", headers=BEFORE_MIDNIGHT).status == 200

    assert published(revenue) == ["exports/revenue/dt=2026-03-01/235900.csv"]


@pytest.mark.parametrize("schedule_time", ["", "soon", "2026-03-01T25:59:00Z", "0001-01-01T00:00:00+14:00"])
def test_without_a_time_that_can_be_read_the_clock_counts(revenue: World, schedule_time: str) -> None:
    answer = revenue.run_export("revenue", headers={"X-CloudScheduler-ScheduleTime": schedule_time})

    assert answer.status == 200, answer.body
    assert published(revenue) == ["exports/revenue/dt=2026-03-01/071500.csv"]


@pytest.mark.parametrize(
    ("given", "name"),
    [("2026-02-27", "dt=2026-02-27/000000"), ("2026-02-27T23:59", "dt=2026-02-27/235900")],
    ids=["a day", "a time in the job's time zone"],
)
def test_a_person_can_export_for_another_day(revenue: World, given: str, name: str) -> None:
    answer = revenue.run_export("revenue", headers=BEFORE_MIDNIGHT, for_=given)

    assert answer.status == 200, answer.body
    assert published(revenue) == [f"exports/revenue/{name}.csv"]


@pytest.mark.parametrize("given", ["", "yesterday", "2026-02-30", "2026-02-27T10:00:00+01:00", "7"])
def test_a_day_that_is_none_is_refused(revenue: World, given: str) -> None:
    answer = revenue.run_export("revenue", for_=given)

    assert (answer.status, answer.code) == (400, "malformed_request")
    assert "`for`" in answer.error["message"]
    assert published(revenue) == []
    assert revenue.receipts("revenue") == []


def add_connector(world: World, header: list[str]) -> dict[str, str]:
    """A target whose file lies in a bucket under the name of its time."""
    world.storage.create_bucket("landing-zone")
    folder = world.folder / "state" / "landing-zone" / "in"
    block = world.pigment.block(world.pigment.application("Planning"), "Connector")
    configuration = world.pigment.configuration(block, header, source=lambda: max(folder.iterdir()))
    path = "in/{date}-{time}.csv"
    return {"configuration": configuration, "via": "storage", "bucket": "landing-zone", "path": path}


def copied(world: World) -> list[str]:
    return sorted(path.name for path in (world.folder / "state" / "landing-zone" / "in").iterdir())


def test_a_pull_via_storage_has_the_day_of_its_schedule(world: World) -> None:
    world.add_pull("flights", target=add_connector(world, HEADER), time_zone="Europe/Paris")
    move_to(world, "2026-03-01T23:04:00Z")

    assert world.run_pull("flights", headers=BEFORE_MIDNIGHT).body["outcome"] == "landed"

    assert copied(world) == ["2026-03-01-235900.csv"]


def test_a_file_that_is_sent_again_has_the_time_of_the_command(world: World) -> None:
    target = add_connector(world, HEADER) | {"repeatable": True}
    world.add_pull("flights", target=target, time_zone="Asia/Tokyo")
    first = world.run_pull("flights").receipt["run"]

    assert run_deployed("resend", first).status == 0

    named = datetime.strptime(copied(world)[-1] + "+0900", "%Y-%m-%d-%H%M%S.csv%z")
    assert abs(datetime.now(UTC) - named) < timedelta(hours=1)


def test_every_window_of_a_pull_has_the_day_of_its_schedule(world: World) -> None:
    trips = Trips(world, repeatable=True)
    trips.put(Trip(number, datetime(2026, number, 5, tzinfo=UTC)) for number in (1, 2))
    world.raw["pulls"]["trips"] |= {"target": add_connector(world, TRIPS), "time_zone": "Europe/Paris"}
    world.save_jobs()
    move_to(world, "2026-03-01T23:04:00Z")

    answer = world.run_pull("trips", headers=BEFORE_MIDNIGHT)

    assert answer.receipt["progress"]["windows"] > 1, answer.body
    assert copied(world) == ["2026-03-01-235900.csv"]


def test_a_relay_via_storage_has_the_day_of_its_delivery(world: World) -> None:
    world.add_relay("sales", target=add_connector(world, ["Id", "Amount"]))
    move_to(world, "2026-03-01T23:59:58Z")
    world.post_delivery("sales", delivery(("1", "10")))
    move_to(world, "2026-03-02T00:10:00Z")

    assert world.run_deliver().body["delivered"] == 1

    assert copied(world) == ["2026-03-01-235958.csv"]


def test_a_pull_that_deliveries_start_has_the_day_of_the_newest(world: World) -> None:
    world.add_pull("flights", target=add_connector(world, HEADER), time_zone="Europe/Paris")
    world.add_relay("ready", start="flights")
    for moment in ("2026-03-01T22:59:57Z", "2026-03-01T22:59:58Z"):
        move_to(world, moment)
        world.post_delivery("ready", b'{"anything": "goes"}', X_Looker_Webhook_Id=moment)
    move_to(world, "2026-03-01T23:10:00Z")

    assert world.run_deliver().status == 200

    assert copied(world) == ["2026-03-01-235958.csv"]
