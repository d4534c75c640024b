"""What `bridge verify` finds after a landing is on the status page, and the next run of `load: changes` mends it."""

from typing import Any

import pytest

from local.sandbox.pigment import RowEdit
from tests.support.command_line import CommandResult, run_deployed
from tests.support.world import HEADER, ROWS, World

KEY = ["Flights Day", "Flights Carrier"]
OTHER = RowEdit({"Flights Carrier": "DL"}, {"Flights Delay": "70"})
RIGHT = RowEdit({"Flights Carrier": "DL"}, {"Flights Delay": "7"})


@pytest.fixture
def block(world: World) -> str:
    """The list that a pull of changes has filled; its block was read back and was equal."""
    block = world.pigment.block(world.pigment.application("Planning"), "Keyed flights")
    configuration = world.pigment.configuration(block, HEADER, unique=KEY)
    target = {"configuration": configuration, "repeatable": True}
    add(world, block, target)
    assert world.run_pull("flights").receipt["verified"] == "equal"
    world.clock.advance(60)
    return block


def add(world: World, block: str, target: dict[str, Any]) -> None:
    verify = {"source": {"list": block}, "key": KEY}
    world.add_pull("flights", load={"changes": {"key": KEY}}, target=target, verify=verify)


def command(world: World, name: str) -> CommandResult:
    return run_deployed(name, "flights", clock=world.clock)


def status(world: World) -> str:
    return run_deployed("status", clock=world.clock).output


def test_a_block_that_somebody_has_changed_is_mended_by_the_next_run(world: World, block: str) -> None:
    world.pigment.edit(block, OTHER)
    differs = command(world, "verify")
    assert differs.status == 1
    assert "run the job again" in " ".join(differs.output.split())

    mended = world.run_pull("flights").receipt

    assert (mended["rows"]["sent"], mended["verified"]) == (len(ROWS), "equal")
    assert "The block was found to differ" in mended["warnings"][0]
    assert world.run_pull("flights").receipt["outcome"] == "nothing_new"


def test_a_block_that_a_person_has_corrected_needs_no_row(world: World, block: str) -> None:
    world.pigment.edit(block, OTHER)
    command(world, "verify")
    world.pigment.edit(block, RIGHT)
    assert command(world, "verify").status == 0

    assert world.run_pull("flights").receipt["outcome"] == "nothing_new"


def test_the_status_is_that_of_the_last_comparison(world: World, block: str) -> None:
    assert "Equal" in status(world)

    world.pigment.edit(block, OTHER)
    command(world, "verify")
    assert "Equal" not in status(world)
    assert "differs from what was sent" in status(world)

    world.pigment.edit(block, RIGHT)
    command(world, "verify")
    assert "Equal" in status(world)


def test_a_sweep_does_not_bring_the_earlier_verdict_back(world: World, block: str) -> None:
    world.run_deliver()
    world.pigment.edit(block, OTHER)
    command(world, "verify")
    world.clock.advance(900)

    world.run_deliver()

    assert "differs from what was sent" in status(world)


def test_a_comparison_that_has_become_possible_is_shown(world: World, block: str) -> None:
    target = world.raw["pulls"]["flights"]["target"]
    other = world.pigment.block(world.pigment.application("Planning"), "Other")
    world.pigment.configuration(other, ["Another Column"])
    add(world, other, target)
    world.put_flights(ROWS[1:])
    world.put_flights([*ROWS, ["2013-01-04", "WN", "MDW", "5"]])
    assert world.run_pull("flights").receipt["verified"] == "impossible"
    assert "cannot be compared" in status(world)
    add(world, block, target)
    world.save_jobs()

    assert command(world, "verify").status == 0

    assert "Equal" in status(world)
