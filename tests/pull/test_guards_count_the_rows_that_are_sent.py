"""With `known.missing: hold`, guards count the rows that are left: a block that is cleared has only these."""

from typing import Any

import pytest

from tests.support.world import HEADER, World, delivery

CARRIERS = "5f0d3c52-7c1b-4a53-9f0e-6a1d2b3c4d5e"
KNOWN = {"list": CARRIERS, "property": "Code"}

pytestmark = pytest.mark.parametrize("guards", [{"max_shrink": "50%"}, {"min_rows": 5}])


def add_list(world: World, item: str) -> None:
    application = world.pigment.application("Planning")
    world.pigment.block(application, "Carriers", "DimensionList", {"Code": "text", "Name": "text"}, uuid=CARRIERS)
    world.pigment.items(CARRIERS, [item])


def rows_of(carrier: str) -> list[list[str]]:
    """One row of a known carrier, and nine of another."""
    return [[f"2013-02-{day:02d}", "UA" if day == 1 else carrier, "EWR", "2"] for day in range(1, 11)]


def test_a_full_load(world: World, guards: dict[str, Any]) -> None:
    add_list(world, "UA")
    block = world.pigment.block(world.pigment.application("Planning"), "Cleared")
    configuration = world.pigment.configuration(block, HEADER, clear="all")
    known = {"columns": {"Flights Carrier": KNOWN}, "missing": "hold"}
    target = {"configuration": configuration, "repeatable": True}
    world.add_pull("flights", target=target, guards=guards, known=known)
    world.put_flights(rows_of("UA"))
    assert world.run_pull("flights").receipt["outcome"] == "landed"
    world.clock.advance(60)
    world.put_flights(rows_of("ua"))

    refused = world.run_pull("flights")

    assert refused.receipt["outcome"] == "refused"
    assert "Without the rows that are held back, Looker returned 1 rows" in refused.error["message"]
    assert world.pigment.count(configuration) == 10


def test_a_delivery(world: World, guards: dict[str, Any]) -> None:
    add_list(world, "known")
    known = {"columns": {"Id": KNOWN}, "missing": "hold"}
    world.add_relay("sales", target={"repeatable": True}, guards=guards, known=known)
    for identity in ("known", "other"):
        world.post_delivery("sales", delivery(*[("known" if each == 0 else identity, str(each)) for each in range(10)]))
        world.run_deliver()
        world.clock.advance(60)

    assert [receipt["outcome"] for receipt in world.receipts("sales")] == ["landed", "refused"]
