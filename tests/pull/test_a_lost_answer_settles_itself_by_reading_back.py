"""With `verify`, the block itself says whether a push landed whose answer was lost: nobody has to look."""

import json

import pytest

from local.sandbox.pigment import RowEdit
from local.sandbox.wire import Response
from tests.support.command_line import run_deployed
from tests.support.jobs import COLUMNS
from tests.support.world import CONFIGURATION, EXPORTS, HEADER, PUSH, ROWS, STATUS, World

KEY = HEADER[:3]
TICK = {"X-CloudScheduler-ScheduleTime": "2026-03-01T06:15:00Z"}


@pytest.fixture
def block(world: World) -> str:
    """A list that appends; the pull `flights` reads it back."""
    block = world.pigment.block(world.pigment.application("Planning"), "Appended")
    world.pigment.configuration(block, COLUMNS, uuid=CONFIGURATION)
    world.add_pull("flights", verify={"source": {"list": block}, "key": KEY})
    return block


@pytest.mark.usefixtures("block")
def test_rows_that_are_all_there_have_landed(world: World) -> None:
    world.pigment_server.fault(PUSH, reset_after=True)
    first = world.run_pull("flights", headers=TICK).receipt
    assert first["outcome"] == "unknown"
    world.finish_imports()

    again = world.run_pull("flights", headers=TICK)

    assert (again.status, again.receipt["run"], again.receipt["outcome"]) == (200, first["run"], "landed")
    assert "Settled by reading the block back. The block has all 5 rows of the file." in again.receipt["warnings"][-1]
    assert len(world.imports) == 1
    assert world.objects("leases/") == []


@pytest.mark.usefixtures("block")
def test_a_file_of_which_no_row_is_there_after_an_hour_is_sent_again(world: World) -> None:
    world.pigment_server.fault(PUSH, refuse=Response(502))
    first = world.run_pull("flights").receipt

    soon = world.run_pull("flights")
    world.clock.advance(3601)
    later = world.run_pull("flights")

    assert (soon.status, soon.code) == (500, "landing_unknown")
    assert "The block has none of the 5 rows of the file. Pigment may still be importing them" in soon.error["message"]
    assert "No action needed: an hour after that run" in soon.error["next_step"]
    assert (later.status, later.receipt["outcome"]) == (200, "landed")
    assert [receipt["outcome"] for receipt in world.receipts() if receipt["run"] == first["run"]] == ["failed"]
    assert len(world.landed_rows()) == len(ROWS)


@pytest.mark.usefixtures("block")
def test_a_file_of_which_some_rows_are_there_is_left_to_a_person(world: World) -> None:
    world.pigment_server.fault(PUSH, reset_after=True)
    world.pigment.edit_after_next(CONFIGURATION, RowEdit({"Flights Carrier": "UA"}))
    world.run_pull("flights")
    world.clock.advance(3601)

    answer = world.run_pull("flights")

    assert (answer.status, answer.code) == (500, "landing_unknown")
    assert "5 rows were sent, the block has 3. By key: 2 missing." in answer.error["message"]
    assert "bridge settle" in answer.error["next_step"]
    assert len(world.imports) == 1


@pytest.mark.usefixtures("block")
def test_a_person_can_ask_at_once(world: World) -> None:
    world.pigment_server.fault(PUSH, reset_after=True)
    run = world.run_pull("flights").receipt["run"]
    world.finish_imports()

    settled = run_deployed("settle", run, "--json")

    receipt = json.loads(settled.output)
    assert (settled.status, receipt["run"], receipt["outcome"]) == (0, run, "landed")
    assert world.objects("leases/") == []


@pytest.mark.usefixtures("block")
def test_a_person_who_asks_is_shown_what_was_found(world: World) -> None:
    world.pigment_server.fault(PUSH, reset_after=True)
    world.pigment.edit_after_next(CONFIGURATION, RowEdit({"Flights Carrier": "UA"}))
    run = world.run_pull("flights").receipt["run"]
    world.finish_imports()

    settled = run_deployed("settle", run)

    assert settled.status == 1
    assert "5 rows were sent, the block has 3. By key: 2 missing." in " ".join(settled.errors.split())
    assert run_deployed("settle", run, "--landed").status == 0


@pytest.mark.usefixtures("block")
def test_a_block_that_cannot_be_read_leaves_the_run_unknown(world: World) -> None:
    world.pigment_server.fault(PUSH, reset_after=True)
    world.run_pull("flights")
    world.pigment_server.fault(EXPORTS, times=-1, refuse=Response(503))

    assert world.run_pull("flights").code == "landing_unknown"

    world.pigment_server.heal()
    assert world.run_pull("flights").receipt["outcome"] == "landed"


@pytest.mark.usefixtures("block")
def test_an_import_that_pigment_no_longer_knows_settles_itself(world: World) -> None:
    world.pigment_server.fault(STATUS, times=-1, refuse=Response(404))
    world.run_pull("flights", headers=TICK)

    again = world.run_pull("flights", headers=TICK)

    assert (again.status, again.receipt["outcome"], len(world.imports)) == (200, "landed", 1)
