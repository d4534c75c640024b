"""The relay: stored before the 200, recognised as a duplicate, landed oldest first, dead with a reason."""

import concurrent.futures
import json
from datetime import timedelta

import pytest

from common.runs import settling
from common.runs.leases import LIFETIME_S
from local.sandbox.wire import Response
from tests.support.world import (
    CONFIGURATION,
    PUSH,
    STATUS,
    WEBHOOK_TOKEN,
    FunctionAnswer,
    World,
    delivery,
)


def landed(world: World, relay: str = "sales") -> list[tuple[str, str]]:
    configuration = world.raw["relays"][relay]["target"]["configuration"]
    return [(row["Id"], row["Amount"]) for row in world.pigment.rows(configuration)]


@pytest.fixture
def sales(world: World) -> World:
    world.add_relay("sales")
    return world


def test_a_delivery_is_stored_before_the_200_and_landed_by_deliver(sales: World) -> None:
    answer = sales.post_delivery("sales", delivery(("1", "10"), ("2", "20")))

    assert (answer.status, answer.body["looker"]["success"]) == (200, True)
    assert len(sales.objects("inbox/sales/")) == 1
    assert sales.run_deliver().body | {"error": None} == {"delivered": 1, "waiting": 0, "dead": 0, "error": None}
    assert landed(sales) == [("1", "10"), ("2", "20")]
    assert sales.objects("inbox/") == sales.objects("leases/") == []
    assert len(sales.objects("delivered/sales/")) == 1
    receipt = sales.receipts("sales")[0]
    assert (receipt["outcome"], receipt["kind"], receipt["rows"]["sent"]) == ("landed", "relay", 2)


def test_the_log_has_each_delivery_with_its_size(sales: World, caplog: pytest.LogCaptureFixture) -> None:
    body = delivery(("1", "10"))
    caplog.set_level("INFO")

    sales.post_delivery("sales", body, X_Looker_Webhook_Id="first")
    sales.post_delivery("sales", body, X_Looker_Webhook_Id="first")

    logged = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    lines = [line for line in logged if line["event"].startswith("delivery ")]
    assert [line["event"] for line in lines] == ["delivery stored", "delivery already received"]
    assert [(line["job"], line["bytes"]) for line in lines] == [("sales", len(body))] * 2


def test_a_chunked_body_is_accepted(sales: World) -> None:
    body = delivery(("1", "10"))

    assert sales.post_delivery("sales", iter([body[:20], body[20:]])).status == 200
    assert sales.run_deliver().body["delivered"] == 1


def test_the_address_of_pigments_own_api_finds_the_relay_by_its_configuration(sales: World) -> None:
    configuration = sales.raw["relays"]["sales"]["target"]["configuration"]
    path = f"api/import/push/looker?configurationId={configuration}"

    assert sales.post_delivery(path, delivery(("1", "10"))).status == 200
    assert len(sales.objects("inbox/sales/")) == 1


@pytest.mark.parametrize("token", [None, "", "wrong", WEBHOOK_TOKEN[:-1], "ü"])
@pytest.mark.parametrize("relay", ["sales", "no-such-relay", "api/import/push/looker?configurationId=x", ""])
def test_without_the_token_no_answer_reveals_the_relays(sales: World, relay: str, token: str | None) -> None:
    shown = token.encode().decode("latin-1") if token else token

    answer = sales.post_delivery(relay, delivery(("1", "10")), token=shown)

    assert (answer.status, answer.code) == (401, "token_refused")
    assert answer.body == sales.post_delivery("sales", b"x", token="another").body
    assert sales.objects("inbox/") == sales.objects("seen/") == []


def test_a_token_rotates_without_a_gap(sales: World) -> None:
    assert sales.post_delivery("sales", delivery(("1", "1"))).status == 200
    sales.clock.advance(5)
    sales.secrets.put("looker-webhook-token", "the-next-token")

    assert sales.post_delivery("sales", delivery(("2", "2")), token="the-next-token").status == 200
    assert sales.post_delivery("sales", delivery(("3", "3"))).status == 200
    sales.secrets.put("looker-webhook-token", "the-third-token")
    sales.clock.advance(5)
    assert sales.post_delivery("sales", delivery(("4", "4")), token="the-third-token").status == 200
    assert sales.post_delivery("sales", delivery(("5", "5"))).status == 401


def test_an_unknown_relay_is_answered_404_with_the_token(sales: World) -> None:
    assert sales.post_delivery("nothing", delivery(("1", "1"))).status == 404


def test_the_same_webhook_id_is_stored_and_landed_once(sales: World) -> None:
    for _ in range(2):
        assert sales.post_delivery("sales", delivery(("1", "10")), X_Looker_Webhook_Id="event-1").status == 200
    sales.run_deliver()
    assert sales.post_delivery("sales", delivery(("1", "10")), X_Looker_Webhook_Id="event-1").status == 200
    sales.run_deliver()

    assert landed(sales) == [("1", "10")]


