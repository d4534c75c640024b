"""What `bridge verify` finds after a landing is on the status page, and the next run of `load: changes` mends it."""

from typing import Any

import pytest

from local.sandbox.pigment import RowEdit
from tests.support.command_line import CommandResult, run_deployed
from tests.support.world import HEADER, PUSH, ROWS, World

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


def test_a_run_that_finds_the_difference_itself_is_mended_by_the_next(world: World, block: str) -> None:
    world.pigment.edit(block, OTHER)
    world.put_flights([["2013-01-01", "UA", "EWR", "99"], *ROWS[1:]])
    assert world.run_pull("flights").code == "not_equal"
    world.clock.advance(60)
    command(world, "verify")

    mended = world.run_pull("flights").receipt

    assert (mended["rows"]["sent"], mended["verified"]) == (len(ROWS), "equal")


@pytest.mark.parametrize("how", ["lost", "skipped"])
def test_rows_that_may_have_landed_are_replaced_if_looker_has_the_old_ones_again(world: World, how: str) -> None:
    block = world.pigment.block(world.pigment.application("Planning"), "Keyed flights")
    configuration = world.pigment.configuration(block, HEADER, unique=KEY)
    target = {"configuration": configuration, "repeatable": True}
    world.add_pull("flights", load={"changes": {"key": KEY}}, target=target)
    world.run_pull("flights")
    world.clock.advance(60)
    if how == "lost":
        world.pigment_server.fault(PUSH, times=-1, reset_after=True)
    else:
        world.pigment.skip_next(configuration, 1)
    world.put_flights([["2013-01-01", "UA", "EWR", "99"], *ROWS[1:], ["2013-01-04", "XX", "MDW", "5"]])
    assert world.run_pull("flights").receipt["error"] is not None
    world.pigment_server.heal()
    world.clock.advance(600)
    world.put_flights(ROWS)

    again = world.run_pull("flights").receipt

    assert (again["outcome"], again["rows"]["sent"]) == ("landed", len(ROWS))
    assert "may have landed, or only in part" in again["warnings"][0]
    delays = {row["Flights Delay"] for row in world.pigment.rows(configuration)}
    assert "99" not in map(str, delays)
