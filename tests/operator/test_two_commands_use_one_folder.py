"""Two commands at the same time in one folder: neither takes the bucket away from the other."""

import json
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.command_line import CommandResult, run, run_process
from tests.support.served import write_files
from tests.support.world import PULL_RUN, World

pytestmark = pytest.mark.long


@pytest.fixture
def prepared(world: World) -> World:
    block = world.pigment.block(world.pigment.application("Planning"), "Others")
    world.add_pull("others", target={"configuration": world.pigment.configuration(block, learn=True)})
    write_files(world)
    return world


@pytest.fixture
def first(prepared: World) -> Iterator["InProgress"]:
    """A pull in another process, which reads rows until it is released."""
    command = InProgress(prepared)
    yield command
    command.finish()


class InProgress:
    def __init__(self, world: World) -> None:
        self._may_end, self._begun = threading.Event(), threading.Event()
        self.results: list[CommandResult] = []
        world.looker_server.fault(PULL_RUN, act=self._wait)
        self._thread = threading.Thread(target=lambda: self.results.append(run_process(world, "pull", "flights")))
        self._thread.start()
        assert self._begun.wait(60)

    def _wait(self) -> None:
        self._begun.set()
        self._may_end.wait(60)

    def release(self) -> None:
        self._may_end.set()

    def finish(self) -> CommandResult:
        self.release()
        self._thread.join()
        return self.results[0]


def test_the_one_that_began_first_waits_for_the_other(prepared: World, first: InProgress) -> None:
    addresses = prepared.folder / "home" / "addresses.json"

    def let_the_first_end() -> None:
        """Wait until its servers have ended, if it does not wait for this command."""
        first.release()
        give_up_s = time.monotonic() + 3
        while addresses.exists() and time.monotonic() < give_up_s:
            threading.Event().wait(0.02)

    prepared.looker_server.fault(PULL_RUN, act=let_the_first_end)

    second = run(prepared, "pull", "others")

    assert second.status == 0, second.output + second.errors
    ended = first.finish()
    assert ended.status == 0, ended.output + ended.errors
    assert ended.errors == "Another command still uses the folder home. Waiting for its end.\n"
    assert {each["outcome"] for each in json.loads(run(prepared, "runs", "--json").output)} == {"landed"}


def test_the_same_job_says_that_it_is_in_progress(prepared: World, first: InProgress) -> None:
    second = run(prepared, "pull", "flights")

    assert second.status == 1
    words = " ".join(second.output.split())
    assert "configuration_occupied: Run " in words
    assert "of flights is in progress. Its lease expires in " in words
    assert "Wait for that run to end." in words
    assert first.finish().status == 0