def test_without_an_id_the_same_plan_and_content_are_one_delivery_for_an_hour(sales: World) -> None:
    sales.post_delivery("sales", delivery(("1", "10")))
    sales.run_deliver()
    sales.clock.advance(timedelta(minutes=59).total_seconds())
    sales.post_delivery("sales", delivery(("1", "10")))
    sales.run_deliver()
    assert landed(sales) == [("1", "10")]

    sales.clock.advance(timedelta(minutes=2).total_seconds())
    sales.post_delivery("sales", delivery(("1", "10")))
    sales.post_delivery("sales", delivery(("1", "10"), plan=8))
    sales.run_deliver()
    assert landed(sales) == [("1", "10")] * 3


def test_sixteen_concurrent_copies_are_one_delivery(sales: World) -> None:
    def send(_: int) -> FunctionAnswer:
        return sales.post_delivery("sales", delivery(("1", "10")), X_Looker_Webhook_Id="e")

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(send, range(16)))

    assert {answer.status for answer in answers} == {200}
    assert len(sales.objects("inbox/sales/")) == 1


def test_a_delivery_that_is_not_durable_is_not_acknowledged(sales: World) -> None:
    refuse = Response(503, b"{}", {"Content-Type": "application/json"})
    sales.storage_server.fault(
        r"POST /(resumable/)?upload/.*", times=-1, refuse=Response(403, refuse.body, refuse.headers)
    )

    answer = sales.post_delivery("sales", delivery(("1", "10")))

    assert (answer.status, answer.code) == (500, "storage_refused")
    assert answer.body["looker"]["success"] is False
    sales.storage_server.heal()
    assert sales.objects("inbox/") == []
    assert sales.post_delivery("sales", delivery(("1", "10"))).status == 200
    assert sales.run_deliver().body["delivered"] == 1


def test_deliveries_land_in_the_order_of_arrival(sales: World) -> None:
    for number in range(5):
        sales.post_delivery("sales", delivery((str(number), "1")))
        sales.clock.advance(1)
    sales.run_deliver()

    assert [row[0] for row in landed(sales)] == ["0", "1", "2", "3", "4"]


def test_a_waiting_delivery_delays_the_later_ones(sales: World) -> None:
    for number in range(3):
        sales.post_delivery("sales", delivery((str(number), "1")))
        sales.clock.advance(1)
    sales.pigment_server.fault(PUSH, times=-1, after=1, refuse=Response(429))

    answer = sales.run_deliver()

    assert (answer.status, answer.code) == (503, "pigment_busy")
    assert {name: answer.body[name] for name in ("delivered", "waiting", "dead")} == {
        "delivered": 1, "waiting": 2, "dead": 0,
    }  # fmt: skip
    assert int(answer.headers["Retry-After"]) > 0
    sales.pigment_server.heal()
    assert sales.run_deliver().body["delivered"] == 2
    assert [row[0] for row in landed(sales)] == ["0", "1", "2"]


def test_a_refused_delivery_is_dead_with_its_reason_and_the_next_lands(sales: World) -> None:
    sales.raw["relays"]["sales"]["guards"] = {"min_rows": 2}
    sales.save_jobs()
    sales.post_delivery("sales", delivery(("1", "1")))
    sales.clock.advance(1)
    sales.post_delivery("sales", delivery(("2", "2"), ("3", "3")))

    assert sales.run_deliver().body["dead"] == 1
    (dead,) = sales.bucket.entries("dead/sales/")
    assert dead.metadata["code"] == "too_few_rows"
    assert "1 rows" in dead.metadata["reason"]
    assert landed(sales) == [("2", "2"), ("3", "3")]


def test_a_failed_import_is_dead_with_pigments_reason(sales: World) -> None:
    configuration = sales.raw["relays"]["sales"]["target"]["configuration"]
    sales.pigment.fail_next(configuration, "Broken", "No")
    sales.post_delivery("sales", delivery(("1", "1")))

    assert sales.run_deliver().body["dead"] == 1
    (dead,) = sales.bucket.entries("dead/sales/")
    assert dead.metadata["code"] == "import_failed"


def test_keep_latest_replaces_deliveries_that_have_not_landed(world: World) -> None:
    world.add_relay("sales", keep="latest")
    for number in range(3):
        world.post_delivery("sales", delivery((str(number), "1")))
        world.clock.advance(1)

    world.run_deliver()

    assert landed(world) == [("2", "1")]
    assert sorted(entry.metadata["outcome"] for entry in world.bucket.entries("delivered/")) == [
        "landed", "replaced", "replaced",
    ]  # fmt: skip


def test_a_signal_starts_its_pull_once_for_all_waiting_deliveries(world: World) -> None:
    world.add_relay("ready", start="flights")
    world.post_delivery("ready", b'{"anything": "goes"}', X_Looker_Webhook_Id="1")
    world.clock.advance(1)
    world.post_delivery("ready", delivery(("x", "y")), X_Looker_Webhook_Id="2")

    assert world.run_deliver().status == 200
    assert len(world.imports) == 1
    assert world.receipts("flights")[0]["outcome"] == "landed"
    assert world.objects("inbox/") == []


