"""Deliveries that wait while their relay becomes a signal are dead with the reason, and land if it lands rows again."""

from local.sandbox.wire import Response
from tests.support.command_line import run_deployed
from tests.support.world import PUSH, World, delivery


def test_they_are_not_called_landed(world: World) -> None:
    world.add_relay("budget", target={"repeatable": True})
    relay = world.raw["relays"]["budget"]
    world.pigment_server.fault(PUSH, times=-1, refuse=Response(429, b"{}"))
    for number in range(3):
        world.clock.advance(1)
        world.post_delivery("budget", delivery((str(number), "1"), plan=number))
    assert world.run_deliver().body["waiting"] == 3
    world.pigment_server.heal()
    world.raw["relays"]["budget"] = {"start": "flights"}
    world.save_jobs()
    world.clock.advance(7200)

    world.run_deliver()

    dead = list(world.bucket.entries("dead/"))
    assert [entry.metadata["reason"] for entry in dead] == [
        "It has rows, and the relay budget no longer lands rows: it starts the pull flights."
    ] * 3
    assert world.objects("delivered/") == []
    world.raw["relays"]["budget"] = relay
    world.save_jobs()
    world.clock.advance(60)
    assert run_deployed("deliveries", "replay", "--all", clock=world.clock).status == 0
    assert world.run_deliver().body["delivered"] == 3
    assert world.pigment.count(relay["target"]["configuration"]) == 3


def test_a_signal_beside_them_still_starts_the_pull(world: World) -> None:
    world.add_relay("budget", target={"repeatable": True})
    world.pigment_server.fault(PUSH, times=1, refuse=Response(401, b"{}"))
    world.post_delivery("budget", delivery(("1", "1")))
    world.run_deliver()
    world.raw["relays"]["budget"] = {"start": "flights"}
    world.save_jobs()
    world.clock.advance(7200)
    world.post_delivery("budget", b'{"ready": true}')

    world.run_deliver()

    assert [receipt["job"] for receipt in world.receipts() if receipt["outcome"] == "landed"] == ["flights"]
    assert len(world.objects("dead/")) == len(world.objects("delivered/")) == 1
