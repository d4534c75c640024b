"""`bridge approve` and `bridge reject` killed before or after any write: repeated, the file lands once, or never."""

import os

import pytest

from common.runs.leases import LIFETIME_S
from tests.support.command_line import run_deployed
from tests.support.kills import ProcessCall, Processes, StopPoint, When
from tests.support.settling import settle
from tests.support.world import HEADER, ROWS, STORAGE_WRITES, World

pytestmark = pytest.mark.slow


def hold(world: World, repeatable: bool) -> str:
    """Empty the bucket, land a file into an empty list, and hold the next one; return its run."""
    for name in world.objects(""):
        world.bucket.delete(name)
    block = world.pigment.block(world.pigment.application("Planning"), f"Flights {os.urandom(6).hex()}")
    target = world.pigment.configuration(block, HEADER, unique=HEADER[:2] if repeatable else None)
    world.put_flights(ROWS)
    guards = {"approve": {"max_deleted": 0}}
    world.add_pull("flights", target={"repeatable": repeatable, "configuration": target}, guards=guards)
    assert world.run_pull("flights").receipt["outcome"] == "landed"
    world.put_flights(ROWS[1:])
    world.clock.advance(60)
    held = world.run_pull("flights").receipt
    assert held["outcome"] == "held"
    run: str = held["run"]
    return run


def repeat(world: World, command: str, run: str) -> None:
    """Repeat a command as a person does, and settle what is unknown, until the run is decided."""
    configuration: str = world.raw["pulls"]["flights"]["target"]["configuration"]
    for _ in range(4):
        world.clock.advance(LIFETIME_S + 1)
        run_deployed(command, run, clock=world.clock)
        if outcome_of(world, run) != "held" and world.objects("staged/_held/") == []:
            return
        settle(world, configuration)
    raise AssertionError(world.receipts())


def outcome_of(world: World, run: str) -> str:
    return next(str(each["outcome"]) for each in world.receipts() if each["run"] == run)


@pytest.mark.parametrize("repeatable", [True, False], ids=["repeatable", "append"])
@pytest.mark.parametrize("when", ["after", "before"])
def test_a_file_whose_approval_is_killed_lands_once(
    world: World, processes: Processes, when: When, repeatable: bool
) -> None:
    steps = 0
    while True:
        run = hold(world, repeatable)
        call = ProcessCall.of_command("approve", run)
        if not processes.dies(world, call, StopPoint(world.storage_server, STORAGE_WRITES, steps, when)):
            break
        repeat(world, "approve", run)
        landed = world.pigment.count(world.raw["pulls"]["flights"]["target"]["configuration"])
        assert landed == (len(ROWS) if repeatable else 2 * len(ROWS) - 1), steps
        assert outcome_of(world, run) == "approved", steps
        world.run_pull("flights")
        assert world.objects("leases/") == [], steps
        steps += 1
    # lease, intent, import ID, receipt, cursor, lease deleted, receipt of the held run, hold deleted
    assert steps >= 8


@pytest.mark.parametrize("when", ["after", "before"])
def test_a_rejection_that_is_killed_is_completed(world: World, processes: Processes, when: When) -> None:
    steps = 0
    while True:
        run = hold(world, repeatable=False)
        call = ProcessCall.of_command("reject", run)
        if not processes.dies(world, call, StopPoint(world.storage_server, STORAGE_WRITES, steps, when)):
            break
        repeat(world, "reject", run)
        assert world.pigment.count(world.raw["pulls"]["flights"]["target"]["configuration"]) == len(ROWS)
        assert outcome_of(world, run) == "refused", steps
        assert f"staged/flights/{run}.csv" not in world.objects("staged/")
        steps += 1
    # lease, receipt of the held run, file deleted, hold deleted, lease deleted
    assert steps >= 5
