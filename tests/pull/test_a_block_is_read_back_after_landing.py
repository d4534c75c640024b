"""With `verify`, a receipt says what is in Pigment, not only what Pigment says of its import."""

from typing import Any

import pytest

from common.runs import kept_files
from local.sandbox.pigment import BlockColumn, RowEdit
from local.sandbox.wire import Response
from tests.support.read_back import AA, KEY, UNTOLD_EDITS, fill_list, read_back
from tests.support.world import CONFIGURATION, EXPORTS, HEADER, ROWS, World

BY_DAY = {"load": {"incremental": {"cursor": "flights.day", "start": "2013-01-01", "window": "1 day"}}}


@pytest.fixture
def block(world: World) -> str:
    """The list of flights, in which a row is identified by `KEY`; the pull `flights` reads it back."""
    return fill_list(world)


@pytest.mark.usefixtures("block")
def test_the_receipt_says_that_the_block_is_equal(world: World) -> None:
    answer = world.run_pull("flights")

    assert (answer.status, answer.receipt["outcome"], answer.receipt["verified"]) == (200, "landed", "equal")
    found = answer.receipt["verification"]
    assert found == {"sent": 5, "block": 5}
    assert world.receipts()[-1]["verified"] == "equal"
    assert world.objects("tmp/") == world.objects("leases/") == []


@UNTOLD_EDITS
@pytest.mark.usefixtures("block")
def test_a_row_that_no_report_tells_of_fails_the_run(
    world: World, edit: RowEdit, words: str, row: dict[str, Any]
) -> None:
    world.pigment.edit_after_next(CONFIGURATION, edit)

    answer = world.run_pull("flights")

    assert (answer.status, answer.code) == (422, "not_equal")
    assert answer.error["message"] == f"5 rows were sent, {words}"
    receipt = world.receipts()[-1]
    assert (receipt["outcome"], receipt["verified"], receipt["rows"]["sent"]) == ("failed", "differs", 5)
    assert any("HTTP/1.1" in warning for warning in receipt["warnings"]) == (row["problem"] == "missing")
    assert receipt["verification"]["rows"] == [{**row, "key": ["2013-01-02", "AA", "LGA"]}]
    assert world.objects("leases/") == []


def test_values_are_shown_only_if_the_job_asks_for_them(world: World, block: str) -> None:
    read_back(world, block, {"show": True})
    world.pigment.edit_after_next(CONFIGURATION, RowEdit({"Flights Carrier": "DL"}, {"Flights Delay": "70"}))

    (row,) = world.run_pull("flights").receipt["verification"]["rows"]

    assert row["cells"] == [{"column": "Flights Delay", "sent": "7", "pigment": "70"}]


def test_a_row_that_is_no_longer_in_looker_is_extra(world: World, block: str) -> None:
    world.run_pull("flights")
    world.put_flights([["2013-01-01", "UA", "EWR", "2"]])

    answer = world.run_pull("flights")

    assert answer.code == "not_equal"
    assert answer.error["message"] == "1 rows were sent, the block has 5. By key: 4 not sent."
    read_back(world, block, {"accept_extra": True})
    assert world.run_pull("flights").receipt["verified"] == "equal"


def test_names_that_differ_are_paired(world: World) -> None:
    columns = [BlockColumn("day", property="Day"), BlockColumn("code", property="Carrier"), BlockColumn("x", "integer")]
    block = fill_list(world, columns, unique=["Day", "Carrier"])
    sent = {"Flights Day": "day", "Flights Carrier": "code", "Flights Delay": "x"}
    pairs = {"Flights Day": "Day", "Flights Carrier": "Carrier"}
    verify = {"key": KEY[:2], "columns": pairs}
    read_back(world, block, verify, target={"columns": sent, "repeatable": True})

    assert world.run_pull("flights").receipt["verified"] == "equal"


def test_a_block_that_cannot_be_compared_is_a_warning(world: World, block: str) -> None:
    read_back(world, block, {"columns": {"Flights Delay": "Minutes"}})

    receipt = world.run_pull("flights").receipt

    assert (receipt["outcome"], receipt["verified"]) == ("landed", "impossible")
    (warning,) = [each for each in receipt["warnings"] if "not compared" in each]
    assert "The block does not have exactly one column Minutes. It has: " in warning


def test_a_key_that_does_not_identify_rows_is_a_warning(world: World) -> None:
    block = fill_list(world, unique=())
    read_back(world, block, {"key": ["Flights Day"]}, target={"repeatable": False})

    receipt = world.run_pull("flights").receipt

    assert receipt["verified"] == "impossible"
    assert "verify.key does not identify rows: 2 of its keys were sent more than once." in receipt["warnings"][-1]


@pytest.mark.usefixtures("block")
def test_a_block_that_cannot_be_read_now_is_read_by_the_sweep(world: World) -> None:
    world.pigment_server.fault(EXPORTS, times=-1, refuse=Response(503))
    receipt = world.run_pull("flights").receipt
    assert (receipt["outcome"], receipt["verified"]) == ("landed", "not_yet")
    world.pigment_server.heal()

    assert world.run_deliver().status == 200

    stored = world.receipts()[-1]
    assert (stored["run"], stored["outcome"], stored["verified"]) == (receipt["run"], "landed", "equal")
    assert world.objects("leases/") == []


def test_the_sweep_fails_a_run_whose_block_differs(world: World, block: str) -> None:
    world.pigment_server.fault(EXPORTS, times=-1, refuse=Response(503))
    world.run_pull("flights")
    world.pigment_server.heal()
    world.pigment.edit(block, RowEdit(AA))

    world.run_deliver()

    stored = world.receipts()[-1]
    assert (stored["outcome"], stored["verified"], stored["error"]["code"]) == ("failed", "differs", "not_equal")


