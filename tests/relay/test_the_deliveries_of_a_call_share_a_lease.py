"""The deliveries of one call land under one lease, which saves most calls of storage, and land once all the same."""

from collections.abc import Iterator
from typing import Any

import pytest

from common.runs import leases
from common.runs.leases import Journal
from common.storage import inbox, paths
from local.sandbox.wire import Exchange, Response
from tests.support.world import CONFIGURATION, HEADER, PUSH, World, delivery

FOR_EACH = 9
"""The rows are read and staged; the lease is written when the run reads, pushes and follows the import; then come the
receipt, the cursor, and the copy and the deletion of the delivery."""


@pytest.fixture
def sales(world: World) -> Iterator[World]:
    world.add_relay("sales")
    world.storage_server.keep_bytes = 1
    yield world
    world.storage_server.keep_bytes = 0
    world.storage_server.exchanges.clear()


def name(number: int) -> str:
    return f"20260301T0515{number:08}-{number:032x}"


def fill(world: World, numbers: range, place: str = "inbox") -> None:
    """Put deliveries there, without the receiver."""
    for number in numbers:
        path = paths.delivery(place, "sales", name(number))
        world.bucket.create(path, delivery((str(number), "1")), {}, content_type="application/json")


def wake(world: World) -> dict[str, Any]:
    """Let a call land what waits for the relay."""
    body: dict[str, Any] = world.run_deliver(message={"attributes": {"objectId": "inbox/sales/x"}}).body
    return body


def calls_of(world: World, numbers: range) -> list[Exchange]:
    """Return the calls of storage of a call that lands as many deliveries."""
    fill(world, numbers)
    before = len(world.storage_server.exchanges)
    assert wake(world)["delivered"] == len(numbers)
    # Google's client looks up the bucket itself now and then, in a thread of its own.
    return [each for each in world.storage_server.exchanges[before:] if "/o" in each.path]


def landed(world: World) -> list[str]:
    return [row["Id"] for row in world.pigment.rows(world.raw["relays"]["sales"]["target"]["configuration"])]


@pytest.mark.long
def test_each_further_delivery_costs_the_same_few_calls(sales: World) -> None:
    fill(sales, range(1))
    wake(sales)
    few, more = calls_of(sales, range(100, 105)), calls_of(sales, range(200, 225))

    assert len(more) - len(few) == 20 * FOR_EACH


def test_the_lease_is_made_and_deleted_once_for_all(sales: World) -> None:
    calls = calls_of(sales, range(8))

    lease = paths.lease(sales.raw["relays"]["sales"]["target"]["configuration"])
    deleted = [each for each in calls if each.method == "DELETE" and lease in each.path]
    looked_up = [each for each in calls if each.method == "GET" and lease in each.path]
    assert (len(deleted), len(looked_up)) == (1, 0)


def test_the_journal_is_that_of_the_run_whose_turn_it_is(sales: World) -> None:
    fill(sales, range(4))
    seen: list[Journal] = []

    def look() -> None:
        seen.extend(stored.value for _, stored in leases.every(sales.bucket))

    sales.pigment_server.fault(PUSH, times=-1, act=look)
    wake(sales)

    assert [each.delivery for each in seen] == [name(number) for number in range(4)]
    assert [each.holder for each in seen] == [each.receipt.run for each in seen]
    assert len({each.holder for each in seen}) == 4
    assert sales.objects("leases/") == []


def test_a_copy_of_a_closed_delivery_is_found_among_many(sales: World) -> None:
    fill(sales, range(6))
    fill(sales, range(3, 4), "delivered")
    fill(sales, range(4, 5), "dead")

    assert wake(sales)["delivered"] == 4

    assert landed(sales) == ["0", "1", "2", "5"]
    assert sales.objects("inbox/") == []
    assert len(sales.objects("dead/")) == 1


@pytest.mark.slow
def test_a_copy_is_found_among_more_closed_ones_than_a_call_lists(sales: World) -> None:
    fill(sales, range(3))
    fill(sales, range(2000, 2003))
    fill(sales, range(2, 2 + inbox.MOST_COUNTED + 1), "delivered")

    wake(sales)

    assert landed(sales) == ["0", "1", "2000", "2001", "2002"]


def test_a_copy_that_comes_during_the_call_is_found(sales: World) -> None:
    """A receiver that got no answer writes the delivery again, after it has landed."""
    fill(sales, range(6))

    sales.pigment_server.fault(PUSH, after=3, act=lambda: fill(sales, range(2)))
    wake(sales)

    assert landed(sales) == ["0", "1", "2", "3", "4", "5"]
    assert sales.objects("inbox/") == []


