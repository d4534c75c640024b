"""`load: changes`: Pigment receives the changes since the last landing, and only a landing becomes the new baseline."""

import io
import re
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from rich.console import Console

from common.runs import settling
from common.runs.leases import LIFETIME_S
from common.runs.receipts import Receipt
from common.storage import paths
from local import output
from local.listing import form_lines
from local.sandbox.wire import Response
from tests.support.kills import ProcessCall, Processes, StopPoint, When
from tests.support.world import HEADER, PUSH, ROWS, STORAGE_WRITES, World

KEY = ["Flights Day", "Flights Carrier"]
LATER = [*ROWS[1:4], ["2013-01-03", "UA", "two\nlines", "99"], ["2013-01-04", "WN", "MDW", "5"]]
"One row is removed, one is changed, and one is new."


@pytest.fixture
def prepared(world: World) -> World:
    """Add a pull into a list with a key, and land it once."""
    keyed(world)
    assert world.run_pull("flights").body["outcome"] == "landed"
    return world


def keyed(world: World, columns: Sequence[str] = HEADER) -> None:
    """Add a pull of changes into a new list, in which rows with the same key replace each other."""
    block = world.pigment.block(world.pigment.application("Planning"), "Keyed flights")
    configuration = world.pigment.configuration(block, columns, unique=KEY)
    target = {"configuration": configuration, "repeatable": True}
    world.add_pull("flights", load={"changes": {"key": KEY}}, target=target)


def in_pigment(world: World) -> list[list[str]]:
    rows = world.pigment.rows(world.raw["pulls"]["flights"]["target"]["configuration"])
    return sorted([row[name] or "" for name in HEADER] for row in rows)


def received(world: World) -> str:
    return world.pigment.received(world.imports[-1].id).read_text()


def cursor(world: World) -> str:
    """Return the path of the file with which the next run compares."""
    stored = world.bucket.read_json("cursors/flights.json", dict[str, Any])
    assert stored is not None
    staged: str = stored.value["staged"]
    return staged


def shown(receipt: dict[str, Any]) -> str:
    """Return the printed text."""
    typed = msgspec.convert(receipt, Receipt)
    console = Console(width=160, no_color=True, file=io.StringIO())
    with console.capture() as captured:
        console.print(*output.diff_tables(typed))
        for line in form_lines("", list(output.receipt_fields(typed)), None):
            console.print(line)
    return captured.get()


def test_the_first_run_sends_every_row(prepared: World) -> None:
    (receipt,) = prepared.receipts()

    assert (receipt["rows"]["read"], receipt["rows"]["sent"]) == (5, 5)
    assert receipt["changes"] == {"added": 5, "changed": 0, "gone": 0, "unchanged": 0}
    assert in_pigment(prepared) == sorted(ROWS)
    assert cursor(prepared) == f"bases/flights/{receipt['run']}.csv"


def test_later_runs_send_what_is_new_or_changed_and_count_removed_rows(prepared: World) -> None:
    prepared.put_flights(LATER)

    answer = prepared.run_pull("flights")

    assert answer.body["outcome"] == "landed"
    assert (answer.body["rows"]["read"], answer.body["rows"]["sent"]) == (5, 2)
    assert answer.body["changes"] == {"added": 1, "changed": 1, "gone": 1, "unchanged": 3}
    assert received(prepared) == (
        'Flights Day,Flights Carrier,Flights Origin,Flights Delay\n2013-01-03,UA,"two\nlines",99\n2013-01-04,WN,MDW,5\n'
    )
    assert answer.body["bytes"] == len(received(prepared))
    assert in_pigment(prepared) == sorted([ROWS[0], *LATER])
    assert answer.body == prepared.receipts()[-1]


def test_without_a_change_nothing_is_pushed(prepared: World) -> None:
    prepared.put_flights(list(reversed(ROWS)), sorts=["flights.delay"])

    answer = prepared.run_pull("flights")

    assert (answer.status, answer.body["outcome"]) == (200, "nothing_new")
    assert answer.body["changes"] == {"added": 0, "changed": 0, "gone": 0, "unchanged": 5}
    assert len(prepared.imports) == 1
    assert prepared.objects("bases/") == [cursor(prepared)]
    assert prepared.objects("leases/") == []


