"""`bridge serve` lands deliveries by itself. `bridge deliveries` lists them, shows one, and replays them."""

import gc
import json
import threading
import time
from typing import Any

import pytest
import requests

from local.sandbox.wire import Response
from tests.support.command_line import run, run_deployed, run_process
from tests.support.served import Served, served, write_files
from tests.support.world import PUSH, STATUS, WEBHOOK_TOKEN, World, delivery

pytestmark = pytest.mark.long


def post(bridge: Served, body: bytes, event: str, relay: str = "sales") -> requests.Response:
    headers = {"X-Looker-Webhook-Token": WEBHOOK_TOKEN, "X-Looker-Webhook-Id": event}
    return requests.post(f"{bridge.addresses['receive']}/{relay}", data=body, headers=headers, timeout=30)


def output_of(world: World, *arguments: str) -> str:
    result = run(world, *arguments)
    assert result.status == 0, result.errors
    return result.output


def after_pushes(world: World, count: int) -> threading.Event:
    """Return an event that is set once Pigment has received this number of pushes."""
    received = threading.Event()
    world.pigment_server.fault(PUSH, after=count - 1, then=received.set)
    return received


def wait_until(world: World, state: str, count: int) -> list[dict[str, Any]]:
    """Wait until this number of deliveries is in a state, and return them."""
    give_up_s = time.monotonic() + 60
    while True:
        listed: list[dict[str, Any]] = json.loads(output_of(world, "deliveries", "--all", "--json"))
        found = [each for each in listed if each["state"] == state]
        if len(found) == count:
            return found
        assert time.monotonic() < give_up_s, listed
        time.sleep(0.05)


def arrive(world: World, relay: str, *rows: tuple[str, str]) -> str:
    """Post a delivery, of one row unless told otherwise; return its id a second later."""
    world.post_delivery(relay, delivery(*rows or [(str(world.clock.now()), "10")]))
    newest = max(world.objects("inbox/"), key=lambda path: path.rpartition("/")[2])
    world.clock.advance(1)
    return newest.removeprefix("inbox/")


def die(world: World, *relays: str) -> list[str]:
    """Add these relays, and let a delivery of each, in this order, die of a guard; return their ids."""
    for relay in dict.fromkeys(relays):
        world.add_relay(relay, guards={"min_rows": 2})
    identifiers = [arrive(world, relay) for relay in relays]
    world.run_deliver()
    assert sorted(world.objects("dead/")) == sorted(f"dead/{identifier}" for identifier in identifiers)
    return identifiers


def allow(world: World, relay: str) -> None:
    """Remove the guards of a relay."""
    del world.raw["relays"][relay]["guards"]
    world.save_jobs()


def replay_all(world: World) -> list[dict[str, str]]:
    answer = run_deployed("deliveries", "replay", "--all", "--json", clock=world.clock)
    assert answer.status == 0, answer.errors
    world.clock.advance(1)
    replayed: list[dict[str, str]] = json.loads(answer.output)
    return replayed


def ids_of(listed: list[dict[str, Any]]) -> list[str]:
    return [each["id"] for each in listed]


def test_deliveries_land_by_themselves_when_pigment_is_available_again(world: World) -> None:
    world.add_relay("sales")
    write_files(world)
    world.pigment_server.fault(PUSH, times=1, refuse=Response(429, headers={"Retry-After": "1"}))
    with served(world) as bridge:
        landed = after_pushes(world, 2)
        assert post(bridge, delivery(("1", "10")), "a").json()["looker"]["success"] is True
        assert post(bridge, delivery(("2", "20")), "b").status_code == 200
        assert landed.wait(30)
        listed = wait_until(world, "delivered", 2)

    assert [each["details"]["outcome"] for each in listed] == ["landed", "landed"]
    configuration = world.raw["relays"]["sales"]["target"]["configuration"]
    assert [row["Id"] for row in world.pigment.rows(configuration)] == ["1", "2"]


