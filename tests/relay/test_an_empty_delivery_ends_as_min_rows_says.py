"""A delivery with a header and no rows is refused, unless `guards.min_rows: 0` says that it is nothing new."""

from collections.abc import Mapping

import pytest

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