def test_a_row_that_returns_unchanged_is_still_in_pigment(prepared: World) -> None:
    prepared.put_flights(ROWS[1:])
    assert prepared.run_pull("flights").body["changes"]["gone"] == 1
    prepared.put_flights(ROWS)

    assert prepared.run_pull("flights").body["outcome"] == "nothing_new"
    assert in_pigment(prepared) == sorted(ROWS)


def test_an_older_file_is_deleted_after_a_newer_one_has_landed(prepared: World) -> None:
    first = cursor(prepared)
    prepared.put_flights(LATER)
    prepared.run_pull("flights")
    second = cursor(prepared)
    assert prepared.objects("bases/") == [first, second]

    prepared.run_pull("flights")

    assert prepared.objects("bases/") == [second]


@pytest.mark.parametrize("repeatable", [True, False], ids=["repeatable", "append"])
def test_rows_that_did_not_land_are_compared_with_the_same_file_again(prepared: World, repeatable: bool) -> None:
    prepared.raw["pulls"]["flights"]["target"]["repeatable"] = repeatable
    prepared.save_jobs()
    base = cursor(prepared)
    prepared.put_flights(LATER)
    prepared.pigment_server.fault(PUSH, times=-1, refuse=Response(400))
    assert prepared.run_pull("flights").status == 502
    assert cursor(prepared) == base
    prepared.pigment_server.heal()

    assert prepared.run_pull("flights").body["changes"] == {"added": 1, "changed": 1, "gone": 1, "unchanged": 3}
    assert in_pigment(prepared) == sorted([ROWS[0], *LATER])


def test_a_run_settled_as_landed_becomes_the_baseline(prepared: World) -> None:
    prepared.raw["pulls"]["flights"]["target"]["repeatable"] = False
    prepared.save_jobs()
    prepared.put_flights(LATER)
    prepared.pigment_server.fault(PUSH, reset_after=True)
    run = prepared.run_pull("flights").receipt["run"]
    assert prepared.run_pull("flights").code == "landing_unknown"

    settling.settle_by_hand(prepared.bucket, prepared.clock, run, "landed")

    assert cursor(prepared) == f"bases/flights/{run}.csv"
    assert prepared.run_pull("flights").body["outcome"] == "nothing_new"


def test_an_unfinished_import_is_settled_before_the_next_comparison(prepared: World) -> None:
    prepared.put_flights(LATER)
    prepared.pause_imports()
    assert prepared.run_pull("flights").body["outcome"] == "importing"
    prepared.resume_imports()
    prepared.clock.sleep(1)

    assert prepared.run_pull("flights").body["outcome"] == "nothing_new"
    assert in_pigment(prepared) == sorted([ROWS[0], *LATER])


def test_bad_keys_are_refused_without_their_content(prepared: World) -> None:
    base = cursor(prepared)
    prepared.put_flights([*ROWS, ["2013-01-01", "UA", "LGA", "1"], ["2013-01-09", "", "EWR", "1"]])

    answer = prepared.run_pull("flights")

    assert (answer.status, answer.code, answer.receipt["outcome"]) == (422, "keys_not_unique", "refused")
    assert "1 rows have an empty key; 1 keys occur more than once, in 2 rows" in answer.error["message"]
    assert "2013" not in str({**prepared.receipts()[-1], "run": "", "started_at": "", "object": ""})
    assert "diff" not in prepared.receipts()[-1]
    assert len(prepared.imports) == 1
    assert prepared.objects("bases/") == [base]