def test_the_envelope_is_only_a_hint(sales: World) -> None:
    sales.add_relay("other")
    sales.post_delivery("sales", delivery(("1", "1")))
    sales.post_delivery("other", delivery(("2", "2")))

    hinted = sales.run_deliver(message={"attributes": {"objectId": "inbox/other/x"}})
    assert hinted.body["delivered"] == 1
    assert landed(sales, "other") == [("2", "2")]
    assert sales.run_deliver(message={"attributes": {"objectId": "inbox/gone/x"}}).body["delivered"] == 1


def test_deliveries_of_a_removed_relay_are_kept_and_reported(sales: World) -> None:
    sales.post_delivery("sales", delivery(("1", "1")))
    kept = sales.raw["relays"].pop("sales")
    sales.save_jobs()

    swept = sales.run_deliver()
    assert swept.status == 404
    assert swept.body["waiting"] == 1
    assert "sales" in swept.body["error"]["message"]
    assert "bridge.yaml" in swept.body["error"]["next_step"]

    sales.raw["relays"]["sales"] = kept
    sales.save_jobs()
    assert sales.run_deliver().body["delivered"] == 1


def test_an_append_with_an_unconfirmed_push_waits_for_a_person(sales: World) -> None:
    sales.post_delivery("sales", delivery(("1", "1")))
    sales.pigment_server.fault(PUSH, reset_after=True)
    first = sales.run_deliver()
    again = sales.run_deliver()

    assert (first.status, first.code, again.code) == (500, "landing_unknown", "landing_unknown")
    run = next(receipt["run"] for receipt in sales.receipts("sales") if receipt["outcome"] == "unknown")
    settling.settle_by_hand(sales.bucket, sales.clock, run, "landed")
    assert sales.run_deliver().body["waiting"] == 0
    assert landed(sales) == [("1", "1")]
    assert len(sales.objects("delivered/sales/")) == 1


def test_an_import_longer_than_the_budget_is_settled_by_the_next_call(sales: World) -> None:
    sales.post_delivery("sales", delivery(("1", "1")))
    sales.pause_imports()
    assert sales.run_deliver().status != 200
    sales.resume_imports()
    sales.pigment.finished(sales.imports[0].id)

    assert sales.run_deliver().body["waiting"] == 0
    assert landed(sales) == [("1", "1")]


def test_concurrent_deliverers_land_each_delivery_once(sales: World) -> None:
    for number in range(10):
        sales.post_delivery("sales", delivery((str(number), "1")))
        sales.clock.advance(1)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: sales.run_deliver(), range(8)))
    sales.clock.advance(LIFETIME_S + 1)
    sales.run_deliver()

    assert [row[0] for row in landed(sales)] == [str(number) for number in range(10)]


def test_a_pdf_is_refused_with_advice_and_not_stored(sales: World) -> None:
    attachment = {"mimetype": "application/pdf;base64", "extension": "pdf", "data": "JVBERi0="}
    body = json.dumps({"scheduled_plan": {"title": "x"}, "attachment": attachment}).encode()

    answer = sales.post_delivery("sales", body)

    assert (answer.status, answer.code) == (422, "delivery_not_usable")
    assert "CSV" in answer.body["looker"]["message"]
    assert sales.objects("inbox/") == sales.objects("seen/") == []


def test_33_mib_are_refused_with_or_without_a_length(sales: World) -> None:
    block = b"x" * (1 << 20)

    assert sales.post_delivery("sales", iter([block] * 33)).status == 413
    assert sales.post_delivery("sales", block * 33).status == 413
    assert sales.objects("inbox/") == []


def test_an_unavailable_status_does_not_make_a_delivery_dead(sales: World) -> None:
    sales.post_delivery("sales", delivery(("1", "1")))
    sales.pigment_server.fault(STATUS, times=-1, refuse=Response(401))

    first = sales.run_deliver()
    sales.pigment_server.heal()

    assert first.code == "pigment_key_refused"
    assert sales.run_deliver().body["waiting"] == 0
    assert landed(sales) == [("1", "1")]


def test_a_signal_whose_pull_landed_in_part_is_dead_and_delays_no_later_one(world: World) -> None:
    world.add_relay("ready", start="flights")
    world.pigment.skip_next(CONFIGURATION, 2)
    world.post_delivery("ready", b'{"scheduled_plan": {"scheduled_plan_id": 1}}')

    first = world.run_deliver()
    second = world.run_deliver()

    assert (first.body["dead"], second.body["waiting"], len(world.imports)) == (1, 0, 1)
    (dead,) = world.bucket.entries("dead/ready/")
    assert dead.metadata["code"] == "too_many_skipped"
    world.post_delivery("ready", b'{"scheduled_plan": {"scheduled_plan_id": 1}}')
    assert (world.run_deliver().body["delivered"], len(world.imports)) == (1, 2)
