"""A delivery is answered "Already received" only if the rows it brings wait or have landed, and nothing came since."""

import concurrent.futures
from datetime import timedelta

import pytest

from common.storage.claims import DeliveryMark
from local.sandbox.wire import Response
from tests.support.world import PULL_RUN, STORAGE_WRITES, World, delivery

A, B = delivery(("1", "10")), delivery(("1", "11"))
_BUSY = Response(503, b"{}", {"Content-Type": "application/json"})


@pytest.fixture
def sales(world: World) -> World:
    world.add_relay("sales")
    return world


def send(world: World, body: bytes, event: str | None = None, relay: str = "sales") -> str:
    answer = world.post_delivery(relay, body, **({"X_Looker_Webhook_Id": event} if event else {}))
    assert answer.status == 200, answer.body
    message: str = answer.body["looker"]["message"]
    return message


def landed(world: World, relay: str = "sales") -> list[str]:
    configuration = world.raw["relays"][relay]["target"]["configuration"]
    return [row["Amount"] for row in world.pigment.rows(configuration)]


@pytest.mark.parametrize("events", [(None, None, None), (None, "b", None)], ids=["without ids", "the second has an id"])
def test_content_that_returns_after_other_content_lands_again(sales: World, events: tuple[str | None, ...]) -> None:
    messages = []
    for body, event in zip((A, B, A), events, strict=True):
        messages.append(send(sales, body, event))
        sales.clock.advance(1)

    sales.run_deliver()

    assert messages == ["Received."] * 3
    assert landed(sales) == ["10", "11", "10"]


def test_it_lands_again_too_if_the_first_ones_have_landed(sales: World) -> None:
    for body in (A, B, A):
        send(sales, body)
        sales.run_deliver()

    assert landed(sales) == ["10", "11", "10"]


def test_another_schedule_between_two_copies_changes_nothing(sales: World) -> None:
    messages = [send(sales, body) for body in (A, delivery(("1", "10"), plan=8), A)]

    assert messages == ["Received.", "Received.", "Already received."]


def test_a_dead_delivery_lands_when_it_is_sent_again(sales: World) -> None:
    sales.pigment.fail_next(sales.raw["relays"]["sales"]["target"]["configuration"], "Broken", "No")
    send(sales, A)
    assert sales.run_deliver().body["dead"] == 1

    assert send(sales, A) == "Received."

    assert sales.run_deliver().body["delivered"] == 1
    assert landed(sales) == ["10"]


def test_a_replaced_delivery_lands_when_it_is_sent_again(world: World) -> None:
    world.add_relay("sales", keep="latest")
    send(world, A)
    send(world, delivery(("1", "11"), plan=8))
    world.run_deliver()
    assert landed(world) == ["11"]

    assert send(world, A) == "Received."

    world.run_deliver()
    assert landed(world) == ["11", "10"]


def test_a_signal_counts_until_its_pull_begins(world: World) -> None:
    world.add_relay("ready", start="flights")
    assert [send(world, b"new data", relay="ready") for _ in range(2)] == ["Received.", "Already received."]
    world.run_deliver()

    assert send(world, b"new data", relay="ready") == "Received."
    world.run_deliver()

    assert [receipt["outcome"] for receipt in world.receipts()] == ["landed", "landed"]


def test_a_signal_during_a_pull_starts_another(world: World) -> None:
    world.add_relay("ready", start="flights")
    send(world, b"new data", relay="ready")
    messages: list[str] = []
    world.looker_server.fault(PULL_RUN, then=lambda: messages.append(send(world, b"new data", relay="ready")))

    world.run_deliver()

    assert messages == ["Received."]
    assert len(world.receipts()) == 2
    assert world.objects("inbox/") == []