def test_a_preview_of_bad_keys_shows_some_of_them(prepared: World) -> None:
    prepared.put_flights([*ROWS, ["2013-01-01", "UA", "LGA", "1"]])

    answer = prepared.run_pull("flights", preview=True)

    assert answer.code == "keys_not_unique"
    assert answer.receipt["diff"]["bad_keys"] == [["2013-01-01", "UA"]]
    assert "diff" not in prepared.receipts()[-1]
    assert "Empty or repeated keys" in shown(answer.receipt)


def test_a_preview_shows_the_difference_and_stores_nothing(prepared: World) -> None:
    before = prepared.objects("bases/"), prepared.objects("staged/"), prepared.objects("cursors/")
    prepared.put_flights(LATER)

    answer = prepared.run_pull("flights", preview=True)

    assert answer.body["outcome"] == "previewed"
    assert answer.body["changes"] == {"added": 1, "changed": 1, "gone": 1, "unchanged": 3}
    assert answer.body["diff"] == {
        "key": KEY,
        "header": HEADER,
        "changed_rows": [
            {"key": ["2013-01-03", "UA"], "cells": [{"column": "Flights Delay", "before": "0", "after": "99"}]}
        ],
        "new_rows": [["2013-01-04", "WN", "MDW", "5"]],
        "gone_keys": [["2013-01-01", "UA"]],
        "bad_keys": [],
    }
    assert answer.body["preview"]["first_rows"] == LATER[3:]
    assert {"diff", "preview"}.isdisjoint(prepared.receipts()[-1])
    assert (prepared.objects("bases/"), prepared.objects("staged/"), prepared.objects("cursors/")) == before
    assert len(prepared.imports) == 1


def test_the_difference_is_shown_as_tables(prepared: World) -> None:
    prepared.put_flights([*LATER, *(["2014-01-01", f"{number}", "EWR", ""] for number in range(9))])

    text = shown(prepared.run_pull("flights", preview=True).body)

    changed, new, gone = (text.index(title) for title in ("Changed rows ", "New rows, the first 5 of 10", "Gone from"))
    assert changed < new < gone
    assert re.search(r"2013-01-03 *│ UA *│ Flights Delay │ 0 *│ 99", text)
    assert re.search(r"2013-01-04 *│ WN", text[new:gone])
    assert re.search(r"2013-01-01 *│ UA", text[gone:])
    assert re.search(r"rows unchanged +3", text)
    assert "empty" not in text


def test_the_key_uses_lookers_names_where_columns_are_renamed(world: World) -> None:
    block = world.pigment.block(world.pigment.application("Planning"), "Short")
    short = world.pigment.configuration(block, ["Delay", "Day", "Who"], unique=["Day", "Who"], delimiter=";")
    columns = [{"Flights Delay": "Delay"}, {"Flights Day": "Day"}, {"Flights Carrier": "Who"}]
    target = {"configuration": short, "columns": columns, "delimiter": ";", "repeatable": True}
    world.add_pull("flights", load={"changes": {"key": KEY}}, target=target)
    assert world.run_pull("flights").body["rows"]["sent"] == 5
    world.put_flights(LATER)

    answer = world.run_pull("flights")

    assert answer.body["changes"] == {"added": 1, "changed": 1, "gone": 1, "unchanged": 3}
    assert received(world) == "Delay;Day;Who\n99;2013-01-03;UA\n5;2013-01-04;WN\n"


def test_other_columns_send_every_row_with_a_warning(world: World) -> None:
    keyed(world, columns=[*KEY, HEADER[3]])
    assert world.run_pull("flights").body["rows"]["sent"] == 5
    job = world.raw["pulls"]["flights"]
    job["target"]["columns"] = [{name: name} for name in (*KEY, HEADER[3])]
    world.save_jobs()

    answer = world.run_pull("flights")

    assert answer.body["changes"] == {"added": 0, "changed": 5, "gone": 0, "unchanged": 0}
    assert any("every row counts as changed" in warning for warning in answer.body["warnings"])


