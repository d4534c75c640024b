"""`known`: a file with values that are no items of Pigment's lists is refused, or sent without their rows."""

import hashlib
import json
from datetime import datetime
from typing import Any

import pytest

from local.sandbox.pigment import BlockColumn
from local.sandbox.wire import Response
from tests.support.command_line import run_deployed
from tests.support.trips import Trip, Trips
from tests.support.world import EXPORT_KEY, EXPORTS, HEADER, ROWS, FunctionAnswer, World, delivery

CARRIERS = "5f0d3c52-7c1b-4a53-9f0e-6a1d2b3c4d5e"
KEY = ["Flights Day", "Flights Carrier"]
UNKNOWN = [["2013-01-04", "ZZ", "MDW", "5"], ["2013-01-05", "ZZ", "MDW", "6"], ["2013-01-05", "Q,", "MDW", "7"]]
KNOWN = {"columns": {"Flights Carrier": {"list": CARRIERS, "property": "Code"}}}
BUSY = Response(503, headers={"Retry-After": "3000"})


@pytest.fixture
def carriers(world: World) -> World:
    """A list of four carriers, and the pull `flights`, whose rows need one of them."""
    application = world.pigment.application("Planning")
    properties: Any = {"Code": "text", "Name": "text"}
    world.pigment.block(application, "Carriers", "DimensionList", properties, uuid=CARRIERS)
    world.pigment.items(CARRIERS, ["UA", "B6", "AA", "DL"])
    use_known(world)
    return world


def use_known(world: World, load: Any = "full", **more: Any) -> None:
    block = world.pigment.block(world.pigment.application("Planning"), "Keyed flights")
    columns = [BlockColumn(HEADER[1], "dimension", to=CARRIERS) if name == HEADER[1] else name for name in HEADER]
    configuration = world.pigment.configuration(block, columns, unique=KEY)
    target = {"configuration": configuration, "repeatable": True}
    world.add_pull("flights", target=target, load=load, known={**KNOWN, **more})


def next_run(world: World, rows: list[list[str]] | None = None, **how: Any) -> FunctionAnswer:
    world.clock.advance(60)
    if rows is not None:
        world.put_flights(rows)
    return world.run_pull("flights", **how)


def exports_of(world: World) -> int:
    return sum(each.path.endswith(f"/export/list/{CARRIERS}") for each in world.pigment_server.exchanges)


def unknown(item: str, rows: int, alike: str | None = None) -> dict[str, Any]:
    return {"item": item, "rows": rows, "alike": alike}


def pushes(world: World) -> int:
    return len(world.imports)


def test_a_file_of_known_items_lands_and_the_items_are_cached_for_an_hour(carriers: World) -> None:
    first, second = next_run(carriers).receipt, next_run(carriers).receipt

    assert (first["outcome"], second["outcome"], exports_of(carriers)) == ("landed", "landed", 1)
    assert first["known"] == [{"column": "Flights Carrier", "items": 4, "age_s": 0, "unknown": []}]
    assert second["known"][0]["age_s"] == 60
    carriers.clock.advance(3600)
    assert next_run(carriers).receipt["known"][0]["age_s"] == 0
    assert exports_of(carriers) == 2


def test_every_unknown_item_is_named_with_its_rows_and_nothing_is_sent(
    carriers: World, caplog: pytest.LogCaptureFixture
) -> None:
    answer = next_run(carriers, [*ROWS, *UNKNOWN])

    assert (answer.status, answer.code, answer.receipt["outcome"]) == (422, "unknown_items", "refused")
    assert answer.receipt["known"][0]["unknown"] == [unknown("ZZ", 2), unknown("Q,", 1)]
    assert answer.error["message"] == f"3 rows have a Flights Carrier that is no Code of the list {CARRIERS}."
    assert pushes(carriers) == 0
    assert "ZZ" not in caplog.text
    assert "2 × 'ZZ'" in run_deployed("runs", answer.receipt["run"]).output


