"""A delivery without rows is refused, unless `guards.min_rows: 0` says that it is nothing new."""

from collections.abc import Mapping

import pytest

from tests.support.action_caller import LookerSide
from tests.support.payloads import attached, attached_zip, zipped
from tests.support.world import World, delivery

EMPTY = delivery()
TWO = delivery(("1", "1"), ("2", "2"))


@pytest.mark.parametrize("guards", [{}, {"min_rows": 1}])
def test_by_default_it_is_dead(world: World, guards: Mapping[str, int]) -> None:
    world.add_relay("sales", guards=guards)
    world.post_delivery("sales", EMPTY)

    assert world.run_deliver().body["dead"] == 1

    (refused,) = [entry.metadata for entry in world.bucket.entries("dead/")]
    assert refused["code"] == "too_few_rows"


@pytest.mark.parametrize("keep", ["every", "latest"])
def test_with_min_rows_0_it_is_delivered_and_nothing_is_sent(world: World, keep: str) -> None:
    world.add_relay("sales", keep=keep, guards={"min_rows": 0})
    world.post_delivery("sales", EMPTY)

    counts = world.run_deliver().body
    assert (counts["delivered"], counts["waiting"], counts["dead"]) == (1, 0, 0)

    (receipt,) = world.receipts("sales")
    assert (receipt["outcome"], receipt["rows"]["read"]) == ("nothing_new", 0)
    (entry,) = world.bucket.entries("delivered/sales/")
    assert entry.metadata["outcome"] == "nothing_new"
    assert world.imports == []


def test_rows_land_after_it(world: World) -> None:
    world.add_relay("sales", guards={"min_rows": 0})
    for body in (TWO, EMPTY, delivery(("3", "3"))):
        world.post_delivery("sales", body)
        world.clock.sleep(1)

    assert world.run_deliver().body["delivered"] == 3
    assert sorted(receipt["outcome"] for receipt in world.receipts("sales")) == ["landed", "landed", "nothing_new"]


def test_with_latest_no_older_delivery_lands_after_it(world: World) -> None:
    world.add_relay("sales", keep="latest", guards={"min_rows": 0})
    for body in (TWO, EMPTY):
        world.post_delivery("sales", body)
        world.clock.sleep(1)

    assert world.run_deliver().body["waiting"] == 0

    outcomes = sorted(entry.metadata["outcome"] for entry in world.bucket.entries("delivered/sales/"))
    assert outcomes == ["nothing_new", "replaced"]
    assert world.imports == []


WITHOUT_HEADER = {
    "an empty list": attached([], "json", "application/json"),
    "an empty list as text": attached("[]", "json", "application/json"),
    "an empty inline list": delivery(attachment=None, data=[]),
    "an empty text": attached(""),
    "a line feed": attached("\n"),
    "an empty base64": attached("", mimetype="text/csv;base64"),
    "an empty file in a zip": attached_zip(zipped(b"")),
}


@pytest.mark.parametrize("body", WITHOUT_HEADER.values(), ids=WITHOUT_HEADER.keys())
@pytest.mark.parametrize("keep", ["every", "latest"])
def test_without_a_header_it_is_nothing_new_too(world: World, keep: str, body: bytes) -> None:
    world.add_relay("sales", keep=keep, guards={"min_rows": 0})

    answer = world.post_delivery("sales", body)
    counts = world.run_deliver().body

    assert (answer.status, counts["delivered"], counts["dead"]) == (200, 1, 0), answer.body
    (receipt,) = world.receipts("sales")
    assert (receipt["outcome"], receipt["rows"]["read"], receipt["error"]) == ("nothing_new", 0, None)
    assert world.imports == []


def test_a_csv_without_a_header_is_said_to_be_one(world: World) -> None:
    """Looker does not document whether a CSV without rows has a header, so somebody should look at it."""
    world.add_relay("sales", guards={"min_rows": 0})

    answer = world.post_delivery("sales", attached(""))
    world.run_deliver()

    assert "not even a header" in answer.body["looker"]["message"]
    assert "not even a header" in world.receipts("sales")[0]["warnings"][0]


def test_an_empty_list_proves_itself(world: World) -> None:
    world.add_relay("sales", guards={"min_rows": 0})

    assert world.post_delivery("sales", attached("[]", "json", "application/json")).body["looker"]["message"] == (
        "Received."
    )
    world.run_deliver()

    assert world.receipts("sales")[0]["warnings"] == []


@pytest.mark.parametrize("body", WITHOUT_HEADER.values(), ids=WITHOUT_HEADER.keys())
def test_without_a_header_it_is_refused_by_default(world: World, body: bytes) -> None:
    world.add_relay("sales")

    answer = world.post_delivery("sales", body)

    assert (answer.status, answer.code) == (422, "delivery_not_usable")
    assert "guards.min_rows: 0" in answer.body["looker"]["message"]


def test_the_header_of_later_rows_is_compared_with_no_header(world: World) -> None:
    world.add_relay("sales", keep="latest", guards={"min_rows": 0, "max_shrink": "50%"})
    for body in (attached(""), TWO):
        assert world.post_delivery("sales", body).status == 200
        world.clock.sleep(1)
        assert world.run_deliver().body["waiting"] == 0

    receipts = {receipt["outcome"]: receipt for receipt in world.receipts("sales")}
    assert receipts["landed"]["warnings"] == []


def test_no_rows_where_there_were_some_is_a_shrinking(world: World) -> None:
    world.add_relay("sales", guards={"min_rows": 0, "max_shrink": "50%"})
    for body in (TWO, attached("")):
        world.post_delivery("sales", body)
        world.clock.sleep(1)
        world.run_deliver()

    (refused,) = [entry.metadata for entry in world.bucket.entries("dead/")]
    assert refused["code"] == "shrunk"


def test_a_delivery_stored_before_the_guard_was_raised_is_dead(world: World) -> None:
    world.add_relay("sales", guards={"min_rows": 0})
    world.post_delivery("sales", attached(""))
    world.add_relay("sales")

    assert world.run_deliver().body["dead"] == 1


def test_an_empty_download_is_no_delivery(world: World) -> None:
    """Its address is for one use, so that nobody can ask whether it had rows."""
    world.add_relay("sales", guards={"min_rows": 0})
    looker = LookerSide(world)

    outcome = looker.execute("sales", looker.offer(b""))

    assert not outcome["success"]
    assert "it has no header" in outcome["message"]