def test_a_full_load_is_a_baseline_too(world: World) -> None:
    keyed(world)
    world.raw["pulls"]["flights"]["load"] = "full"
    world.save_jobs()
    assert world.run_pull("flights").body["rows"]["sent"] == 5
    world.raw["pulls"]["flights"]["load"] = {"changes": {"key": KEY}}
    world.save_jobs()
    world.put_flights(LATER)

    assert world.run_pull("flights").body["rows"]["sent"] == 2


def test_another_configuration_receives_every_row(prepared: World) -> None:
    keyed(prepared)

    answer = prepared.run_pull("flights")

    assert answer.body["rows"]["sent"] == 5
    assert any("another configuration" in warning for warning in answer.body["warnings"])
    assert in_pigment(prepared) == sorted(ROWS)


def test_a_run_that_fails_for_its_configuration_leaves_the_baseline(prepared: World) -> None:
    target = prepared.raw["pulls"]["flights"]["target"]
    right = target["configuration"]
    target["configuration"] = "00000000-0000-4000-8000-000000000001"
    prepared.save_jobs()
    assert prepared.run_pull("flights").code == "import_configuration_not_found"
    target["configuration"] = right
    prepared.save_jobs()
    prepared.put_flights(LATER)

    answer = prepared.run_pull("flights")

    assert answer.body["rows"]["sent"] == 2
    assert answer.body["warnings"] == []


def test_without_the_baseline_a_repeatable_target_receives_every_row(prepared: World) -> None:
    prepared.bucket.delete(cursor(prepared))

    answer = prepared.run_pull("flights")

    assert answer.body["rows"]["sent"] == 5
    assert any("is missing" in warning for warning in answer.body["warnings"])
    assert prepared.run_pull("flights").body["outcome"] == "nothing_new"


def test_without_the_baseline_an_append_receives_no_row(prepared: World) -> None:
    prepared.raw["pulls"]["flights"]["target"]["repeatable"] = False
    prepared.save_jobs()
    prepared.bucket.delete(cursor(prepared))

    answer = prepared.run_pull("flights")

    assert (answer.status, answer.code) == (500, "storage_refused")
    assert len(prepared.imports) == 1


def test_max_shrink_counts_all_rows_of_the_look(prepared: World) -> None:
    prepared.raw["pulls"]["flights"]["guards"] = {"max_shrink": "50%"}
    prepared.save_jobs()
    prepared.put_flights(LATER)
    assert prepared.run_pull("flights").body["rows"]["sent"] == 2
    prepared.put_flights(LATER[:2])

    assert prepared.run_pull("flights").code == "shrunk"


def test_a_file_that_no_run_refers_to_is_deleted_by_the_next_run(prepared: World) -> None:
    orphan = paths.base("flights", "20260101T000000-00000000")
    other = paths.base("flights-2", "20260101T000000-00000000")
    for path in (orphan, other):
        prepared.bucket.create(path, b"Id\n", {}, content_type="text/csv")

    prepared.run_pull("flights")

    assert prepared.objects("bases/") == [other, cursor(prepared)]


@pytest.mark.slow
@pytest.mark.parametrize("when", ["after", "before"])
def test_every_change_lands_after_a_kill_at_any_write_to_the_bucket(
    world: World, processes: Processes, when: When
) -> None:
    run = ProcessCall.of_job("pull", "flights")
    steps = 0
    while True:
        for name in world.objects(""):
            world.bucket.delete(name)
        world.put_flights(ROWS)
        keyed(world)
        assert world.run_pull("flights").body["outcome"] == "landed"
        world.put_flights(LATER)
        if not processes.dies(world, run, StopPoint(world.storage_server, STORAGE_WRITES, steps, when)):
            break
        world.clock.advance(LIFETIME_S + 1)
        assert world.run_pull("flights").body["outcome"] in {"landed", "nothing_new"}, steps
        assert in_pigment(world) == sorted([ROWS[0], *LATER]), steps
        assert world.run_pull("flights").body["outcome"] == "nothing_new", steps
        assert world.objects("bases/") == [cursor(world)], steps
        steps += 1
    # lease, complete file, changes, intent, import ID, receipt, cursor, lease deleted
    assert steps >= 8