def test_a_delivery_that_a_person_deletes_is_left_out(sales: World) -> None:
    fill(sales, range(4))
    path = paths.delivery("inbox", "sales", name(2))
    sales.pigment_server.fault(PUSH, after=1, act=lambda: sales.bucket.delete(path))

    body = wake(sales)

    assert (body["delivered"], body["dead"], body["error"]) == (3, 0, None)
    assert landed(sales) == ["0", "1", "3"]


def test_a_dead_delivery_does_not_end_the_others(sales: World) -> None:
    fill(sales, range(2))
    bad = paths.delivery("inbox", "sales", name(2))
    sales.bucket.create(bad, b"no delivery", {}, content_type="application/json")
    fill(sales, range(3, 5))

    body = wake(sales)

    assert (body["delivered"], body["dead"], body["waiting"]) == (4, 1, 0)
    assert landed(sales) == ["0", "1", "3", "4"]
    assert sales.objects("leases/") == []


def test_a_pull_that_a_signal_starts_takes_the_lease_in_its_turn(world: World) -> None:
    world.add_relay("rows", target={"configuration": CONFIGURATION})
    world.add_relay("ready", start="flights")
    rows = f"{','.join(HEADER)}\n2013-01-01,UA,EWR,1\n"
    for relay, body in (
        ("rows", delivery(plan=1, attachment={"mimetype": "text/csv", "extension": "csv", "data": rows})),
        ("ready", b"new data"),
        ("rows", delivery(plan=2, attachment={"mimetype": "text/csv", "extension": "csv", "data": rows})),
    ):
        assert world.post_delivery(relay, body).status == 200
        world.clock.advance(1)

    answer = world.run_deliver().body

    assert (answer["delivered"], answer["waiting"]) == (3, 0)
    assert [each.configuration for each in world.imports] == [CONFIGURATION] * 3
    assert world.objects("leases/") == []


def test_another_call_that_takes_the_lease_between_two_deliveries_lands_the_rest(sales: World) -> None:
    fill(sales, range(4))

    def take_over() -> None:
        sales.clock.advance(leases.LIFETIME_S + 1)
        wake(sales)
        # A receiver that got no answer writes a delivery again.
        fill(sales, range(3, 4))

    sales.storage_server.fault(r"DELETE .*inbox/sales", after=1, then=take_over)

    body = wake(sales)

    assert (body["delivered"], body["waiting"], body["dead"], body["error"]) == (2, 0, 0, None)
    assert landed(sales) == ["0", "1", "2", "3"]
    assert sales.objects("inbox/") == sales.objects("leases/") == []


def test_the_next_journal_may_be_written_although_its_answer_is_lost(sales: World) -> None:
    fill(sales, range(3))

    def lose_an_answer() -> None:
        sales.storage_server.fault(r"POST /upload", reset_after=True)

    # What follows the deletion of a delivery is the journal of the next one.
    sales.storage_server.fault(r"DELETE .*inbox/sales", after=1, then=lose_an_answer)

    assert wake(sales)["delivered"] == 3
    assert landed(sales) == ["0", "1", "2"]
    assert sales.objects("leases/") == []


def test_a_journal_that_was_written_and_refused_is_freed(sales: World) -> None:
    fill(sales, range(3))
    refused = Response(403, b"{}", {"Content-Type": "application/json"})

    def refuse() -> None:
        sales.storage_server.fault(r"POST /upload", answer_instead=refused)

    sales.storage_server.fault(r"DELETE .*inbox/sales", after=1, then=refuse)
    body = wake(sales)

    assert body["error"]["code"] == "storage_refused"
    assert sales.objects("leases/") == []
    assert wake(sales)["delivered"] == 1
    assert landed(sales) == ["0", "1", "2"]


def test_a_landed_delivery_that_storage_does_not_close_says_so_and_lands_once(sales: World) -> None:
    fill(sales, range(2))
    closing = sales.storage_server.fault(r"POST /storage/v1/b/bucket/o/inbox.*rewriteTo", refuse=Response(403, b"{}"))

    error = wake(sales)["error"]

    assert closing.hits
    assert error["code"] == "storage_busy"
    assert "have landed, but Cloud Storage did not close its delivery" in error["message"]
    sales.clock.advance(leases.LIFETIME_S + 1)
    wake(sales)
    assert landed(sales) == ["0", "1"]
    assert sales.objects("inbox/") == sales.objects("leases/") == []
