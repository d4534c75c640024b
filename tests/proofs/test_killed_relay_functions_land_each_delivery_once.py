"""A relay function killed before or after any write: each acknowledged delivery lands once, in order."""

import os

import pytest

from common.runs.leases import LIFETIME_S
from tests.support.kills import AT_EVERY_WRITE, DELIVER, ProcessCall, Processes, StopPoint, When
from tests.support.settling import settle
from tests.support.world import PUSH, STORAGE_WRITES, World, delivery

pytestmark = pytest.mark.long

DELIVERIES = [delivery((str(number), "1")) for number in range(2)]


def fresh(world: World, repeatable: bool = False) -> str:
    """Replace all relays by one new relay."""
    relay = f"sales-{os.urandom(4).hex()}"
    unique = ["Id"] if repeatable else None
    target = {"repeatable": repeatable, "configuration": world.add_list(relay, unique=unique)}
    world.raw |= {"pulls": {}, "relays": {}}
    world.add_relay(relay, target=target)
    return relay


def landed(world: World, relay: str) -> list[str]:
    return [row["Id"] for row in world.pigment.rows(world.raw["relays"][relay]["target"]["configuration"])]


def converge(world: World, relay: str) -> None:
    """Continue after a kill: the lease expires, the schedule calls again, and a person settles the run."""
    for _ in range(4):
        world.clock.advance(LIFETIME_S + 1)
        answer = world.run_deliver()
        if answer.status == 200:
            break
        assert answer.code == "landing_unknown", answer.body
        assert settle(world, world.raw["relays"][relay]["target"]["configuration"])


def expect_converged(world: World, relay: str, where: object) -> None:
    converge(world, relay)
    assert landed(world, relay) == ["0", "1"], where
    assert world.objects(f"inbox/{relay}/") == world.objects("leases/") == [], where
    assert len(world.objects(f"delivered/{relay}/")) == 2, where
    assert {receipt["outcome"] for receipt in world.receipts(relay)} <= {"landed", "failed"}, where


@pytest.mark.parametrize(
    ("repeatable", "every"),
    [
        pytest.param(True, 1, id="repeatable", marks=pytest.mark.slow),
        pytest.param(False, 1, id="append", marks=pytest.mark.slow),
        pytest.param(False, 3, id="append, every third"),
    ],
)
@pytest.mark.parametrize("when", AT_EVERY_WRITE)
def test_deliver_killed_at_any_write_to_the_bucket(
    world: World, processes: Processes, when: When, repeatable: bool, every: int
) -> None:
    steps = 0
    while True:
        relay = fresh(world, repeatable)
        for body in DELIVERIES:
            assert world.post_delivery(relay, body).status == 200
            world.clock.advance(1)
        if not processes.dies(world, DELIVER, StopPoint(world.storage_server, STORAGE_WRITES, steps, when)):
            break
        expect_converged(world, relay, steps)
        steps += every
    # twice: lease, staged file, intent, import ID, receipt, cursor, delivery moved (2 writes), lease deleted
    assert steps >= 18


@pytest.mark.parametrize(
    "repeatable", [pytest.param(True, id="repeatable", marks=pytest.mark.slow), pytest.param(False, id="append")]
)
@pytest.mark.parametrize("when", ["after", "before"])
def test_deliver_killed_at_the_push(world: World, processes: Processes, when: When, repeatable: bool) -> None:
    relay = fresh(world, repeatable)
    for body in DELIVERIES:
        assert world.post_delivery(relay, body).status == 200
        world.clock.advance(1)

    assert processes.dies(world, DELIVER, StopPoint(world.pigment_server, PUSH, 0, when))

    expect_converged(world, relay, when)


@pytest.mark.parametrize("when", ["after", "before"])
def test_receive_killed_at_any_write_loses_no_acknowledged_delivery(
    world: World, processes: Processes, when: When
) -> None:
    steps = 0
    while True:
        relay = fresh(world)
        first, second = DELIVERIES
        post = ProcessCall.of_delivery(relay, first)
        killed = processes.dies(world, post, StopPoint(world.storage_server, STORAGE_WRITES, steps, when))
        world.clock.advance(1)
        if killed:
            # Nothing was acknowledged: it is sent again.
            assert world.post_delivery(relay, first).status == 200
        world.clock.advance(1)
        assert world.post_delivery(relay, second).status == 200
        expect_converged(world, relay, steps)
        if not killed:
            break
        steps += 1
    # the mark with its name, and the delivery
    assert steps == 2
