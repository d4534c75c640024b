"""A pull killed before or after any write: the next run settles it, and an append never duplicates rows."""

import dataclasses
import os

import pytest

from common.runs.leases import LIFETIME_S
from tests.support.kills import AT_EVERY_WRITE, ProcessCall, Processes, StopPoint, When
from tests.support.settling import settle
from tests.support.world import HEADER, PUSH, ROWS, STORAGE_WRITES, FunctionAnswer, World

pytestmark = pytest.mark.long

SCHEDULE_EVENT = {"X-CloudScheduler-ScheduleTime": "2026-03-01T06:15:00Z"}
PULL = ProcessCall.of_job("pull", "flights", SCHEDULE_EVENT)


def converge(world: World) -> list[int]:
    """Run again as Cloud Scheduler does, and settle as a person does; return the statuses."""
    statuses = []
    for _ in range(3):
        answer = run_again(world)
        statuses.append(answer.status)
        if answer.status == 200:
            return statuses
        assert answer.code == "landing_unknown", answer.body
        assert settle(world, configuration(world))
    raise AssertionError(statuses)


@pytest.mark.parametrize(
    "repeatable", [pytest.param(True, id="repeatable", marks=pytest.mark.slow), pytest.param(False, id="append")]
)
@pytest.mark.parametrize(
    "clock_off_s", [0, pytest.param(-3600, marks=pytest.mark.slow), pytest.param(3600, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("when", AT_EVERY_WRITE)
def test_a_pull_killed_at_any_write_lands_once(
    world: World, processes: Processes, when: When, repeatable: bool, clock_off_s: float
) -> None:
    call = dataclasses.replace(PULL, clock_off_s=clock_off_s)
    steps = 0
    while True:
        fresh(world, repeatable)
        if not processes.dies(world, call, StopPoint(world.storage_server, STORAGE_WRITES, steps, when)):
            break
        statuses = converge(world)
        assert landed(world) == len(ROWS), (steps, statuses)
        assert world.objects("leases/") == [], steps
        assert {receipt["outcome"] for receipt in world.receipts()} <= {"landed", "failed"}, steps
        steps += 1
    # lease, staged file, intent, import ID, receipt, cursor, lease deleted
    assert steps >= 7


@pytest.mark.parametrize(
    "repeatable", [pytest.param(True, id="repeatable", marks=pytest.mark.slow), pytest.param(False, id="append")]
)
@pytest.mark.parametrize("when", ["after", "before"])
def test_a_pull_killed_at_its_push_lands_once(world: World, processes: Processes, when: When, repeatable: bool) -> None:
    fresh(world, repeatable)
    assert processes.dies(world, PULL, StopPoint(world.pigment_server, PUSH, 0, when))

    statuses = converge(world)

    # Killed before Pigment has read the file, the run may not have sent its last block yet.
    assert statuses == [200] if repeatable else statuses in ([500, 200], [200] if when == "before" else None)
    assert landed(world) == len(ROWS)


@pytest.mark.parametrize("when", ["after", "before"])
def test_an_append_that_is_read_back_needs_nobody_after_a_kill_at_its_push(
    world: World, processes: Processes, when: When
) -> None:
    fresh(world, False, read_back=True)
    assert processes.dies(world, PULL, StopPoint(world.pigment_server, PUSH, 0, when))

    assert converge_alone(world)
    assert landed(world) == len(ROWS)


@pytest.mark.slow
@pytest.mark.parametrize("when", AT_EVERY_WRITE)
def test_an_append_that_is_read_back_needs_nobody_after_a_kill(world: World, processes: Processes, when: When) -> None:
    steps = 0
    while True:
        fresh(world, False, read_back=True)
        if not processes.dies(world, PULL, StopPoint(world.storage_server, STORAGE_WRITES, steps, when)):
            break
        assert converge_alone(world), steps
        assert landed(world) == len(ROWS), steps
        assert world.objects("leases/") == [], steps
        world.run_deliver()
        verdicts = [receipt["verified"] for receipt in world.receipts() if receipt["outcome"] == "landed"]
        assert verdicts[-1:] == ["equal"], (steps, str(world.receipts()))
        steps += 1
    assert steps >= 7


def converge_alone(world: World) -> bool:
    """Run again as Cloud Scheduler does, now and after an hour, settle nothing by hand; return whether it landed."""
    world.finish_imports()
    for wait_s in (0, 3601):
        world.clock.advance(wait_s)
        answer = run_again(world)
        if answer.status == 200:
            return True
        assert answer.code == "landing_unknown", answer.body
    return False


def run_again(world: World) -> FunctionAnswer:
    """Run once the lease of the killed run has expired."""
    for _ in range(2):
        world.clock.advance(LIFETIME_S + 1)
        answer = world.run_pull("flights", headers=SCHEDULE_EVENT)
        # A write of the lease that was on its way when the process was killed can arrive after the first wait.
        if answer.status == 200 or answer.code != "configuration_occupied":
            break
    return answer


def fresh(world: World, repeatable: bool, *, read_back: bool = False) -> None:
    """Empty the bucket, and add the pull with an empty list."""
    for name in world.objects(""):
        world.bucket.delete(name)
    application = world.pigment.application("Planning")
    block = world.pigment.block(application, f"Flights {len(world.imports)} {os.urandom(4).hex()}")
    target = world.pigment.configuration(block, HEADER, clear="all" if repeatable else "none")
    verify = {"verify": {"source": {"list": block}, "key": HEADER[:3]}} if read_back else {}
    world.add_pull("flights", target={"repeatable": repeatable, "configuration": target}, **verify)


def configuration(world: World) -> str:
    configuration: str = world.raw["pulls"]["flights"]["target"]["configuration"]
    return configuration


def landed(world: World) -> int:
    return world.pigment.count(configuration(world))
