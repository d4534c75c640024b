"""`bridge verify` compares a block with what was sent last, also after a run whose rows landed only in part."""

import pytest

from local.sandbox.pigment import RowEdit
from local.sandbox.wire import Response
from tests.support.command_line import CommandResult, run_deployed
from tests.support.read_back import fill_list, read_back
from tests.support.world import CONFIGURATION, EXPORTS, HEADER, ROWS, World

NEW = ["2013-01-04", "WN", "MDW", "5"]
KEY = ["Flights Day", "Flights Carrier"]
LOST = RowEdit({"Flights Carrier": "WN"})
"Pigment loses the new row."


def verify(world: World) -> CommandResult:
    return run_deployed("verify", "flights", clock=world.clock)


def run_with(world: World, edit: RowEdit) -> str:
    """Send one more row, of which something is wrong in Pigment afterwards; return the run."""
    world.clock.advance(3600)
    world.put_flights([*ROWS, NEW])
    world.pigment.edit_after_next(CONFIGURATION, edit)
    failed = world.run_pull("flights")
    assert failed.code == "not_equal"
    return str(failed.receipt["run"])


def test_a_row_that_was_sent_last_is_missing(world: World) -> None:
    fill_list(world)
    world.run_pull("flights")
    run = run_with(world, LOST)

    done = verify(world)

    assert done.status == 1
    assert f"Receipt of run {run}" in done.output
    assert "6 rows were sent, the block has 5" in " ".join(done.output.split())


def test_a_block_that_a_person_has_corrected_is_equal(world: World) -> None:
    block = fill_list(world)
    world.run_pull("flights")
    run = run_with(world, RowEdit({"Flights Carrier": "DL"}, {"Flights Delay": "70"}))
    world.pigment.edit(block, RowEdit({"Flights Carrier": "DL"}, {"Flights Delay": "7"}))

    done = verify(world)

    assert done.status == 0, done.output
    assert f"Receipt of run {run}" in done.output


def test_after_the_next_landing_it_is_that_one(world: World) -> None:
    fill_list(world)
    world.run_pull("flights")
    run_with(world, LOST)
    world.clock.advance(60)
    landed = world.run_pull("flights").receipt["run"]

    done = verify(world)

    assert done.status == 0, done.output
    assert f"Receipt of run {landed}" in done.output


def test_a_first_run_that_was_not_equal_is_compared_too(world: World) -> None:
    fill_list(world)
    run = run_with(world, LOST)

    done = verify(world)

    assert done.status == 1
    assert f"Receipt of run {run}" in done.output


def test_a_load_of_changes_is_compared_with_all_rows(world: World) -> None:
    block = world.pigment.block(world.pigment.application("Planning"), "Keyed flights")
    configuration = world.pigment.configuration(block, HEADER, unique=KEY)
    target = {"configuration": configuration, "repeatable": True}
    world.add_pull("flights", load={"changes": {"key": KEY}}, target=target, verify=read_back_of(block))
    world.run_pull("flights")
    world.clock.advance(3600)
    world.put_flights([*ROWS, NEW])
    world.pigment.edit_after_next(configuration, LOST)
    assert world.run_pull("flights").code == "not_equal"

    done = verify(world)

    assert done.status == 1
    assert "6 rows were sent, the block has 5" in " ".join(done.output.split())


def read_back_of(block: str) -> dict[str, object]:
    return {"source": {"list": block}, "key": KEY}


@pytest.mark.parametrize("has_landed_before", [True, False])
def test_a_sweep_does_not_judge_an_earlier_landing_by_later_rows(world: World, *, has_landed_before: bool) -> None:
    block = fill_list(world)
    read_back(world, block)
    if has_landed_before:
        world.pigment_server.fault(EXPORTS, times=-1, refuse=Response(503))
        first = world.run_pull("flights").receipt
        assert first["verified"] == "not_yet"
        world.pigment_server.heal()
    run_with(world, LOST)

    world.run_deliver()

    earlier = world.receipts()[:-1]
    assert [(each["outcome"], each["verified"]) for each in earlier] == [("landed", "not_yet")] * has_landed_before