def test_all_windows_together_are_what_the_block_should_have(world: World, block: str) -> None:
    read_back(world, block, {}, **BY_DAY)

    receipt = world.run_pull("flights", windows=2).receipt
    assert (receipt["progress"]["windows"], receipt["rows"]["sent"], receipt["verified"]) == (2, 2, "equal")
    assert (receipt["verification"]["sent"], receipt["verification"]["block"]) == (4, 4)

    receipt = world.run_pull("flights", to="2013-01-04").receipt
    assert (receipt["rows"]["sent"], receipt["verified"]) == (1, "equal")
    assert (receipt["verification"]["sent"], receipt["verification"]["block"]) == (5, 5)


def test_rows_of_earlier_windows_are_missed(world: World, block: str) -> None:
    read_back(world, block, {}, **BY_DAY)
    world.run_pull("flights", windows=2)
    world.pigment.edit(block, RowEdit({"Flights Carrier": "UA", "Flights Day": "2013-01-01"}))

    answer = world.run_pull("flights", to="2013-01-04")

    assert (answer.code, answer.receipt["verification"]["rows"]) == (
        "not_equal",
        [{"problem": "missing", "key": ["2013-01-01", "UA", "EWR"]}],
    )


def test_windows_that_landed_before_verify_was_set_are_not_expected(world: World, block: str) -> None:
    world.add_pull("flights", target={"repeatable": True}, **BY_DAY)
    world.run_pull("flights", windows=2)
    read_back(world, block, {}, **BY_DAY)

    receipt = world.run_pull("flights", to="2013-01-04").receipt

    assert (receipt["verified"], receipt["verification"]["sent"], receipt["verification"]["extra"]) == ("equal", 1, 4)


def test_rows_are_compared_although_later_windows_had_none(world: World, block: str) -> None:
    read_back(world, block, {}, **BY_DAY)
    last = world.run_pull("flights", to="2013-01-10").receipt
    assert (last["outcome"], last["verified"]) == ("nothing_new", None)

    world.run_deliver()

    verdicts = sorted(
        (receipt["rows"]["sent"], receipt["verified"]) for receipt in world.receipts() if receipt["rows"]["sent"]
    )
    # Once for all windows of the call, on the receipt of the last one with rows.
    assert verdicts == [(1, "equal"), (2, "not_yet"), (2, "not_yet")]


def test_a_window_loaded_again_replaces_the_rows_of_the_first_time(world: World, block: str) -> None:
    read_back(world, block, {}, **BY_DAY)
    world.run_pull("flights", to="2013-01-04")
    world.put_flights([[*row[:3], "99"] for row in ROWS])

    receipt = world.run_pull("flights", from_="2013-01-02", to="2013-01-03").receipt

    assert (receipt["verified"], receipt["verification"]["sent"]) == ("equal", 5)


def test_kept_files_are_merged_when_they_are_many(world: World, block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_files, "_MOST_FILES", 1)
    read_back(world, block, {}, **BY_DAY)
    verdicts = [world.run_pull("flights", windows=1).receipt["verified"] for _ in range(3)]

    assert verdicts == ["equal"] * 3
    assert world.objects("kept/") == ["kept/flights/00000002-and-before.csv"]


def test_a_changes_load_is_compared_with_all_its_rows(world: World, block: str) -> None:
    read_back(world, block, {"key": KEY}, load={"changes": {"key": KEY}})
    world.run_pull("flights")
    world.put_flights([[*ROWS[0][:3], "99"], *ROWS[1:]])

    receipt = world.run_pull("flights").receipt

    assert (receipt["rows"]["sent"], receipt["verified"], receipt["verification"]["sent"]) == (1, "equal", 5)


def test_a_configuration_that_clears_is_found_under_windows(world: World) -> None:
    block = fill_list(world, unique=(), clear="all")
    read_back(world, block, {}, guards={"max_deleted": 1000}, **BY_DAY)

    answer = world.run_pull("flights", windows=2)

    assert answer.error["message"] == "4 rows were sent, the block has 2. By key: 2 missing."


@pytest.mark.parametrize(("day_first", "verdict"), [(False, "differs"), (True, "equal")])
def test_a_date_that_pigment_reads_in_another_format_is_found(world: World, day_first: bool, verdict: str) -> None:
    world.put_flights([["2013-01-01", "UA", "03/04/2013", "2"], ["2013-01-02", "AA", "12/11/2013", "3"]])
    columns = [*(BlockColumn(name) for name in KEY[:2]), BlockColumn(KEY[2], "date", format="%d/%m/%Y")]
    block = fill_list(world, [*columns, BlockColumn(HEADER[3], "integer")], unique=KEY[:2])
    read_back(world, block, {"key": KEY[:2], "day_first": day_first, "show": True})

    receipt = world.run_pull("flights").receipt

    assert receipt["verified"] == verdict
    if verdict == "differs":
        assert receipt["error"]["message"].endswith("2 with other values (cells: Flights Origin 2).")
        (cell,) = receipt["verification"]["rows"][0]["cells"]
        assert cell == {"column": "Flights Origin", "sent": "03/04/2013", "pigment": "2013-04-03"}


@pytest.mark.usefixtures("block")
def test_a_blank_at_the_end_is_found_and_shown(world: World) -> None:
    world.pigment.edit_after_next(CONFIGURATION, RowEdit(AA, {"Flights Origin": "LGA "}))

    answer = world.run_pull("flights")

    assert answer.error["message"].endswith("By key: 1 missing, 1 not sent.")
    assert [each["key"][2] for each in answer.receipt["verification"]["rows"]] == ["LGA", "LGA "]
