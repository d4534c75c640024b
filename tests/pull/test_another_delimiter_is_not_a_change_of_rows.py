"""After `target.delimiter` has changed, the file that landed last cannot be compared with, and is not."""

from datetime import datetime
from typing import Any

import pytest

from tests.support.command_line import run_deployed
from tests.support.read_back import fill_list
from tests.support.trips import Trip, Trips
from tests.support.world import HEADER, ROWS, World

KEY = ["Flights Day", "Flights Carrier"]


def run_with(world: World, delimiter: str, **job: Any) -> dict[str, Any]:
    """Run the pull with this delimiter, which the import in Pigment need not read: that comes after the comparison."""
    target = world.raw["pulls"]["flights"]["target"] | {"repeatable": True, "delimiter": delimiter}
    world.add_pull("flights", **{**job, "target": target})
    world.clock.advance(60)
    return world.run_pull("flights").receipt


def test_approval_compares_the_numbers_of_rows(world: World) -> None:
    guards = {"approve": {"max_changed": "10%"}}
    earlier = run_with(world, ",", guards=guards)["run"]

    receipt = run_with(world, ";", guards=guards)

    compared = "guards.approve compared only the numbers of rows: the delimiter has changed since run"
    assert receipt["warnings"] == [f"{compared} {earlier}."]
    assert receipt["rows"]["sent"] == len(ROWS)


def test_approval_holds_a_file_that_has_shrunk(world: World) -> None:
    guards = {"approve": {"max_changed": "10%"}}
    run_with(world, ",", guards=guards)
    world.put_flights(ROWS[:2])

    assert run_with(world, ";", guards=guards)["outcome"] == "held"


@pytest.mark.parametrize("repeatable", [True, False])
def test_a_load_of_changes_says_why_it_has_nothing_to_compare_with(world: World, *, repeatable: bool) -> None:
    block = world.pigment.block(world.pigment.application("Planning"), "Keyed flights")
    configuration = world.pigment.configuration(block, HEADER, unique=KEY)
    load = {"changes": {"key": KEY}}
    target = {"configuration": configuration, "repeatable": repeatable}
    world.add_pull("flights", load=load, target=target)
    world.run_pull("flights")
    world.clock.advance(60)
    world.add_pull("flights", load=load, target={**target, "delimiter": ";"})

    answer = world.run_pull("flights")

    words = "The delimiter has changed since run"
    if repeatable:
        assert answer.receipt["rows"]["sent"] == len(ROWS)
        assert words in answer.receipt["warnings"][0]
    else:
        assert answer.code == "storage_refused"
        assert words in answer.error["message"]


def test_a_block_is_compared_with_the_file_as_it_was_sent(world: World) -> None:
    fill_list(world)
    world.run_pull("flights")
    world.raw["pulls"]["flights"]["target"]["delimiter"] = ";"
    world.save_jobs()

    done = run_deployed("verify", "flights", clock=world.clock)

    assert done.status == 0, done.output


def test_the_windows_before_it_are_not_compared(world: World) -> None:
    trips = Trips(world, repeatable=True)
    trips.put([Trip(1, datetime(2026, 1, 5))])  # noqa: DTZ001  # as Looker sends it
    (block,) = (block.id for block in world.pigment.blocks() if block.name == "trips")
    job = world.raw["pulls"]["trips"]
    job["verify"] = {"source": {"list": block}, "key": ["Trips Id"]}
    for delimiter, kept in ((",", 1), (";", 0)):
        job["target"]["delimiter"] = delimiter
        world.save_jobs()
        world.clock.advance(86400)
        world.run_pull("trips")
        assert len(world.objects("kept/")) == kept
