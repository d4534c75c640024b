"""`bridge verify` compares a block with what was sent, and `bridge reconcile` with Looker as it is now."""

import json
from typing import Any

import pytest

from common.tables.records import write_records
from local.sandbox.pigment import RowEdit
from local.sandbox.wire import Response
from tests.support.command_line import CommandResult, run_deployed
from tests.support.jobs import COLUMNS
from tests.support.world import EXPORTS, HEADER, ROWS, World

KEY = HEADER[:3]
AA = {"Flights Carrier": "AA"}


@pytest.fixture
def block(world: World) -> str:
    """The block of the pull `read-back`, which has landed once."""
    block = world.pigment.block(world.pigment.application("Planning"), "Read back")
    configuration = world.pigment.configuration(block, COLUMNS, unique=KEY)
    verify = {"source": {"list": block}, "key": KEY}
    world.add_pull("read-back", verify=verify, target={"configuration": configuration, "repeatable": True})
    assert world.run_pull("read-back").receipt["verified"] == "equal"
    return block


def reconciled(*arguments: str) -> tuple[int, list[dict[str, Any]]]:
    answer = run_deployed("reconcile", *arguments, "--json")
    return answer.status, json.loads(answer.output)


def lines(answer: CommandResult) -> list[list[str]]:
    return [line.split() for line in answer.output.splitlines() if line.strip()]


@pytest.mark.usefixtures("block")
def test_equal_sides_show_the_same_rows_and_sums(world: World) -> None:
    answer = run_deployed("reconcile", "read-back")

    assert answer.status == 0
    assert lines(answer)[1:] == [
        ["read-back", "rows", "5", "5", "equal"],
        ["sum", "of", "Flights", "Delay", "-9", "-9"],
    ]
    assert world.objects("tmp/") == world.objects("leases/") == []
    assert len(world.objects("staged/")) == 1


@pytest.mark.usefixtures("block")
def test_sums_are_of_numbers_as_they_were_compared(world: World) -> None:
    world.raw["pulls"]["read-back"]["verify"]["key"] = HEADER[:2]
    world.save_jobs()
    world.put_flights([["2013-01-01", "UA", "1,234", "2"], ["2013-01-01", "B6", "5", "7"]])
    rows = [["2013-01-01", "UA", "1234", "2"], ["2013-01-01", "B6", "5", "7"]]
    world.answer_exports(write_records([HEADER, *rows]))

    status, (found,) = reconciled("read-back")

    assert (status, found["verdict"]) == (0, "equal")
    assert found["sums"][0] == {"column": "Flights Origin", "sent": 1239.0, "block": 1239.0}


def test_what_differs_is_shown_side_by_side(world: World, block: str) -> None:
    world.pigment.edit(block, RowEdit(AA))
    world.pigment.edit(block, RowEdit({"Flights Carrier": "DL"}, {"Flights Delay": "70"}))
    world.put_flights([*ROWS, ["2013-01-04", "WN", "MDW", "5"]])

    answer = run_deployed("reconcile", "read-back")

    assert answer.status == 1
    assert lines(answer)[1:3] == [
        ["read-back", "rows", "6", "4", "-2", "differs"],
        ["sum", "of", "Flights", "Delay", "-4", "54", "58"],
    ]
    for shown in ("not in Pigment", "2013-01-02, AA, LGA", "2013-01-04, WN, MDW", "other values", "Flights Delay"):
        assert shown in answer.output


def test_a_program_gets_json(world: World, block: str) -> None:
    world.pigment.edit(block, RowEdit(AA, doubles=True))

    status, (found,) = reconciled("read-back")

    assert (status, found["verdict"], found["looker"], found["pigment"]) == (1, "differs", 5, 6)
    assert found["equality"]["rows"] == [{"problem": "doubled", "key": ["2013-01-02", "AA", "LGA"]}]
    assert found["sums"] == [{"column": "Flights Delay", "sent": -9.0, "block": -9.0}]


@pytest.mark.usefixtures("block")
def test_all_pulls_make_one_table(world: World) -> None:
    other = world.pigment.block(world.pigment.application("Planning"), "Empty", properties={"Flights Day": "text"})
    verify = {"source": {"list": other}, "key": KEY}
    world.add_pull("unlike", verify=verify, target={"configuration": world.add_list("unlike"), "repeatable": True})

    status, found = reconciled("--all")

    assert (status, {each["job"]: each["verdict"] for each in found}) == (
        2,
        {"read-back": "equal", "unlike": "impossible"},
    )


@pytest.mark.usefixtures("block")
def test_an_incremental_load_is_compared_up_to_its_cursor(world: World) -> None:
    pull = world.raw["pulls"]["read-back"]
    load = {"incremental": {"cursor": "flights.day", "start": "2013-01-01", "window": "1 day"}}
    world.add_pull("by-day", **{**pull, "load": load, "verify": {**pull["verify"], "accept_extra": True}})
    world.run_pull("by-day", windows=2)

    status, (found,) = reconciled("by-day")

    assert (status, found["looker"], found["pigment"], found["equality"]["extra"]) == (0, 4, 5, 1)


@pytest.mark.usefixtures("block")
def test_a_vendor_that_does_not_answer_is_a_reason(world: World) -> None:
    world.pigment_server.fault(EXPORTS, times=-1, refuse=Response(401))

    status, (found,) = reconciled("read-back")

    assert (status, found["verdict"]) == (2, "impossible")
    assert "pigment-export-key" in found["because"]


def test_a_block_is_verified_at_any_time(world: World, block: str) -> None:
    assert run_deployed("verify", "read-back").status == 0
    world.pigment.edit(block, RowEdit(AA))

    answer = run_deployed("verify", "read-back", "--json")

    receipt = json.loads(answer.output)
    assert (answer.status, receipt["verified"], receipt["error"]["code"]) == (1, "differs", "not_equal")
    assert world.receipts("read-back")[-1]["verified"] == "equal", "the receipt says what was there after the run"
    assert "AA" in run_deployed("verify", "read-back").output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["verify", "flights"], "Add it"),
        (["verify", "nope"], "There is no pull or relay nope."),
        (["reconcile", "flights"], "does not name the block"),
        (["reconcile"], "Name a pull, or add --all."),
        (["reconcile", "--all"], "No pull in bridge.yaml has `verify`."),
    ],
)
@pytest.mark.usefixtures("world")
def test_a_call_that_cannot_be_answered_says_what_to_do(arguments: list[str], words: str) -> None:
    answer = run_deployed(*arguments)

    # For reconcile, 1 says that a block differs.
    assert (answer.status, answer.output) == (2 if arguments[0] == "reconcile" else 1, "")
    assert words in answer.errors