def test_dead_deliveries_show_the_reason_and_land_when_replayed_after_a_fix(world: World) -> None:
    world.add_relay("sales", guards={"min_rows": 2})
    write_files(world)
    with served(world) as bridge:
        post(bridge, delivery(("1", "10")), "a")
        (dead,) = wait_until(world, "dead", 1)
        assert dead["details"]["code"] == "too_few_rows"
        # The process beside `bridge serve` reads the same bucket.
        result = run_process(world, "deliveries")
        assert (result.status, result.output.count("too_few_rows")) == (0, 1)
        shown = json.loads(output_of(world, "deliveries", "show", dead["id"]))
        assert shown["delivery"] == dead
        assert shown["content"]["attachment"]["data"] == "Id,Amount\n1,10\n"
    world.add_relay("sales", target=world.raw["relays"]["sales"]["target"])
    write_files(world)
    with served(world):
        new_id = output_of(world, "deliveries", "replay", dead["id"]).strip()
        assert new_id != dead["id"]
        wait_until(world, "delivered", 1)

    assert len(world.imports) == 1


def test_a_replayed_delivery_lands_again_even_if_it_has_landed(world: World) -> None:
    world.add_relay("sales")
    write_files(world)
    with served(world) as bridge:
        post(bridge, delivery(("1", "10")), "a")
        (first,) = wait_until(world, "delivered", 1)
        output_of(world, "deliveries", "replay", first["id"], "--yes")
        wait_until(world, "delivered", 2)
        output_of(world, "deliveries", "replay", first["id"], "--yes")
        wait_until(world, "delivered", 3)

    assert len(world.imports) == 3


def test_all_that_is_dead_lands_after_one_command(world: World) -> None:
    world.add_relay("sales", guards={"min_rows": 2})
    world.add_relay("other", guards={"min_rows": 2})
    write_files(world)
    with served(world) as bridge:
        for number in ("1", "2", "3"):
            post(bridge, delivery((number, "10")), number)
        post(bridge, delivery(("4", "10")), "4", relay="other")
        dead = wait_until(world, "dead", 4)
    world.add_relay("sales", target=world.raw["relays"]["sales"]["target"])
    write_files(world)
    with served(world):
        replayed = json.loads(output_of(world, "deliveries", "replay", "--all", "--relay", "sales", "--json"))
        wait_until(world, "delivered", 3)
        # What has been replayed is not replayed again; the other relay's delivery dies again, as it is as short.
        rest = output_of(world, "deliveries", "replay", "--all")
        wait_until(world, "dead", 5)

    sales = [each for each in dead if each["id"].startswith("sales/")]
    assert [each["id"] for each in replayed] == [each["id"] for each in sales]
    assert all("1 rows" in each["reason"] and each["new_id"] != each["id"] for each in replayed)
    assert (rest.count("other/"), rest.count("sales/"), rest.count("1 rows")) == (2, 0, 1)
    configuration = world.raw["relays"]["sales"]["target"]["configuration"]
    assert [row["Id"] for row in world.pigment.rows(configuration)] == ["1", "2", "3"]


def test_nothing_is_replayed_over_a_newer_delivery_of_which_only_the_latest_counts(world: World) -> None:
    world.add_relay("sales", keep="latest", guards={"min_rows": 2})
    configuration = world.raw["relays"]["sales"]["target"]["configuration"]
    for number, rows in (("1", 1), ("2", 2), ("3", 1)):
        world.post_delivery("sales", delivery(*[(number, str(row)) for row in range(rows)]))
        world.run_deliver()
        world.clock.advance(1)
    world.add_relay("sales", keep="latest", target=world.raw["relays"]["sales"]["target"])

    answer = run_deployed("deliveries", "replay", "--all", "--json")
    world.run_deliver()

    older, newer = json.loads(answer.output)
    assert (older["new_id"], older["reason"]) == ("", "not replayed, because a newer delivery has landed")
    assert newer["new_id"]
    assert [row["Id"] for row in world.pigment.rows(configuration)] == ["2", "2", "3"]


def test_the_last_landing_is_replayed_if_it_is_dead_although_only_the_latest_counts(world: World) -> None:
    world.add_relay("sales", keep="latest", target={"repeatable": True})
    report = {"blockType": "List", "summary": {"insertedCount": 1, "skippedCount": 1}}
    state = Response.of_json({"importStatus": "Completed", "detailedReport": report})
    world.pigment_server.fault(STATUS, refuse=state)
    in_part = arrive(world, "sales", ("1", "10"), ("2", "20"))
    assert world.run_deliver().body["dead"] == 1

    (replayed,) = replay_all(world)

    assert (replayed["id"], bool(replayed["new_id"])) == (in_part, True)
    assert world.run_deliver().body["delivered"] == 1


