"""`bridge check` from a shell: lines for a person, JSON for a program, and an exit code for both."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.world import EXPORT_KEY, LOOKER_SECRET, PIGMENT_KEY, World

BRIDGE = str(Path(sys.executable).parent / "bridge")


@pytest.fixture
def prepared(world: World) -> World:
    world.pigment.key(["Import", "Modeling metadata"], PIGMENT_KEY)
    credentials = json.dumps({"client_id": "bridge", "client_secret": LOOKER_SECRET})
    keys = f"pigment-import-key={PIGMENT_KEY}\npigment-export-key={EXPORT_KEY}\n"
    (world.folder / ".env").write_text(f"looker-api={credentials}\n{keys}")
    (world.folder / "bridge.yaml").write_text(yaml.safe_dump(world.raw))
    return world


def check(world: World, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in world.environment()}
    return subprocess.run(
        [BRIDGE, "check", "--config", "bridge.yaml", "--env-file", ".env", "--state", "home", *arguments],
        cwd=world.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_person_reads_a_line_for_each_thing_tried(prepared: World) -> None:
    done = check(prepared)

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split(maxsplit=2) == ["green", "bridge.yaml", "It says what it has to, of 1 pull."]
    assert any(line.startswith("green   pulls.flights.source.look") for line in lines)
    assert any("→ Run Terraform" in line for line in lines)
    assert PIGMENT_KEY not in done.stdout + done.stderr
    assert LOOKER_SECRET not in done.stdout + done.stderr


def test_a_program_reads_json(prepared: World) -> None:
    findings = json.loads(check(prepared, "--json").stdout)

    assert {"colour", "subject", "what", "next_step"} == set(findings[0])
    assert {finding["colour"] for finding in findings} == {"green", "yellow"}


def test_one_red_finding_fails_it(prepared: World) -> None:
    prepared.pigment.revoke(PIGMENT_KEY)

    done = check(prepared, "--json")

    assert done.returncode == 1
    assert [f["subject"] for f in json.loads(done.stdout) if f["colour"] == "red"] == ["pigment.import_key"]
    assert prepared.imports == []


@pytest.mark.parametrize(("content", "reason"), [(None, "No such file"), ("hunter2", "Line 1")])
def test_a_secrets_file_that_cannot_be_read_is_three_lines_and_no_traceback(
    prepared: World, content: str | None, reason: str
) -> None:
    (prepared.folder / ".env").unlink()
    if content is not None:
        (prepared.folder / ".env").write_text(content)

    done = check(prepared)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 3
    assert reason in done.stderr
    assert "--env-file" in done.stderr
    assert "hunter2" not in done.stderr
