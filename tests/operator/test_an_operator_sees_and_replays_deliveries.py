"""`bridge serve` lands what Looker posts by itself; `bridge deliveries` shows it, and lands it again when asked."""

import json
import threading
from typing import Any

import requests

from local.sandbox.wire import Response
from tests.support.served import Served, run, served, write_files
from tests.support.world import PUSH, WEBHOOK_TOKEN, World, delivery


def post(bridge: Served, body: bytes, event: str) -> requests.Response:
    headers = {"X-Looker-Webhook-Token": WEBHOOK_TOKEN, "X-Looker-Webhook-Id": event}
    return requests.post(f"{bridge.addresses['receive']}/sales", data=body, headers=headers, timeout=30)


def bridge_says(world: World, *arguments: str) -> str:
    process = run(world, *arguments, "--state", "home")
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return output


def wait_for_pushes(world: World, count: int) -> threading.Event:
    """Set once so many pushes were accepted."""
    done = threading.Event()
    world.pigment_server.fault(PUSH, after=count - 1, then=done.set)
    return done


def wait_until_delivered(world: World, count: int) -> list[dict[str, Any]]:
    for _ in range(100):
        shown: list[dict[str, Any]] = json.loads(bridge_says(world, "deliveries", "--all", "--json"))
        if [each["state"] for each in shown].count("delivered") == count:
            return shown
    raise AssertionError(shown)


def test_a_delivery_lands_by_itself_even_when_pigment_is_down_at_first(world: World) -> None:
    world.relay("sales")
    write_files(world)
    world.pigment_server.fault(PUSH, times=1, refuse=Response(429, headers={"Retry-After": "1"}))
    with served(world) as bridge:
        landed = wait_for_pushes(world, 2)
        assert post(bridge, delivery(("1", "10")), "a").json()["looker"]["success"] is True
        assert post(bridge, delivery(("2", "20")), "b").status_code == 200
        assert landed.wait(30)
        shown = wait_until_delivered(world, 2)

    assert [each["details"]["outcome"] for each in shown] == ["landed", "landed"]
    configuration = world.raw["relays"]["sales"]["target"]["configuration"]
    assert [row["Id"] for row in world.pigment.rows(configuration)] == ["1", "2"]


def test_the_dead_are_shown_with_their_reason_and_replayed_once_mended(world: World) -> None:
    world.relay("sales", guards={"min_rows": 2})
    write_files(world)
    with served(world) as bridge:
        post(bridge, delivery(("1", "10")), "a")
        for _ in range(100):
            shown = json.loads(bridge_says(world, "deliveries", "--json"))
            if shown and shown[0]["state"] == "dead":
                break
        assert shown[0]["details"]["code"] == "too_few_rows"
        assert "too_few_rows" in bridge_says(world, "deliveries")
        content = json.loads(bridge_says(world, "deliveries", "show", shown[0]["id"]))
        assert content["content"]["attachment"]["data"] == "Id,Amount\n1,10\n"
    world.relay("sales", target=world.raw["relays"]["sales"]["target"])
    write_files(world)
    with served(world):
        again = bridge_says(world, "deliveries", "replay", shown[0]["id"]).strip()
        assert again != shown[0]["id"]
        wait_until_delivered(world, 1)

    assert len(world.imports) == 1


def test_a_replay_really_lands_again(world: World) -> None:
    world.relay("sales")
    write_files(world)
    with served(world) as bridge:
        post(bridge, delivery(("1", "10")), "a")
        (first,) = wait_until_delivered(world, 1)
        bridge_says(world, "deliveries", "replay", first["id"])
        wait_until_delivered(world, 2)
        bridge_says(world, "deliveries", "replay", first["id"])
        wait_until_delivered(world, 3)

    assert len(world.imports) == 3


def test_a_delivery_that_is_not_there_is_said_so(world: World) -> None:
    write_files(world)

    process = run(world, "deliveries", "replay", "nothing", "--state", "home")
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "No delivery named nothing" in errors
