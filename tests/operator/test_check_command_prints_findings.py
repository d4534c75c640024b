"""`bridge check`: lines for a person, JSON for a program, and an exit code for both."""

import json

import pytest

from tests.support.command_line import run, run_process
from tests.support.served import write_files
from tests.support.world import LOOKER_SECRET, PIGMENT_KEY, World


@pytest.fixture
def prepared(world: World) -> World:
    world.pigment.key(["Import", "Modeling metadata"], PIGMENT_KEY)
    write_files(world)
    return world


def test_each_check_is_a_line(prepared: World) -> None:
    result = run_process(prepared, "check")

    assert result.status == 0, result.errors
    lines = result.output.splitlines()
    assert lines[0].split(maxsplit=2) == ["green", "bridge.yaml", "The file is valid and has 1 pull."]
    assert any(line.startswith("green   pulls.flights.source.look") for line in lines)
    assert any("`bridge pull` and `bridge serve` write bridge.yaml" in line for line in lines)
    assert PIGMENT_KEY not in result.output + result.errors
    assert LOOKER_SECRET not in result.output + result.errors


def test_json_has_every_field_of_a_finding(prepared: World) -> None:
    findings = json.loads(run(prepared, "check", "--json").output)

    assert {"colour", "subject", "what", "next_step", "line"} == set(findings[0])
    assert {finding["colour"] for finding in findings} == {"green"}


def test_offline_reads_no_secret_and_sends_no_request(prepared: World) -> None:
    (prepared.folder / ".env").unlink()

    result = run(prepared, "check", "--offline")

    assert (result.status, result.errors) == (0, "")
    assert result.output.split(maxsplit=2) == ["green", "bridge.yaml", "The file is valid and has 1 pull.\n"]
    assert prepared.looker_server.exchanges == prepared.pigment_server.exchanges == []


def test_a_red_finding_exits_with_1(prepared: World) -> None:
    prepared.pigment.revoke(PIGMENT_KEY)

    result = run(prepared, "check", "--json")

    assert result.status == 1
    assert [f["subject"] for f in json.loads(result.output) if f["colour"] == "red"] == ["pigment.import_key"]
    assert prepared.imports == []


@pytest.mark.parametrize(("file", "reason"), [("missing", "There is no file missing."), (".env", "Line 1")])
def test_an_unreadable_secrets_file_is_an_error_of_three_lines(prepared: World, file: str, reason: str) -> None:
    (prepared.folder / ".env").write_text("hunter2")

    result = run(prepared, "check", "--env-file", file)

    code, cause, next_step = result.errors.splitlines()
    assert (result.status, code) == (1, "error: secret_unreadable")
    assert reason in cause
    assert "--env-file" in next_step
    assert "hunter2" not in result.errors
