"""A window that happens to hold 500, 5,000 or 100,000 rows lands; a window that Looker truncates does not."""

from datetime import datetime, timedelta

import pytest

from tests.support.trips import Trip, Trips, told
from tests.support.world import World

JANUARY = datetime(2026, 1, 1)  # noqa: DTZ001  # as Looker shows it
BATCH = datetime(2026, 1, 15, 2)  # noqa: DTZ001


def dense(first: int, count: int) -> list[Trip]:
    """Return rows whose ids have no gaps, and that were updated one hour after the other."""
    return [Trip(first + i, JANUARY + timedelta(hours=first + i)) for i in range(count)]


def batch(first: int, count: int, at: datetime = BATCH) -> list[Trip]:
    """Return rows that were all updated in the same second."""
    return [Trip(first + i, at) for i in range(count)]


@pytest.mark.parametrize("repeatable", [True, False], ids=["repeatable", "append"])
def test_windows_over_ids_without_gaps_land(world: World, repeatable: bool) -> None:
    trips = Trips(world, repeatable=repeatable, cursor="trips.id", start=1, window=500)
    rows = dense(1, 1_000)
    trips.put(rows)

    answer = world.run_pull("trips")
    world.run_pull("trips")

    assert (answer.status, answer.receipt["outcome"]) == (200, "landed")
    assert trips.landed() == told(rows)
    warned = [words for receipt in world.receipts("trips") for words in receipt["warnings"]]
    assert [words for words in warned if "The first half of the window is read instead" in words]


def test_a_window_of_times_lands(world: World) -> None:
    trips = Trips(world, repeatable=False)
    trips.put(dense(1, 500))

    assert world.run_pull("trips").status == 200
    assert trips.landed() == told(dense(1, 500))


def test_a_batch_within_one_second_lands_if_there_are_rows_beside_it(world: World) -> None:
    trips = Trips(world, repeatable=False)
    rows = [*dense(1, 3), *batch(10, 500), *batch(600, 2, BATCH + timedelta(days=20))]
    trips.put(rows)
    trips.change(repeatable=False, cursor="trips.updated", window="1 day", start="2026-01-14")
    trips.put([*rows, *batch(700, 1, BATCH + timedelta(hours=30))])

    answer = world.run_pull("trips")

    assert answer.status == 200
    assert trips.landed() == told([*rows[3:], *batch(700, 1)])


def test_a_late_window_of_overlap_alone_lands(world: World) -> None:
    trips = Trips(world, repeatable=True, overlap="50 days")
    before = [Trip(i, JANUARY + timedelta(minutes=i)) for i in range(1, 500)]
    trips.put(before)
    assert world.run_pull("trips").status == 200
    newest = world.clock.now().replace(tzinfo=None)
    trips.put([*before, Trip(1000, newest - timedelta(days=1)), *batch(2000, 499, newest - timedelta(days=2))])
    world.clock.advance(60)

    answer = world.run_pull("trips")

    assert answer.status == 200
    assert len(trips.landed()) == 999


def test_what_looker_truncates_is_refused(world: World) -> None:
    world.looker.permissions = set(world.looker.permissions) - {"download_without_limit"}
    trips = Trips(world, repeatable=True)
    trips.put(batch(1, 5_100))

    answer = world.run_pull("trips")

    runs = [each for each in world.looker_server.exchanges if each.path.endswith("/queries/run/csv")]
    assert (answer.status, answer.code) == (422, "truncated_at_limit")
    assert len(runs) <= 6
    assert world.imports == []


def test_a_batch_of_exactly_a_limit_with_nothing_beside_it_is_refused(world: World) -> None:
    trips = Trips(world, repeatable=True)
    trips.put(batch(1, 500))

    assert world.run_pull("trips").code == "truncated_at_limit"
