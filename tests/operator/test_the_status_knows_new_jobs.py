"""`bridge status` on this machine shows the jobs of bridge.yaml, also those that no run has read yet."""

import json

import yaml

from tests.support.command_line import run
from tests.support.served import write_files
from tests.support.world import World


def verdicts(world: World, *options: str) -> dict[str, str]:
    answer = run(world, "status", "--json", *options)
    assert answer.status == 0, answer.errors
    return {each["job"]: each["verdict"] for each in json.loads(answer.output)}


def test_before_the_first_run_every_job_is_new(world: World) -> None:
    write_files(world)
    run(world, "check")

    assert verdicts(world) == {"flights": "new"}


def test_a_job_that_was_added_is_shown(world: World) -> None:
    write_files(world)
    run(world, "pull", "flights")
    world.add_pull("again", target={"configuration": world.raw["pulls"]["flights"]["target"]["configuration"]})
    write_files(world)

    assert verdicts(world) == {"again": "new", "flights": "landed"}


def test_another_file_can_be_named(world: World) -> None:
    write_files(world)
    run(world, "pull", "flights")
    jobs = yaml.safe_load((world.folder / "bridge.yaml").read_text())
    jobs["pulls"]["renamed"] = jobs["pulls"].pop("flights")
    (world.folder / "other.yaml").write_text(yaml.safe_dump(jobs))

    assert verdicts(world, "--config", "other.yaml") == {"renamed": "new"}


def test_a_file_with_faults_does_not_hide_what_has_landed(world: World) -> None:
    write_files(world)
    run(world, "pull", "flights")
    (world.folder / "bridge.yaml").write_text("pulls: [")

    assert verdicts(world) == {"flights": "landed"}
