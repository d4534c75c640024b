"""With `via: storage` and a date in the name, Pigment imports the newest name: a run writes none that is older."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.sandbox.wire import Response
from tests.support.world import HEADER, PULL_RUN, ROWS, World

NEW = [["2014-01-01", "ZZ", "NEW", "9"], *ROWS[1:3]]
BUSY = Response(503, b"{}")


def connect(world: World, path: str) -> str:
    """Add a pull through a connector that reads the most recent file; return its configuration."""
    world.storage.create_bucket("landing-zone")
    folder = world.folder / "state" / "landing-zone" / "in"
    block = world.pigment.block(world.pigment.application("Planning"), "Connector")
    newest: Callable[[], Path] = lambda: max(folder.iterdir())  # noqa: E731
    configuration = world.pigment.configuration(block, HEADER, source=newest)
    target = {"configuration": configuration, "via": "storage", "bucket": "landing-zone", "path": path}
    world.add_pull("flights", target=target)
    return configuration


def scheduled(moment: str) -> dict[str, str]:
    return {"X-CloudScheduler-ScheduleTime": moment}


def has_new_rows(world: World, configuration: str) -> bool:
    return any("NEW" in row.values() for row in world.pigment.rows(configuration))


def warnings(world: World) -> list[str]:
    found: list[Any] = world.receipts("flights")[-1]["warnings"]
    return found


def test_a_signal_of_yesterday_that_is_answered_after_todays_run(world: World) -> None:
    configuration = connect(world, "in/{date}.csv")
    world.add_relay("ready", start="flights")
    evening = datetime(2026, 3, 1, 23, 58, tzinfo=UTC)
    world.clock.advance((evening - world.clock.now()).total_seconds())
    world.post_delivery("ready", b'{"a": 1}')
    world.looker_server.fault(PULL_RUN, times=-1, refuse=BUSY)
    world.run_deliver()
    world.looker_server.heal()
    world.clock.advance(420)
    assert world.run_pull("flights", headers=scheduled("2026-03-02T00:05:00Z")).receipt["outcome"] == "landed"
    world.put_flights(NEW)
    world.clock.advance(3 * 3600)

    world.run_deliver()

    assert has_new_rows(world, configuration)
    assert "The file is named for now, because gs://landing-zone/in/2026-03-02.csv" in warnings(world)[0]


def test_a_scheduled_call_that_is_repeated_after_a_run_by_hand(world: World) -> None:
    configuration = connect(world, "in/{date}-{time}.csv")
    call = scheduled("2026-03-01T06:15:00Z")
    world.looker_server.fault(PULL_RUN, times=-1, refuse=BUSY)
    assert world.run_pull("flights", headers=call).status == 503
    world.looker_server.heal()
    world.clock.advance(300)
    assert world.run_pull("flights").receipt["outcome"] == "landed"
    world.put_flights(NEW)
    world.clock.advance(300)

    world.run_pull("flights", headers=call)

    assert has_new_rows(world, configuration)


def test_a_run_in_its_time_has_the_name_of_its_time(world: World) -> None:
    connect(world, "in/{date}.csv")
    world.clock.advance(18 * 3600)

    world.run_pull("flights", headers=scheduled("2026-03-01T06:15:00Z"))

    assert list(world.bucket.beside("landing-zone").names("in/")) == ["in/2026-03-01.csv"]
    assert warnings(world) == []


def test_a_name_in_the_future_is_an_error(world: World) -> None:
    configuration = connect(world, "in/{date}.csv")
    future = world.bucket.beside("landing-zone")
    future.create("in/2027-01-01.csv", b"Id\n", {}, content_type="text/csv")

    answer = world.run_pull("flights")

    assert answer.code == "configuration_occupied"
    assert "gs://landing-zone/in/2027-01-01.csv" in answer.error["message"]
    assert world.pigment.count(configuration) == 0


def test_other_objects_in_the_folder_do_not_matter(world: World) -> None:
    configuration = connect(world, "in/{date}.csv")
    world.bucket.beside("landing-zone").create("in/notes.txt", b"x", {}, content_type="text/plain")
    folder = world.folder / "state" / "landing-zone" / "in"
    (folder / "notes.txt").unlink()

    assert world.run_pull("flights").receipt["outcome"] == "landed"
    assert world.pigment.count(configuration) == len(ROWS)
    assert warnings(world) == []