def test_of_many_unknown_items_those_with_most_rows_are_named(carriers: World) -> None:
    many = [["2013-01-04", f"Z{number // 2}", "MDW", str(number)] for number in range(103)]

    named = next_run(carriers, many).receipt["known"][0]["unknown"]

    assert (len(named), named[-1]) == (51, unknown("all others", 3))
    assert sum(each["rows"] for each in named) == 103


def test_an_item_that_differs_only_in_case_or_spaces_is_named_beside(carriers: World) -> None:
    answer = next_run(carriers, [*ROWS, ["2013-01-04", " ua", "MDW", "5"]])

    assert answer.receipt["known"][0]["unknown"] == [unknown(" ua", 1, "UA")]
    assert "1 × ' ua'; is it 'UA'?" in run_deployed("runs", answer.receipt["run"]).output


def test_a_new_item_is_found_although_the_items_are_cached(carriers: World) -> None:
    next_run(carriers)
    carriers.pigment.items(CARRIERS, ["ZZ", "Q,"])

    answer = next_run(carriers, [*ROWS, *UNKNOWN])

    assert (answer.receipt["outcome"], answer.receipt["known"][0]["items"]) == ("landed", 6)
    assert exports_of(carriers) == 2


def test_with_hold_only_the_rows_of_unknown_items_are_not_sent(carriers: World) -> None:
    use_known(carriers, missing="hold")

    receipt = next_run(carriers, [*ROWS[:2], *UNKNOWN, *ROWS[2:]]).receipt

    assert (receipt["outcome"], receipt["error"]) == ("landed_with_skips", None)
    assert {name: receipt["rows"][name] for name in ("read", "sent", "held", "skipped")} == {
        "read": 8,
        "sent": 5,
        "held": 3,
        "skipped": 0,
    }
    assert receipt["skips"] == [{"reason": "HeldBackUnknownItem", "column": "Flights Carrier", "count": 3}]
    assert receipt["warnings"][0].startswith("3 rows were held back. 3 rows have a Flights Carrier")
    sent = carriers.pigment.received(carriers.imports[0].id).read_bytes()
    assert b"two\nlines" in sent
    assert (receipt["bytes"], receipt["sha256"]) == (len(sent), hashlib.sha256(sent).hexdigest())
    assert [name for name in carriers.objects("staged/") if name.endswith(".known")] == []


def test_empty_cells_are_not_looked_up_and_a_row_is_held_back_once(carriers: World) -> None:
    delays = carriers.pigment.block(carriers.pigment.application("Planning"), "Delays", "DimensionList", {"D": "text"})
    carriers.pigment.items(delays, ["2", "-18", "7", "0"])
    columns = {**KNOWN["columns"], "Flights Delay": {"list": delays, "property": "D"}}
    use_known(carriers, columns=columns, missing="hold")

    receipt = next_run(carriers, [*ROWS, *UNKNOWN[:2]]).receipt

    assert (receipt["rows"]["sent"], receipt["rows"]["held"]) == (len(ROWS), 2)
    assert [(each["column"], each["count"]) for each in receipt["skips"]] == [
        ("Flights Carrier", 2),
        ("Flights Delay", 2),
    ]


def test_with_hold_a_file_of_which_no_row_is_left_is_refused(carriers: World) -> None:
    use_known(carriers, missing="hold")

    answer = next_run(carriers, UNKNOWN)

    assert (answer.code, pushes(carriers)) == ("unknown_items", 0)
    assert answer.error["message"].endswith("No row is left to send.")


def test_of_a_changes_load_rows_that_were_held_back_are_sent_once_their_items_exist(carriers: World) -> None:
    use_known(carriers, {"changes": {"key": KEY}}, missing="hold")
    rows = [*ROWS[:2], *UNKNOWN[1:], *ROWS[2:]]
    assert next_run(carriers, rows).receipt["rows"]["held"] == 2
    assert next_run(carriers).receipt["rows"]["held"] is None  # refused: only the rows that were held back are left
    carriers.pigment.items(CARRIERS, ["ZZ", "Q,"])

    last = next_run(carriers).receipt

    assert (last["outcome"], last["rows"]["sent"], last["changes"]["added"]) == ("landed", 2, 2)
    assert next_run(carriers).receipt["outcome"] == "nothing_new"


