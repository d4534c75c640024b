"""Landing a delivery costs a constant number of calls of storage, and a delivery that waits leaves nothing behind."""

from collections.abc import Iterator

import pytest

from common.storage import inbox
from local.sandbox.wire import Response
from tests.support.world import PUSH, World, delivery

pytestmark = pytest.mark.long

BUSY_FOR_S = 3000


@pytest.fixture
def sales(world: World) -> Iterator[World]:
    world.add_relay("sales")
    world.storage_server.keep_bytes = 1
    yield world
    world.storage_server.keep_bytes = 0
    world.storage_server.exchanges.clear()


def fill(world: World, relay: str, count: int) -> None:
    """Put deliveries into the inbox, without the receiver."""
    for number in range(count):
        body = delivery((str(number), "1"))
        name = f"20260301T05{number // 3600:02}{number // 60 % 60:02}{number % 60:02}0000-{number:032x}"
        world.bucket.create(f"inbox/{relay}/{name}", body, {}, content_type="application/json")


def requests_for_one(world: World, waiting: int, *, hint: bool) -> int:
    """Count the requests to storage of a call that lands one of the waiting deliveries."""
    relay = f"relay-{waiting}"
    world.raw["relays"].clear()
    world.add_relay(relay)
    fill(world, relay, waiting)
    world.pigment_server.fault(PUSH, times=-1, after=1, refuse=Response(429))
    before = len(world.storage_server.exchanges)

    answer = world.run_deliver(**({"message": {"attributes": {"objectId": f"inbox/{relay}/x"}}} if hint else {}))

    world.pigment_server.heal()
    assert answer.body["delivered"] == 1
    # Google's client looks up the bucket itself now and then, in a thread of its own.
    return sum("/o" in exchange.path for exchange in world.storage_server.exchanges[before:])


def busy(world: World, times: int = -1) -> None:
    headers = {"Retry-After": str(BUSY_FOR_S)}
    world.pigment_server.fault(PUSH, times=times, refuse=Response(429, headers=headers))


@pytest.mark.parametrize(
    "hint", [pytest.param(True, id="a wake", marks=pytest.mark.slow), pytest.param(False, id="a sweep")]
)
def test_five_times_as_many_waiting_deliveries_cost_no_more_calls(sales: World, hint: bool) -> None:
    sales.run_deliver()
    few = requests_for_one(sales, 120, hint=hint)
    for path in sales.objects("inbox/"):
        sales.bucket.delete(path)

    assert requests_for_one(sales, 600, hint=hint) == few


def test_a_listing_serves_many_landings(sales: World) -> None:
    fill(sales, "sales", 20)
    before = len(sales.storage_server.exchanges)

    assert sales.run_deliver(message={"attributes": {"objectId": "inbox/sales/x"}}).body["delivered"] == 20

    asked = sales.storage_server.exchanges[before:]
    # The first is for the delivery with which the call takes the lease, the last finds that there are no more.
    assert sum(each.path.endswith("/o") and each.query.get("prefix") == ["inbox/sales/"] for each in asked) == 3


@pytest.mark.slow
def test_more_than_a_thousand_are_counted_as_a_thousand(sales: World) -> None:
    fill(sales, "sales", inbox.MOST_COUNTED + 1)
    busy(sales)

    assert sales.run_deliver().body["waiting"] == inbox.MOST_COUNTED


def test_six_wakes_of_a_busy_vendor_stage_the_delivery_once_and_leave_no_file(sales: World) -> None:
    sales.post_delivery("sales", delivery(("1", "10")))
    busy(sales)
    answers = [sales.run_deliver() for _ in range(6)]

    assert [(answer.status, answer.code) for answer in answers] == [(503, "pigment_busy")] * 6
    assert {answer.body["waiting"] for answer in answers} == {1}
    assert all(0 < int(answer.headers["Retry-After"]) <= BUSY_FOR_S for answer in answers)
    assert sales.objects("staged/") == []
    assert len(sales.receipts("sales")) == 1


def test_after_the_time_that_the_vendor_asked_for_the_sweep_lands_it(sales: World) -> None:
    sales.post_delivery("sales", delivery(("1", "10")))
    busy(sales, times=1)
    assert sales.run_deliver().body["waiting"] == 1
    sales.clock.advance(BUSY_FOR_S - 1)
    assert sales.run_deliver().body["waiting"] == 1
    sales.clock.advance(2)

    assert sales.run_deliver().body["delivered"] == 1
    assert sales.objects("waits/") == []


def test_a_busy_configuration_does_not_delay_another(sales: World) -> None:
    sales.add_relay("other")
    sales.post_delivery("sales", delivery(("1", "10")))
    busy(sales, times=1)
    assert sales.run_deliver().body["waiting"] == 1
    sales.post_delivery("other", delivery(("1", "10")))

    answer = sales.run_deliver()

    assert (answer.body["delivered"], answer.body["waiting"]) == (1, 1)


def test_a_pull_that_a_signal_starts_waits_as_well(world: World) -> None:
    world.add_relay("ready", start="flights")
    world.post_delivery("ready", b"new data")
    busy(world)

    answers = [world.run_deliver() for _ in range(3)]

    assert {answer.code for answer in answers} == {"pigment_busy"}
    assert len(world.receipts()) == 1


def test_a_vendor_that_says_no_time_is_asked_at_each_wake(sales: World) -> None:
    sales.post_delivery("sales", delivery(("1", "10")))
    sales.pigment_server.fault(PUSH, times=-1, refuse=Response(429))
    assert sales.run_deliver().body["waiting"] == 1
    assert sales.objects("staged/") == []
    sales.pigment_server.heal()

    assert sales.run_deliver().body["delivered"] == 1


def test_a_file_that_pigment_may_have_is_kept(sales: World) -> None:
    sales.post_delivery("sales", delivery(("1", "10")))
    sales.pigment_server.fault(PUSH, reset_after=True)

    assert sales.run_deliver().code == "landing_unknown"
    assert len(sales.objects("staged/")) == 1