def test_a_signal_that_came_just_before_the_pull_does_not_count_for_one_during_it(world: World) -> None:
    world.add_relay("ready", start="flights")
    send(world, b"data of Monday", relay="ready")
    # The call has read that the signal is forgotten, and lists the waiting ones next.
    world.storage_server.fault(
        r"GET /.*plan-any", after=1, then=lambda: send(world, b"new data", relay="ready") and None
    )
    world.looker_server.fault(PULL_RUN, then=lambda: send(world, b"new data", relay="ready") and None)

    world.run_deliver()

    assert len(world.receipts()) == 2
    assert len(world.objects("delivered/")) == 2


def test_the_same_id_with_other_content_is_a_delivery_of_its_own_with_a_warning(
    sales: World, caplog: pytest.LogCaptureFixture
) -> None:
    messages = [send(sales, body, "event-1") for body in (A, B, B, A)]
    sales.run_deliver()

    assert messages == ["Received.", "Received.", "Already received.", "Already received."]
    assert landed(sales) == ["10", "11"]
    warnings = {receipt["sha256"]: receipt["warnings"] for receipt in sales.receipts("sales")}.values()
    assert sorted(map(len, warnings)) == [0, 1]
    assert "webhook id" in next(text for texts in warnings for text in texts)
    logged = [record.msg for record in caplog.records if isinstance(record.msg, dict) and record.levelname == "WARNING"]
    assert [line["event"] for line in logged] == ["webhook id used again"]


def test_the_same_event_is_stored_once_whatever_became_of_it(sales: World) -> None:
    sales.raw["relays"]["sales"]["guards"] = {"min_rows": 2}
    sales.save_jobs()
    send(sales, A, "event-1")
    assert sales.run_deliver().body["dead"] == 1

    assert send(sales, A, "event-1") == "Already received."


def test_sixteen_concurrent_copies_without_an_id_are_one_delivery(sales: World) -> None:
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: send(sales, A), range(16)))

    assert len(sales.objects("inbox/sales/")) == 1


@pytest.mark.parametrize("event", [None, "event-1"])
@pytest.mark.parametrize("write", [0, 1])
def test_a_lost_answer_to_an_own_write_is_not_a_duplicate(sales: World, write: int, event: str | None) -> None:
    sales.storage_server.fault(STORAGE_WRITES, after=write, answer_instead=_BUSY)

    assert send(sales, A, event) == "Received."
    assert len(sales.objects("inbox/sales/")) == 1


@pytest.mark.parametrize("event", [None, "event-1"])
def test_after_a_kill_between_the_two_writes_the_next_attempt_stores_the_delivery(
    sales: World, event: str | None
) -> None:
    headers = {"X_Looker_Webhook_Id": event} if event else {}
    refused = Response(403, b"{}", {"Content-Type": "application/json"})
    sales.storage_server.fault(r"POST /(resumable/)?upload/.*", after=1, refuse=refused)
    assert sales.post_delivery("sales", A, **headers).status == 500
    assert (len(sales.objects("seen/")), sales.objects("inbox/")) == (1, [])

    assert sales.post_delivery("sales", A, **headers).body["looker"]["message"] == "Received."
    sales.run_deliver()

    assert landed(sales) == ["10"]


def test_the_marks_of_earlier_versions_are_read(sales: World) -> None:
    """They had one mark for each content, and no digest in the mark of an event."""
    for event in ("event-1", None):
        send(sales, A, event)
        sales.clock.advance(1)
    for path in sales.objects("seen/sales/"):
        mark = sales.bucket.read_json(path, DeliveryMark)
        assert mark is not None
        earlier = {"name": mark.value.name, "received_at": mark.value.received_at, "by_id": mark.value.by_id}
        sales.bucket.write_json(f"seen/sales/{mark.value.name.partition('-')[2]}", earlier, over=None)
        if "plan-" in path:
            sales.bucket.delete(path)

    assert [send(sales, A, event) for event in (None, "event-1")] == ["Already received."] * 2
    sales.clock.advance(timedelta(minutes=61).total_seconds())
    assert [send(sales, A, event) for event in (None, "event-1")] == ["Received.", "Already received."]
