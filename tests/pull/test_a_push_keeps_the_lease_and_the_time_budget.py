"""A push is broken off before its last block if the time budget has ended, and a refused one leaves nothing open."""

import json
import threading
import time

import pytest

from local.sandbox.wire import Response
from tests.support.world import CONFIGURATION, PUSH, ROWS, World

LONG = [["2013-01-01", "UA", "x" * 8000, str(number)] for number in range(4000)]
"More than a connection holds, so that a run sends as fast as Pigment reads."


@pytest.mark.long
def test_a_pigment_that_reads_slowly_has_nothing_when_the_time_budget_ends(world: World) -> None:
    world.put_flights(LONG)
    world.pigment_server.fault(PUSH, before_block=lambda: world.clock.advance(60))

    answer = world.run_pull("flights")

    assert (answer.status, answer.code, answer.receipt["outcome"]) == (503, "out_of_time", "failed")
    assert "Pigment was still reading" in answer.error["message"]
    assert world.imports == []
    assert world.objects("leases/") == []
    world.put_flights(ROWS)
    assert world.run_pull("flights").body["outcome"] == "landed"
    assert world.landed_rows() == ROWS


def test_a_pigment_that_does_not_answer_ends_the_run_in_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_DEADLINE_S", "2")
    answered = threading.Event()
    world.pigment_server.fault(PUSH, then=lambda: answered.wait(30) or None)
    began_s = time.monotonic()

    answer = world.run_pull("flights")
    answered.set()

    assert time.monotonic() - began_s < 10
    assert (answer.code, answer.receipt["outcome"]) == ("landing_unknown", "unknown")
    assert len(world.imports) == 1


@pytest.mark.parametrize("status", [429, 400, 401])
def test_after_a_refusal_the_journal_says_that_nothing_was_accepted(world: World, status: int) -> None:
    """A kill while the run waits for its next attempt leaves nothing for a person to settle."""
    steps: list[str] = []

    def look() -> None:
        world.finish_imports()
        journal = world.bucket_folder / "leases" / f"{CONFIGURATION}.json"
        steps.append(json.loads(journal.read_bytes())["step"] if journal.exists() else "free")

    world.clock.meanwhile = look
    world.pigment_server.fault(PUSH, times=2, refuse=Response(status))

    answer = world.run_pull("flights")
    look()

    assert "pushing" not in steps
    assert steps[-1] == "free"
    assert answer.receipt["outcome"] == ("landed" if status == 429 else "failed")
    assert (steps[:2] == ["reading", "reading"]) == (status == 429)
