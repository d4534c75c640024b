"""`bridge runs` shows what has not ended, and what to do; `bridge runs RUN` shows one run."""

import json
import shutil

import pytest

from local.sandbox.wire import Response
from tests.support.command_line import run, run_deployed
from tests.support.settling import expire_leases
from tests.support.world import CONFIGURATION, PULL_RUN, PUSH, STATUS, STORAGE_WRITES, World


def shown(*arguments: str) -> list[list[str]]:
    """The first line of each run in the table, as words."""
    answer = run_deployed("runs", *arguments)
    assert answer.status == 0, answer.errors
    _, *lines = answer.output.splitlines()
    return [line.split() for line in lines]


def test_a_run_in_progress_is_shown_with_what_it_does(world: World) -> None:
    seen: list[list[str]] = []
    world.looker_server.fault(PULL_RUN, act=lambda: seen.extend(shown()))

    run_id = world.run_pull("flights").receipt["run"]

    (line,) = seen
    assert (line[0], line[2]) == ("flights", "running")
    assert run_id in line
    assert "reading" in line


def test_a_killed_run_is_shown_as_interrupted(world: World) -> None:
    world.storage_server.fault(STORAGE_WRITES, times=-1, after=2, refuse=Response(403, b"{}"))
    run_id = world.run_pull("flights").receipt["run"]
    world.heal()
    expire_leases(world)

    (line,) = shown("flights")

    assert (line[0], line[2]) == ("flights", "interrupted")
    assert run_id in line


def test_an_unknown_landing_is_shown_once_with_its_command(world: World) -> None:
    world.pigment_server.fault(PUSH, reset_after=True)
    run_id = world.run_pull("flights").receipt["run"]

    (line,) = shown()

    assert (line[0], line[2]) == ("flights", "unknown")
    assert run_id in line
    assert f"`bridge settle {run_id} --landed`" in " ".join(run_deployed("runs", run_id).output.split())
    (listed,) = json.loads(run_deployed("runs", "--json").output)
    assert (listed["run"], listed["outcome"], listed["configuration"]) == (run_id, "unknown", CONFIGURATION)


def test_an_import_in_progress_is_shown(world: World) -> None:
    world.pigment_server.fault(STATUS, times=-1, refuse=Response(401))
    run_id = world.run_pull("flights").receipt["run"]

    (line,) = shown()

    assert (line[0], line[2]) == ("flights", "importing")
    assert run_id in line


def test_one_run_of_any_day_is_shown_whole(world: World) -> None:
    run_id = world.run_pull("flights").receipt["run"]
    world.clock.advance(100 * 24 * 3600)

    answer = run_deployed("runs", run_id)

    assert f"Receipt of run {run_id}" in answer.output
    assert json.loads(run_deployed("runs", run_id, "--json").output)["run"] == run_id


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    ("which", "words"),
    [
        ("flihgts", "Did you mean flights?"),
        ("nope", "`bridge runs` lists the runs of all jobs."),
        ("20260301T061500-00000000", "`bridge runs` shows the ids of runs."),
    ],
)
def test_a_name_that_does_not_exist_is_an_error(which: str, words: str) -> None:
    answer = run_deployed("runs", which)

    assert (answer.status, answer.output) == (1, "")
    assert words in answer.errors


def test_looking_creates_no_bridge(world: World) -> None:
    shutil.rmtree(world.folder / "home", ignore_errors=True)

    for command in (["runs"], ["settle", "20260301T061500-00000000", "--landed"], ["deliveries"]):
        answer = run(world, *command)
        assert "There is no bridge in the folder home." in answer.errors, command
        assert not (world.folder / "home").exists()


def test_a_killed_run_has_no_receipt_and_is_shown_all_the_same(world: World) -> None:
    world.storage_server.fault(STORAGE_WRITES, times=-1, after=5, refuse=Response(403, b"{}"))
    run_id = world.run_pull("flights").receipt["run"]
    world.heal()
    world.bucket.delete(f"receipts/flights/2026-03-01/{run_id}.json")
    expire_leases(world)

    assert run_id in run_deployed("runs", run_id).output
    assert json.loads(run_deployed("runs", run_id, "--json").output)["outcome"] in ("interrupted", "importing")


@pytest.mark.parametrize(("option", "outcome"), [("--landed", "landed"), ("--not-landed", "failed")])
def test_a_run_that_a_person_settles_says_what_became_of_it_and_by_whom(
    world: World, monkeypatch: pytest.MonkeyPatch, option: str, outcome: str
) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    world.pigment_server.fault(PUSH, reset_after=True)
    run_id = world.run_pull("flights").receipt["run"]

    output = run_deployed("settle", run_id, option).output

    assert f"Run {run_id} of flights, which began at 2026-03-01T06:15:" in output
    assert f"was unknown and is {outcome} now, settled by ada on " in output
    whole = " ".join(run_deployed("runs", run_id).output.split())
    assert "Settled by hand at " in whole
    assert ": ada on " in whole
