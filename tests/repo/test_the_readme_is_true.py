"""The README: its tables are generated, its commands exist, its example decodes."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner

from common.bridge_yaml import decode
from common.runs.receipts import Outcome
from local import bridge_file, output, resource_columns
from local.cli import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_error_table_is_the_error_tree() -> None:
    kept = README.split("<!-- bridge errors --markdown -->\n")[1].split("\n<!-- end -->")[0]

    assert kept == output.errors_markdown(), "run `bridge errors --markdown` and paste what it prints"


def test_the_table_of_resources_is_what_is_read() -> None:
    kept = README.split("<!-- bridge resources --markdown -->\n")[1].split("\n<!-- end -->")[0]

    assert kept == resource_columns.markdown(), "run `bridge resources --markdown` and paste what it prints"


def test_every_outcome_is_explained() -> None:
    explained = set(
        re.findall(r"^\| `(\w+)` \|", README.split("## What a receipt means")[1].split("##")[0], re.MULTILINE)
    )

    assert explained == set(Outcome.__args__)  # type: ignore[attr-defined]


def test_every_make_command_is_a_target() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"^ {4}make ([a-z]+)", README, re.MULTILINE)) <= targets


def test_every_bridge_command_exists_with_its_options() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]

    for line in re.findall(r"^ {4}bridge ([^#\n]+)", README, re.MULTILINE):
        name, *arguments = line.split()
        command = commands[name]
        if arguments and arguments[0] in getattr(command, "commands", {}):
            command = command.commands[arguments[0]]
        options = {option for parameter in command.params for option in parameter.opts}
        assert {argument for argument in arguments if argument.startswith("--")} <= options


def test_the_example_of_bridge_yaml_decodes_without_a_warning() -> None:
    sections: dict[str, Any] = {}
    for block in README.split("```yaml\n")[1:]:
        for name, section in yaml.safe_load(block.split("```")[0]).items():
            sections.setdefault(name, {}).update(section)

    assert decode(bridge_file.parse(yaml.safe_dump(sections, sort_keys=False))).warnings == ()


def test_the_files_it_names_are_there() -> None:
    for name in re.findall(r"(?:functions|infra|tests)/[\w/.]+\w", README):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize(
    "command",
    [
        *("demo", "serve", "pull", "export", "runs", "settle", "check", "errors", "deliver", "deliveries"),
        *("applications", "blocks", "views", "configurations", "backfill", "looker", "resources"),
    ],
)
def test_help_is_enough_to_work_with(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"])

    assert shown.exit_code == 0
    assert len(shown.output.split()) > 10


def test_ci_runs_the_commands_of_the_readme() -> None:
    ran = set(re.findall(r"^make (\w+)", (ROOT / ".ci/run").read_text(), re.MULTILINE))

    assert {"lint", "demo", "test"} <= ran
