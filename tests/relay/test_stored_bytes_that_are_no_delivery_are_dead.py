"""What is stored in the inbox and cannot be read as a delivery is dead, with a reason, and delays nothing after it."""

import json

import pytest

from local.sandbox.wire import Response
from tests.support.payloads import attached, attached_zip
from tests.support.world import World, delivery

UNREADABLE = {
    "no JSON": b"new data",
    "JSON of no delivery": b'{"anything": "goes"}',
    "deep nesting": b"[" * 100_000,
    "no UTF-8": attached("a").replace(b'"a"', b'"\xff\xfe"'),
    "an image": attached("x", "png", "image/png"),
    "a broken zip": attached_zip(b"PK\3\4"),
    "nothing": b"",
    "an escape that is not valid": json.dumps({"attachment": {"extension": "csv", "data": "a,b"}}).encode()[:-3]
    + b'\\u"}}',
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_signals_of_a_relay_that_became_a_target_are_dead_with_a_reason(world: World, body: bytes) -> None:
    world.add_relay("sales", start="flights")
    assert world.post_delivery("sales", body).status == 200
    world.clock.advance(1)
    world.add_relay("sales")
    assert world.post_delivery("sales", delivery(("1", "10"))).status == 200

    answer = world.run_deliver()

    assert (answer.status, answer.body["dead"], answer.body["delivered"]) == (200, 1, 1)
    (dead,) = world.bucket.entries("dead/sales/")
    assert dead.metadata["reason"]
    assert dead.metadata["code"] in ("delivery_not_usable", "rows_malformed", "stream_cut")


@pytest.mark.parametrize("limit", ["many", "-1"])
def test_rows_with_damaged_metadata_are_dead_too(world: World, limit: str) -> None:
    world.add_relay("sales")
    name = "20260301T061500000000-1f0c"
    world.bucket.create(f"inbox/sales/{name}", b"Id,Amount\n1,1\n", {"row-limit": limit}, content_type="text/csv")

    assert world.run_deliver().body["waiting"] == 0


def test_storage_that_refuses_to_read_it_kills_no_delivery(world: World) -> None:
    world.add_relay("sales")
    world.post_delivery("sales", delivery(("1", "10")))
    refusal = Response(403, b"{}", {"Content-Type": "application/json"})
    world.storage_server.fault(r"GET /download/.*inbox", times=-1, refuse=refusal)

    assert world.run_deliver().body["waiting"] == 1
    world.storage_server.heal()
    assert world.run_deliver().body["delivered"] == 1
