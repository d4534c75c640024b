"""The recording in functions/docs/commands.md shows what its commands print: from a CSV file to rows in Pigment."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support import recording
from tests.support.command_line import run_in
from tests.support.documents import COMMANDS, commands

pytestmark = pytest.mark.long


def run(folder: Path, arguments: Sequence[str]) -> str:
    result = run_in(folder, *arguments)
    assert (result.status, result.errors) == (0, "")
    return result.output


def test_each_command_prints_what_was_recorded(tmp_path: Path) -> None:
    played = recording.comparable(recording.play(tmp_path, run))

    assert played == recording.comparable(recording.recorded()), "run `.venv/bin/python -m tests.support.recording`"
    assert "outcome landed" in played
    assert "rows inserted 4" in played


def test_it_contains_no_key() -> None:
    assert re.findall(r"pgmt_\w{8,}|client_secret\":\"[^…]", recording.recorded()) == []


def test_the_section_before_it_has_the_same_commands() -> None:
    section = [" ".join(arguments) for arguments in commands(COMMANDS, "bridge")]

    assert {recording.SANDBOX, *recording.COMMANDS} <= {*section}
