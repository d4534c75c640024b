"""How often Pigment is asked whether an import has ended: it allows 500 requests in five minutes."""

import random

import pytest

from common.pigment.pace import ImportPace, ImportTime
from common.runs import cursors, instance
from common.runs.instance import Instance
from local.sandbox.wire import Response
from tests.support.world import STATUS, World

ROWS = 100_000


def questions(pace: ImportPace, takes_s: float, rows: int = ROWS) -> tuple[int, float]:
    """Return how often an import is asked for until it has ended, and when that is noticed."""
    elapsed_s, asked = pace.first_wait_s(rows), 1
    while elapsed_s < takes_s:
        elapsed_s, asked = elapsed_s + pace.next_wait_s(rows, elapsed_s), asked + 1
    pace.last = ImportTime(rows, elapsed_s)
    return asked, elapsed_s


@pytest.mark.parametrize("takes_s", [0.02, 0.5, 1.0, 2.0])
def test_an_import_that_takes_as_long_as_the_last_needs_few_questions(takes_s: float) -> None:
    pace = ImportPace()
    first, _ = questions(pace, takes_s)
    later = [questions(pace, takes_s) for _ in range(20)]

    assert sum(asked for asked, _ in later) / len(later) <= min(first, 3)
    assert max(noticed_s for _, noticed_s in later) <= max(takes_s * 1.3, 0.1)


@pytest.mark.parametrize("takes_s", [2.0, 10.0, 60.0, 900.0])
def test_a_long_import_that_takes_as_long_as_the_last_is_noticed_at_once(takes_s: float) -> None:
    pace = ImportPace()
    first, _ = questions(pace, takes_s)
    later = [questions(pace, takes_s) for _ in range(20)]

    assert max(noticed_s for _, noticed_s in later[1:]) <= takes_s * 1.05
    assert max(asked for asked, _ in later) < first


@pytest.mark.parametrize("takes_s", [0.1, 1, 10, 100, 1000])
def test_the_end_is_noticed_soon_whatever_the_last_import_took(takes_s: float) -> None:
    for last_s in (0.01, 1.0, 3600.0):
        pace = ImportPace(ImportTime(ROWS, last_s))
        asked, noticed_s = questions(pace, takes_s)
        assert noticed_s <= max(takes_s * 1.25 + 0.1, 5.0)
        assert asked <= questions(ImportPace(), takes_s)[0] + 10


@pytest.mark.parametrize("rows", [1_000, ROWS * 10])
def test_the_time_of_an_import_of_other_rows_says_nothing(rows: int) -> None:
    known = ImportPace(ImportTime(ROWS, 60.0))
    for takes_s in (0.05, 0.3, 5.0):
        assert questions(known, takes_s, rows) == questions(ImportPace(), takes_s, rows)
        known = ImportPace(ImportTime(ROWS, 60.0))


def test_a_time_that_no_import_takes_is_ignored() -> None:
    pace = ImportPace(ImportTime(ROWS, -1.0))
    assert (pace.first_wait_s(ROWS), pace.next_wait_s(ROWS, 0.0)) == (0.0, 0.1)


def test_short_imports_are_alike_whatever_their_rows() -> None:
    pace = ImportPace(ImportTime(3, 0.2))
    assert pace.first_wait_s(900) == pytest.approx(0.18)


def test_the_second_pull_asks_less(world: World) -> None:
    asked = []
    for _ in range(2):
        world.pigment_server.exchanges.clear()
        world.clock.slept.clear()
        world.pigment.delay_reports(in_progress_polls=6)
        assert world.run_pull("flights").status == 200
        asked.append(list(world.clock.slept))
        world.pigment.delay_reports()

    first, second = asked
    assert first[0] == 0.1
    assert second[0] > sum(first) / 2


def test_a_new_instance_knows_how_long_the_last_import_took(world: World) -> None:
    world.pigment.delay_reports(in_progress_polls=6)
    assert world.run_pull("flights").status == 200
    first = list(world.clock.slept)
    world.clock.slept.clear()
    instance.current = Instance(world.clock, random.Random(2))

    assert world.run_pull("flights").status == 200
    assert world.clock.slept[0] > sum(first) / 2


def test_an_import_that_a_later_run_settles_does_not_tell_how_long_it_took(world: World) -> None:
    world.pigment.delay_reports(in_progress_polls=6)
    assert world.run_pull("flights").status == 200
    known = cursors.read(world.bucket, "flights")
    world.pigment_server.fault(STATUS, times=-1, refuse=Response(401))
    assert world.run_pull("flights").receipt["outcome"] == "importing"
    world.pigment_server.heal()
    world.pigment.delay_reports()

    assert world.run_pull("flights").status == 200
    settled = cursors.read(world.bucket, "flights")
    assert known
    assert settled
    assert settled.run != known.run
    assert settled.imported == known.imported is not None


def test_the_import_of_an_earlier_run_is_asked_for_at_once(world: World) -> None:
    world.pigment.delay_reports(in_progress_polls=6)
    assert world.run_pull("flights").status == 200
    world.pigment_server.fault(STATUS, times=-1, refuse=Response(401))
    assert world.run_pull("flights").receipt["outcome"] == "importing"
    world.pigment_server.heal()
    world.pigment.delay_reports()
    world.clock.slept.clear()

    assert world.run_pull("flights").status == 200
    assert len(world.imports) == 2
    assert world.clock.slept == []
