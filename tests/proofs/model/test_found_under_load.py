"""Failures that the model or the load run found, each as the shortest sequence that shows it."""

from typing import Literal

import pytest

from common.runs import settling
from common.runs.leases import LIFETIME_S
from local.sandbox.wire import Response
from tests.support.world import PUSH, World, delivery

_WRITES = r"(POST|PUT|DELETE) /"
_REFUSED = Response(403, b"{}", {"Content-Type": "application/json"})


@pytest.fixture
def sales(world: World) -> World:
    world.add_relay("sales")
    world.post_delivery("sales", delivery(("1", "10")))
    return world


def landed(world: World) -> list[str]:
    return [row["Id"] for row in world.pigment.rows(world.raw["relays"]["sales"]["target"]["configuration"])]


@pytest.mark.parametrize(("verdict", "accepted"), [("landed", True), ("not landed", False)])
def test_a_settlement_during_a_delivery_is_kept(
    sales: World, verdict: Literal["landed", "not landed"], accepted: bool
) -> None:
    sales.pigment_server.fault(PUSH, reset_after=accepted, reset_before=not accepted)
    assert sales.run_deliver().code == "landing_unknown"
    run = next(receipt["run"] for receipt in sales.receipts("sales") if receipt["outcome"] == "unknown")
    sales.storage_server.fault(_WRITES, act=sales.run_deliver)

    settling.settle_by_hand(sales.bucket, sales.clock, run, verdict)

    assert sales.run_deliver().status == 200
    assert landed(sales) == ["1"]
    assert sales.objects("inbox/") == sales.objects("leases/") == []


def test_a_delivery_written_again_after_landing_is_not_landed_again(sales: World) -> None:
    """A receiver repeats a write whose answer was lost, while a deliverer lands the delivery."""
    (path,) = sales.objects("inbox/sales/")
    content = sales.bucket.read(path)

    def land_and_write_again() -> None:
        assert sales.run_deliver().body["delivered"] == 1
        sales.bucket.create(path, content, {"received-at": "2026-03-01T06:15:00.000Z"}, content_type="application/json")

    sales.storage_server.fault(_WRITES, act=land_and_write_again)
    sales.run_deliver()

    assert landed(sales) == ["1"]
    assert sales.objects("inbox/") == sales.objects("leases/") == []


def test_the_lease_of_a_run_killed_at_its_end_is_removed(sales: World) -> None:
    left = [sales.raw["relays"]["sales"]["target"]["configuration"]]
    sales.storage_server.fault(rf"DELETE /storage/v1/b/bucket/o/leases/{left[0]}", times=-1, refuse=_REFUSED)
    sales.run_deliver()
    sales.storage_server.heal()
    assert len(sales.objects("leases/")) == 1
    sales.clock.advance(LIFETIME_S + 1)

    assert sales.run_deliver().status == 200
    assert sales.objects("leases/") == []
    assert landed(sales) == ["1"]
