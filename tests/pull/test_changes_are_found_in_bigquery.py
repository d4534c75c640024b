"""With `engine: bigquery`, a load of changes sends the rows that the function would send."""

from typing import Any

import pytest

from common.tables.bigquery import changes
from tests.support.served import served, write_files
from tests.support.world import HEADER, ROWS, World

KEY = ["Flights Day", "Flights Carrier"]
LATER = [*ROWS[1:4], ["2013-01-03", "UA", "two\nlines", "99"], ["2013-01-04", "WN", "MDW", "5"]]
"One row is removed, one is changed, and one is new."
MIB = 1024**2


@pytest.fixture
def prepared(world: World) -> World:
    """Add a pull into a list with a key, and land it once."""
    block = world.pigment.block(world.pigment.application("Planning"), "Keyed flights")
    target = {"configuration": world.pigment.configuration(block, HEADER, unique=KEY), "repeatable": True}
    world.add_pull("flights", load={"changes": {"key": KEY, "engine": "bigquery"}}, target=target)
    assert world.run_pull("flights").receipt["outcome"] == "landed"
    return world


def in_pigment(world: World) -> list[list[str]]:
    rows = world.pigment.rows(world.raw["pulls"]["flights"]["target"]["configuration"])
    return sorted([row[name] or "" for name in HEADER] for row in rows)


def test_the_first_run_sends_all_rows(prepared: World) -> None:
    (receipt,) = prepared.receipts()

    assert receipt["changes"] == {"added": 5, "changed": 0, "gone": 0, "unchanged": 0}
    assert (receipt["rows"]["sent"], receipt["bytes_billed"]) == (5, 10 * MIB)
    assert in_pigment(prepared) == sorted(ROWS)


def test_only_new_and_changed_rows_are_sent(prepared: World) -> None:
    prepared.put_flights(LATER)

    receipt = prepared.run_pull("flights").receipt

    assert receipt["changes"] == {"added": 1, "changed": 1, "gone": 1, "unchanged": 3}
    assert (receipt["outcome"], receipt["rows"]["sent"], receipt["bytes_billed"]) == ("landed", 2, 20 * MIB)
    assert in_pigment(prepared) == sorted([ROWS[0], *LATER])


def test_without_a_change_nothing_is_sent(prepared: World) -> None:
    receipt = prepared.run_pull("flights").receipt

    assert (receipt["outcome"], receipt["changes"]["unchanged"]) == ("nothing_new", 5)


def test_a_key_that_does_not_identify_rows_is_refused(prepared: World) -> None:
    prepared.put_flights([*ROWS, ["2013-01-01", "UA", "LGA", "3"], ["", "UA", "LGA", "3"]])

    answer = prepared.run_pull("flights")

    assert answer.code == "keys_not_unique"
    assert "1 rows have an empty key; 1 keys occur more than once, in 2 rows." in answer.error["message"]


def test_other_columns_count_as_a_change_of_every_row(prepared: World) -> None:
    target = prepared.raw["pulls"]["flights"]["target"]
    target["columns"] = {name: name for name in HEADER[:3]}
    prepared.add_pull("flights", load=prepared.raw["pulls"]["flights"]["load"], target=target)

    receipt = prepared.run_pull("flights").receipt

    assert receipt["changes"] == {"added": 0, "changed": 5, "gone": 0, "unchanged": 0}
    assert any("The columns differ from those of the last landed file" in each for each in receipt["warnings"])


def test_many_keys_are_read_page_by_page_and_marked_some_at_a_time(
    prepared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "_MARKED_AT_ONCE", 2)
    prepared.bigquery.rows_of_a_page = 2
    prepared.put_flights([[*row[:3], "77"] for row in ROWS])

    receipt = prepared.run_pull("flights").receipt

    assert (receipt["changes"]["changed"], receipt["rows"]["sent"]) == (5, 5)
    assert {row[3] for row in in_pigment(prepared)} == {"77"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sent": "9"}, "BigQuery found 45 rows in the file, which has 5."),
        ({"sent_key": "another"}, "Of 5 keys that BigQuery found, the file has 0."),
    ],
    ids=["rows", "keys"],
)
def test_a_result_that_does_not_fit_the_file_sends_nothing(
    prepared: World, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], words: str
) -> None:
    count = changes._Found._read
    monkeypatch.setattr(
        changes._Found, "_read", lambda self, found: count(self, ({**each, **change} for each in found))
    )
    prepared.put_flights([[*row[:3], "77"] for row in ROWS])

    answer = prepared.run_pull("flights")

    assert (answer.code, answer.error["message"]) == ("answer_not_understood", words)
    assert in_pigment(prepared) == sorted(ROWS)


def test_a_refusal_sends_nothing_and_the_next_run_compares_again(prepared: World) -> None:
    prepared.bigquery.refuse(403, "accessDenied", "Not here.")
    prepared.put_flights(LATER)

    answer = prepared.run_pull("flights")

    assert (answer.status, answer.code) == (500, "bigquery_refused")
    assert "bigquery_engine = true" in answer.error["next_step"]
    assert in_pigment(prepared) == sorted(ROWS)
    prepared.bigquery.allow()
    assert prepared.run_pull("flights").receipt["rows"]["sent"] == 2


def test_a_preview_compares_in_the_function_and_shows_rows(prepared: World) -> None:
    prepared.put_flights(LATER)
    queries = len(prepared.bigquery.jobs)

    receipt = prepared.run_pull("flights", preview=True).receipt

    assert receipt["diff"]["new_rows"] == [LATER[-1]]
    assert len(prepared.bigquery.jobs) == queries


def test_keys_of_several_columns_are_told_apart(prepared: World) -> None:
    prepared.put_flights([["a:b", "c", "JFK", "1"], ["a", "b:c", "JFK", "1"]])

    receipt = prepared.run_pull("flights").receipt

    assert receipt["changes"] == {"added": 2, "changed": 0, "gone": 5, "unchanged": 0}


def test_a_bridge_on_this_machine_has_a_bigquery_of_its_own(prepared: World) -> None:
    write_files(prepared)

    with served(prepared) as bridge:
        receipts = [bridge.pull().json() for _ in range(2)]

    assert [receipt["outcome"] for receipt in receipts] == ["landed", "nothing_new"]
    assert [receipt["bytes_billed"] for receipt in receipts] == [10 * MIB, 20 * MIB]