def test_an_older_delivery_is_replayed_if_every_delivery_counts(world: World) -> None:
    (older,) = die(world, "sales")
    allow(world, "sales")
    arrive(world, "sales")
    assert world.run_deliver().body["delivered"] == 1

    (replayed,) = replay_all(world)

    assert (replayed["id"], bool(replayed["new_id"])) == (older, True)
    assert world.run_deliver().body["delivered"] == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_delivery_of_which_no_copy_was_made_is_replayed_by_the_next_command(world: World) -> None:
    dead = die(world, "sales")
    world.storage_server.fault("POST /storage/v1/b/.*/rewriteTo/", refuse=Response(403, b"{}"))

    failed = run_deployed("deliveries", "replay", "--all", clock=world.clock)
    world.clock.advance(1)
    (marked,) = world.bucket.entries("dead/")
    again = replay_all(world)

    assert (failed.status, failed.output, "replayed-as" in marked.metadata) == (1, "", True)
    assert ids_of(again) == dead
    assert world.objects("inbox/") == [f"inbox/{again[0]['new_id']}"]
    # Google's client leaves the connection of a failed request to the garbage collector, which warns of it.
    gc.collect()


def test_a_delivery_is_not_replayed_again_once_its_landed_copy_is_deleted(world: World) -> None:
    die(world, "sales")
    allow(world, "sales")
    replay_all(world)
    assert world.run_deliver().body["delivered"] == 1
    world.clock.advance(3600)
    (landed,) = world.objects("delivered/")
    world.bucket.delete(landed)

    assert replay_all(world) == []
    assert world.objects("inbox/") == []


def test_of_a_delivery_that_died_twice_only_the_copy_is_replayed(world: World) -> None:
    die(world, "sales")
    (first,) = replay_all(world)
    assert world.run_deliver().body["dead"] == 1

    second = replay_all(world)

    assert ids_of(second) == [first["new_id"]]
    assert world.objects("inbox/") == [f"inbox/{second[0]['new_id']}"]


def test_dead_deliveries_of_several_relays_are_replayed_in_the_order_of_their_arrival(world: World) -> None:
    dead = die(world, "sales", "other", "sales", "other")

    replayed = replay_all(world)

    assert ids_of(replayed) == dead
    copies = [each["new_id"].rpartition("/")[2] for each in replayed]
    assert copies == sorted(copies)


def test_deliveries_of_every_state_and_relay_are_listed_in_the_order_of_their_arrival(world: World) -> None:
    world.add_relay("sales")
    world.add_relay("other", guards={"min_rows": 2})
    arrived = [arrive(world, relay) for relay in ("sales", "other", "sales", "other")]
    world.run_deliver()
    arrived += [arrive(world, relay) for relay in ("sales", "other")]

    listed = json.loads(run_deployed("deliveries", "--all", "--json").output)

    assert ids_of(listed) == arrived
    assert [each["state"] for each in listed] == ["delivered", "dead", "delivered", "dead", "waiting", "waiting"]


def test_a_delivery_that_waits_is_not_replayed(world: World) -> None:
    world.add_relay("sales")
    waiting = arrive(world, "sales")

    result = run_deployed("deliveries", "replay", waiting, clock=world.clock)

    assert (result.status, result.output) == (1, "")
    assert result.errors.splitlines()[:2] == ["error: malformed_request", f"The delivery {waiting} is still waiting."]
    assert world.objects("inbox/") == [f"inbox/{waiting}"]


def test_a_part_of_two_ids_is_an_error(world: World) -> None:
    world.add_relay("sales")
    arrived = [arrive(world, "sales") for _ in range(2)]

    for command in ("show", "replay"):
        result = run_deployed("deliveries", command, "sales/2026")
        assert (result.status, result.output) == (1, "")
        assert result.errors.splitlines()[:2] == ["error: malformed_request", "2 deliveries match sales/2026."]

    assert world.objects("inbox/") == [f"inbox/{identifier}" for identifier in arrived]


def test_ids_and_all_exclude_each_other(world: World) -> None:
    write_files(world)

    for arguments in ((), ("an-id", "--all"), ("an-id", "--relay", "sales")):
        assert run(world, "deliveries", "replay", *arguments).status == 2


def test_an_unknown_id_is_an_error(world: World) -> None:
    write_files(world)
    (world.folder / "home").mkdir()

    result = run(world, "deliveries", "replay", "nothing")

    assert (result.status, result.output) == (1, "")
    assert result.errors.splitlines() == [
        "error: not_found",
        "No delivery matches nothing.",
        "→ `bridge deliveries --all` lists the ids.",
    ]
