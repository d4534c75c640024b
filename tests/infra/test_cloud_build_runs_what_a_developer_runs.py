"""cloudbuild.yaml, .ci/run and the Makefile run the same commands, and the build plans only after all checks."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
BUILD: dict[str, Any] = yaml.safe_load((ROOT / "cloudbuild.yaml").read_text(encoding="utf-8"))
STEPS: dict[str, dict[str, Any]] = {step["id"]: step for step in BUILD["steps"]}

# A program that replaces Terraform and records its arguments.
TERRAFORM = '#!/bin/sh\necho "$@" >> "$CALLS"\n'


def targets() -> dict[str, list[str]]:
    """Return each target with its prerequisites."""
    found = re.findall(r"^([a-z]+):([^\n#]*)", MAKEFILE, re.MULTILINE)
    return {name: needs.split() for name, needs in found}


def made(step: dict[str, Any]) -> set[str]:
    """Return the targets that a step makes."""
    words = " ".join(step["args"])
    return set(step["args"]) if step["entrypoint"] == "make" else set(re.findall(r"\bmake (\w+)", words))


def test_every_target_is_phony() -> None:
    phony = re.findall(r"^\.PHONY: (.*)", MAKEFILE, re.MULTILINE)[0].split()

    assert set(phony) == set(targets())


def test_every_command_of_the_build_is_a_make_target() -> None:
    ran = set().union(*(made(step) for step in BUILD["steps"]))

    assert ran == {"lint", "test", "long", "deployed", "infra", "scan", "plan", "apply"}
    assert ran <= set(targets())


def test_the_build_plans_after_all_checks_and_applies_that_plan() -> None:
    order = list(STEPS)

    assert order[-2:] == ["plan", "apply"]
    assert not [step for step in BUILD["steps"] if "waitFor" in step]


def test_ci_runs_what_the_build_runs_up_to_the_plan() -> None:
    ran = set(re.findall(r"\bmake (\w+)", (ROOT / ".ci" / "run").read_text(encoding="utf-8")))

    assert set().union(*(made(step) for step in BUILD["steps"])) - {"plan", "apply"} <= ran


def test_every_image_is_pinned() -> None:
    assert {step["name"] for step in BUILD["steps"]} == {"python:3.13", "hashicorp/terraform:1.11.4"}


def test_the_build_runs_on_the_python_of_the_functions() -> None:
    runtime = re.search(r'runtime += "python3(\d+)"', (ROOT / "infra" / "functions.tf").read_text(encoding="utf-8"))

    assert runtime
    assert f"python:3.{runtime[1]}" in {step["name"] for step in BUILD["steps"]}


def test_every_substitution_is_used_and_every_one_used_has_a_default() -> None:
    text = yaml.safe_dump({key: value for key, value in BUILD.items() if key != "substitutions"})

    assert set(re.findall(r"\$\{?(_[A-Z_]+)", text)) == set(BUILD["substitutions"])


def test_the_settings_of_an_environment_are_committed_and_decide_project_and_region() -> None:
    settings = (ROOT / "infra" / "settings" / f"{BUILD['substitutions']['_ENVIRONMENT']}.tfvars").read_text()
    tracked = subprocess.run(["git", "check-ignore", "infra/settings/dev.tfvars"], cwd=ROOT, check=False)

    assert re.findall(r"^(project_id|region) ", settings, re.MULTILINE) == ["project_id", "region"]
    assert not [name for name in BUILD["options"]["env"] if name.startswith("TF_VAR_")]
    assert tracked.returncode == 1


@pytest.mark.parametrize(
    ("substitutions", "ran"),
    [
        ({}, []),
        ({"_STATE_BUCKET": "states"}, ["plan"]),
        ({"_STATE_BUCKET": "states", "_APPLY": "yes"}, ["plan"]),
        ({"_STATE_BUCKET": "states", "_APPLY": "true"}, ["plan", "apply"]),
    ],
)
def test_the_build_applies_only_on_request(substitutions: dict[str, str], ran: list[str], tmp_path: Path) -> None:
    (tmp_path / "make").write_text('#!/bin/sh\necho "$1" >> made\n')
    (tmp_path / "make").chmod(0o755)
    given = BUILD["substitutions"] | substitutions

    for step in (STEPS["plan"], STEPS["apply"]):
        # Cloud Build inserts the values of substitutions before a step starts.
        arguments = [re.sub(r"\$(_[A-Z_]+)", lambda found: given[found[1]], text) for text in step["args"]]
        path = f"{tmp_path}:{os.environ['PATH']}"
        subprocess.run([step["entrypoint"], *arguments], cwd=tmp_path, env={"PATH": path}, check=True)

    made_file = tmp_path / "made"
    assert (made_file.read_text().split() if made_file.exists() else []) == ran


def make(tmp_path: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run `make` with that program as Terraform; return the result and the calls of the program."""
    program, calls = tmp_path / "terraform", tmp_path / "calls"
    program.write_text(TERRAFORM)
    program.chmod(0o755)
    calls.unlink(missing_ok=True)
    ran = subprocess.run(
        # Do not rebuild the environment of the tests if its files look old.
        ["make", "--assume-old=.venv/ready", *arguments, f"TERRAFORM={program}"],
        cwd=ROOT,
        env={**os.environ, "CALLS": str(calls)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return ran, calls.read_text().splitlines() if calls.exists() else []


needs_make = pytest.mark.skipif(
    not shutil.which("make") or not (ROOT / ".venv" / "ready").exists(), reason="there is no make, or no .venv/ready"
)


@needs_make
def test_only_a_saved_plan_is_applied(tmp_path: Path) -> None:
    (ROOT / "build" / "bridge.json").unlink(missing_ok=True)
    _, planned = make(tmp_path, "plan", "STATE_BUCKET=states")
    _, applied = make(tmp_path, "apply")

    assert planned[0] == (
        "-chdir=infra init -input=false -reconfigure -backend-config=bucket=states "
        "-backend-config=prefix=looker-pigment-bridge/acme-planning/bridge"
    )
    assert planned[1].startswith(
        f"-chdir=infra plan -input=false -var-file={ROOT / 'infra' / 'settings' / 'prod.tfvars'} "
        f"-var=bridge_file={ROOT / 'infra' / 'bridge.yaml'} -out="
    )
    checked = json.loads((ROOT / "build" / "bridge.json").read_bytes())
    assert checked["sha256"] == hashlib.sha256((ROOT / "infra" / "bridge.yaml").read_bytes()).hexdigest()
    assert applied == [f"-chdir=infra apply -input=false {planned[1].partition('-out=')[2]}"]


@needs_make
def test_an_invalid_bridge_yaml_is_not_planned(tmp_path: Path) -> None:
    (tmp_path / "bridge.yaml").write_text("pulls: {a: {}}")

    ran, called = make(tmp_path, "plan", "STATE_BUCKET=states", f"BRIDGE={tmp_path / 'bridge.yaml'}")

    assert ran.returncode != 0
    assert "pulls.a.source" in ran.stdout
    assert called == []


@needs_make
def test_a_plan_needs_a_bucket_for_the_state(tmp_path: Path) -> None:
    ran, called = make(tmp_path, "plan", "STATE_BUCKET=")

    assert ran.returncode != 0
    assert "make plan STATE_BUCKET=" in ran.stderr
    assert called == []


@needs_make
def test_two_bridges_in_one_bucket_have_two_states_and_a_plan_says_which(tmp_path: Path) -> None:
    said = {}
    for prefix in ("bridge", "second"):
        settings = tmp_path / f"{prefix}.tfvars"
        settings.write_text(f'project_id = "acme-dev"\nregion = "europe-west1"\nprefix = "{prefix}"\n')
        said[prefix] = make(tmp_path, "plan", "STATE_BUCKET=states", f"SETTINGS={settings}")

    for prefix, (ran, called) in said.items():
        assert f"State: gs://states/looker-pigment-bridge/acme-dev/{prefix}\n" in ran.stdout
        assert called[0].endswith(f"-backend-config=prefix=looker-pigment-bridge/acme-dev/{prefix}")


@needs_make
def test_a_plan_without_settings_says_which_file_is_missing(tmp_path: Path) -> None:
    ran, called = make(tmp_path, "plan", "STATE_BUCKET=states", "ENVIRONMENT=nowhere")

    assert ran.returncode != 0
    assert "infra/settings/nowhere.tfvars does not set project_id" in ran.stderr
    assert called == []


def test_a_build_receives_every_file_in_git() -> None:
    """A build also tests the files that the archive omits."""
    lines = (ROOT / ".gcloudignore").read_text(encoding="utf-8").splitlines()
    ignored = {line for line in lines if line and not line.startswith("# ")}

    assert ignored == {".git/", "#!include:.gitignore"}