def test_of_an_incremental_load_the_cursor_moves_past_rows_that_were_held_back(carriers: World) -> None:
    trips = Trips(carriers, repeatable=True)
    carriers.raw["pulls"]["trips"]["known"] = {
        "columns": {"Trips Note": {"list": CARRIERS, "property": "Code"}},
        "missing": "hold",
    }
    carriers.save_jobs()
    trips.put(Trip(number, datetime(2026, 1, number), note) for number, note in ((1, "UA"), (2, "ZZ")))  # noqa: DTZ001  # as Looker sends it

    carriers.run_pull("trips")

    first = carriers.receipts("trips")[0]
    assert (first["outcome"], first["rows"]["sent"], first["rows"]["held"]) == ("landed_with_skips", 1, 1)
    assert trips.landed() == {(1, "UA"): 1}
    assert carriers.run_pull("trips").receipt["outcome"] == "nothing_new"


def test_a_preview_names_the_unknown_items(carriers: World) -> None:
    refused = next_run(carriers, [*ROWS, *UNKNOWN], preview=True)
    use_known(carriers, missing="hold")
    shown = next_run(carriers, preview=True).receipt

    assert (refused.code, len(refused.receipt["known"][0]["unknown"])) == ("unknown_items", 2)
    assert (shown["outcome"], shown["rows"]["held"], len(shown["preview"]["first_rows"])) == ("previewed", 3, 5)
    assert [name for name in carriers.objects("staged/") if name.endswith((".csv", ".known"))] == []


def test_a_property_that_the_list_does_not_have_is_named(carriers: World) -> None:
    use_known(carriers, columns={"Flights Carrier": {"list": CARRIERS, "property": "Codes"}})

    answer = next_run(carriers)

    assert answer.code == "block_not_found"
    assert "does not have one property 'Codes'" in answer.error["message"]
    assert "Code, Name" in answer.error["next_step"]


def test_a_column_that_looker_does_not_send_is_named(carriers: World) -> None:
    use_known(carriers, columns={"Carrier": {"list": CARRIERS, "property": "Code"}})

    answer = next_run(carriers)

    assert (answer.code, pushes(carriers)) == ("columns_changed", 0)
    assert "known.columns has Carrier" in answer.error["message"]


def test_a_key_without_the_scope_export_is_named(carriers: World) -> None:
    carriers.pigment.key(["Import"], EXPORT_KEY)

    assert next_run(carriers).code == "pigment_key_refused"


def test_a_delivery_with_unknown_items_is_dead_until_they_exist(carriers: World) -> None:
    carriers.add_relay("sales", known={"columns": {"Id": {"list": CARRIERS, "property": "Code"}}})
    assert carriers.post_delivery("sales", delivery(("UA", "1"), ("ZZ", "2"))).status == 200
    carriers.pigment_server.fault(EXPORTS, times=-1, refuse=BUSY)
    assert carriers.run_deliver().body["waiting"] == 1
    assert carriers.objects("staged/sales/") == []
    carriers.pigment_server.heal()
    carriers.clock.advance(3600)

    assert carriers.run_deliver().body["dead"] == 1
    assert carriers.receipts("sales")[-1]["known"][0]["unknown"] == [unknown("ZZ", 1)]

    carriers.pigment.items(CARRIERS, ["ZZ"])
    run_deployed("deliveries", "replay", "--all")
    carriers.clock.advance(60)
    assert carriers.run_deliver().body["delivered"] == 1


def test_without_known_nothing_is_exported(world: World) -> None:
    receipt = world.run_pull("flights").receipt

    assert receipt["known"] == []
    assert json.dumps(receipt["rows"]["held"]) == "null"
    assert exports_of(world) == 0
