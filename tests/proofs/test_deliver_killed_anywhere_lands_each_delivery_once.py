"""A relay's process killed before or after any of its side effects: what was acknowledged lands once, in order."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, Literal

import pytest

from common.runs import settling
from common.runs.leases import LIFETIME_S, Journal
from common.storage import paths
from local.sandbox.wire import Server
from tests.support.world import PUSH, WEBHOOK_TOKEN, World, delivery

ZYGOTE = """
import datetime, os, sys
import flask
from common.platform import clock
from common.runs import instance
import webhook_deliver, webhook_receive

class Fixed(clock.SystemClock):
    def __init__(self, now):
        self._now = datetime.datetime.fromisoformat(now)
    def now(self):
        return self._now

def act(what, now, token):
    here = instance.Instance(Fixed(now))
    if what == "deliver":
        tally = webhook_deliver.deliver(here, here.config())
        return 3 if tally.error else 0
    relay, _, body = what.partition("/")
    headers = {"X-Looker-Webhook-Token": token}
    request = flask.Request.from_values("/" + relay, method="POST", data=bytes.fromhex(body), headers=headers)
    webhook_receive.receive(request, here)
    return 0

for line in sys.stdin:
    child = os.fork()
    if not child:
        os._exit(act(*line.split()))
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"Imports once and forks for every line: a process of its own each time, without the wait for its start."

STORAGE_WRITES = r"(POST|PUT|DELETE) /"
DELIVERIES = [delivery((str(number), "1")) for number in range(2)]


class Processes:
    """Each call in a process of its own."""

    def __init__(self, zygote: "subprocess.Popen[str]") -> None:
        assert zygote.stdin
        assert zygote.stdout
        self._say, self._hear = zygote.stdin, zygote.stdout
        self._child: Future[int] = Future()

    def run(self, world: World, what: str) -> int:
        """The exit code, or the signal that ended it."""
        self._child = Future()
        self._say.write(f"{what} {world.clock.now().isoformat()} {WEBHOOK_TOKEN}\n")
        self._say.flush()
        self._child.set_result(int(self._hear.readline()))
        return int(self._hear.readline())

    def kill(self) -> None:
        os.kill(self._child.result(10), signal.SIGKILL)


@pytest.fixture
def processes(world: World) -> Iterator[Processes]:
    world.raw["pulls"] = {}
    with subprocess.Popen(
        [sys.executable, "-c", ZYGOTE],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as zygote:
        yield Processes(zygote)


@dataclasses.dataclass
class Kill:
    """At the nth request of a kind, before the server has acted on it or after."""

    server: Server
    on: str
    nth: int
    when: Literal["before", "after"]


def comes_to_it(world: World, processes: Processes, what: str, kill: Kill) -> bool:
    """Run what is killed; whether it came that far."""
    how: dict[str, Any] = (
        {"then": processes.kill, "reset_after": True}
        if kill.when == "after"
        else {"act": processes.kill, "reset_before": True}
    )
    fault = kill.server.fault(kill.on, after=kill.nth, **how)
    code = processes.run(world, what)
    kill.server.heal()
    assert code == (-signal.SIGKILL if fault.hits else 0)
    return bool(fault.hits)


def fresh(world: World, repeatable: bool = False) -> str:
    """A relay that nobody has used before, the only one there is."""
    relay = f"sales-{os.urandom(4).hex()}"
    unique = ["Id"] if repeatable else None
    target = {"repeatable": repeatable, "configuration": world.list_for(relay, unique=unique)}
    world.raw["webhook"] = {"token": "looker-webhook-token"}
    world.raw["relays"] = {relay: {"target": target}}
    world.store.write_json(paths.CONFIG, world.raw, over=None)
    return relay


def landed(world: World, relay: str) -> list[str]:
    return [row["Id"] for row in world.pigment.rows(world.raw["relays"][relay]["target"]["configuration"])]


def converge(world: World, relay: str) -> None:
    """What follows a kill: the hold lapses, the schedule wakes, a person looks at Pigment and settles."""
    for _ in range(4):
        world.clock.advance(LIFETIME_S + 1)
        answer = world.call("deliver")
        if answer.status == 200:
            break
        assert answer.code == "landing_unknown", answer.body
        (path,) = world.objects("leases/")
        flight = world.store.read_json(path, Journal)
        assert flight
        delivered = json.loads(world.store.read(f"inbox/{relay}/{flight.value.delivery}"))
        _, row = delivered["attachment"]["data"].split()
        is_there = row.partition(",")[0] in landed(world, relay)
        verdict: Literal["landed", "not landed"] = "landed" if is_there else "not landed"
        settling.settle_by_hand(world.store, world.clock, flight.value.receipt.run, verdict)


def expect_converged(world: World, relay: str, where: object) -> None:
    converge(world, relay)
    assert landed(world, relay) == ["0", "1"], where
    assert world.objects(f"inbox/{relay}/") == world.objects("leases/") == [], where
    assert len(world.objects(f"delivered/{relay}/")) == 2, where
    assert {receipt["outcome"] for receipt in world.receipts(relay)} <= {"landed", "failed"}, where


@pytest.mark.parametrize(
    "repeatable", [pytest.param(True, id="repeatable", marks=pytest.mark.slow), pytest.param(False, id="append")]
)
@pytest.mark.parametrize("when", ["after", pytest.param("before", marks=pytest.mark.slow)])
def test_deliver_killed_at_any_write_to_the_bucket(
    world: World, processes: Processes, when: Literal["before", "after"], repeatable: bool
) -> None:
    steps = 0
    while True:
        relay = fresh(world, repeatable)
        for body in DELIVERIES:
            assert world.post(relay, body).status == 200
            world.clock.advance(1)
        if not comes_to_it(world, processes, "deliver", Kill(world.storage_server, STORAGE_WRITES, steps, when)):
            break
        expect_converged(world, relay, steps)
        steps += 1
    # twice: lease, staged file, intent, import id, receipt, cursor, delivery away (2), lease away
    assert steps >= 18


@pytest.mark.parametrize("repeatable", [True, False], ids=["repeatable", "append"])
@pytest.mark.parametrize("when", ["after", "before"])
def test_deliver_killed_at_the_push(
    world: World, processes: Processes, when: Literal["before", "after"], repeatable: bool
) -> None:
    relay = fresh(world, repeatable)
    for body in DELIVERIES:
        assert world.post(relay, body).status == 200
        world.clock.advance(1)

    assert comes_to_it(world, processes, "deliver", Kill(world.pigment_server, PUSH, 0, when))

    expect_converged(world, relay, when)


@pytest.mark.parametrize("when", ["after", "before"])
def test_receive_killed_at_any_write_keeps_what_it_acknowledged_and_takes_the_rest_again(
    world: World, processes: Processes, when: Literal["before", "after"]
) -> None:
    steps = 0
    while True:
        relay = fresh(world)
        first, second = DELIVERIES
        killed = comes_to_it(
            world, processes, f"{relay}/{first.hex()}", Kill(world.storage_server, STORAGE_WRITES, steps, when)
        )
        world.clock.advance(1)
        if killed:
            # Nothing was acknowledged: it is sent again.
            assert world.post(relay, first).status == 200
        world.clock.advance(1)
        assert world.post(relay, second).status == 200
        expect_converged(world, relay, steps)
        if not killed:
            break
        steps += 1
    # the mark that names it, and the delivery
    assert steps == 2
