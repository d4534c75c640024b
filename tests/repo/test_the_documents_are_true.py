"""The documents: commands exist, examples decode, tables equal the code, links and file names resolve."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from common.bridge_yaml import decode
from common.platform.errors import every_error
from common.runs.receipts import Outcome, Receipt
from local import bridge_file
from local.cli import command_line
from tests.support import documents
from tests.support.documents import (
    CHANGELOG,
    COMMANDS,
    DOCUMENTS,
    ERRORS,
    FUNCTIONS,
    INFRA,
    README,
    RECEIPTS,
    REFERENCE,
    ROOT,
    TESTS,
    section,
    text,
)

MOST_BYTES = 8 * 1024
MAKEFILE = text(ROOT / "Makefile")
DEPLOYED = [*(ROOT / "functions").glob("*.py"), *(ROOT / "functions/common").rglob("*.py")]
LOGGED = {"debug", "info", "warning", "error", "exception", "critical"}

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
needs_make = pytest.mark.skipif(not shutil.which("make"), reason="there is no make")


def first_column(document: Path, heading: str) -> list[str]:
    """Return the names between backticks in the first column of a section's tables."""
    rows = re.findall(r"^\| (`.+?`) \|", section(document, heading), re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def constants(files: list[Path]) -> set[str]:
    """Return every string constant in these files."""
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_bytes())))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def every_command(group: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each `bridge` command with its words."""
    for name, command in group.commands.items():
        yield (*path, name), command
        if hasattr(command, "commands"):
            yield from every_command(command, *path, name)


def bridge_commands() -> dict[tuple[str, ...], Any]:
    return dict(every_command(command_line()))


def named_command(arguments: list[str]) -> tuple[str, ...]:
    """Return the words of a command line that name the command; none for `bridge --version`."""
    if arguments[0].startswith("--"):
        return ()
    known = bridge_commands()
    longest = tuple(arguments[:2])
    return longest if longest in known else longest[:1]


def test_the_readme_takes_ten_minutes() -> None:
    assert len(README.read_bytes()) <= MOST_BYTES


def test_the_package_shows_the_readme() -> None:
    assert tomllib.loads(text(ROOT / "pyproject.toml"))["project"]["readme"] == "README.md"


@each_document
def test_generated_tables_equal_the_code(document: Path) -> None:
    for name, table in documents.generated(document).items():
        assert table == f"{documents.GENERATORS[name]()}\n", "run `.venv/bin/python -m tests.support.documents`"


def test_each_error_takes_one_line_of_the_table() -> None:
    """Python 3.13 and later take the indentation out of docstrings, earlier ones do not."""
    lines = documents.generated(ERRORS)["errors"].splitlines()

    assert len(lines) == 2 + len(list(every_error()))
    assert all(line.startswith("| ") and line.endswith(" |") for line in lines if set(line) != {"|", "-"})


def test_each_generated_table_is_in_a_document() -> None:
    stand = [name for document in DOCUMENTS for name in documents.generated(document)]

    assert sorted(stand) == sorted(documents.GENERATORS)


@needs_make
@each_document
def test_each_make_command_is_one_that_make_can_run(document: Path) -> None:
    for arguments in documents.commands(document, "make"):
        command = ["make", "--dry-run", "--assume-old=.venv/ready", *arguments]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
        assert ran.returncode == 0, (arguments, ran.stderr)


def test_ci_runs_the_make_commands_of_the_readme() -> None:
    ran = set(re.findall(r"\bmake (\w+)", text(ROOT / ".ci/run") + text(ROOT / "cloudbuild.yaml")))

    named = {arguments[0] for arguments in documents.commands(README, "make")}
    assert named == {"apply", "demo", "lint", "long", "plan", "test"}
    assert named <= ran | set(re.findall(r"args: \[(\w+)\]", text(ROOT / "cloudbuild.yaml")))


@each_document
def test_each_bridge_command_exists_with_its_options(document: Path) -> None:
    known = {**bridge_commands(), (): command_line()}
    for arguments in documents.commands(document, "bridge"):
        command = known[named_command(arguments)]
        options = {option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]}
        assert {argument for argument in arguments if argument.startswith("--")} <= {*options, "--help"}, arguments


def test_each_bridge_command_is_documented() -> None:
    told = {named_command(arguments) for arguments in documents.commands(COMMANDS, "bridge")}

    assert set(bridge_commands()) == told - {()}


@pytest.mark.long
@each_document
def test_each_module_that_is_run_knows_its_arguments(document: Path) -> None:
    for module, *arguments in documents.commands(document, r"\.venv/bin/python -m"):
        if "argparse" not in text(source_of(module)):
            assert arguments == []
            continue
        command = [sys.executable, "-m", module, "--help"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "functions"), str(ROOT)])}
        ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60)
        words = set(re.findall(r"[\w-]+", ran.stdout))
        assert {word for word in arguments if not word.isdigit()} <= words, arguments


def source_of(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__main__.py" if path.is_dir() else path.with_suffix(".py")


@each_document
def test_each_gcloud_command_names_what_bridge_yaml_has(document: Path) -> None:
    jobs = yaml.safe_load(text(ROOT / "infra/bridge.yaml"))
    secrets = {*jobs["looker"].values(), *jobs["pigment"].values(), *jobs["webhook"].values()}
    schedules = {f"bridge-pull-{name}" for name in jobs["pulls"]} | {
        f"bridge-export-{name}" for name in jobs["exports"]
    }

    for arguments in documents.commands(document, "gcloud"):
        match arguments:
            case ["secrets", "versions", "add", name, *_]:
                assert name in secrets
            case ["scheduler", "jobs", "run", name, *_]:
                assert name in schedules


@each_document
def test_the_files_that_a_document_names_exist(document: Path) -> None:
    for name in re.findall(r"(?<![\w/])(?:functions|infra|tests|\.ci)/[\w/.-]+\w", text(document)):
        assert (ROOT / name).exists() or name == "infra/terraform.tfvars", name


@each_document
def test_the_targets_of_links_exist(document: Path) -> None:
    for address in re.findall(r"\]\((?!https?:)([^)]+)\)", text(document)):
        name, _, anchor = address.partition("#")
        target = document.parent / name if name else document
        assert target.exists(), address
        assert not anchor or anchor in documents.anchors(target), address


def test_the_smallest_bridge_yaml_decodes_without_a_warning() -> None:
    assert decoded(documents.examples(README)).warnings == ()


def test_all_examples_together_decode_without_a_warning() -> None:
    assert decoded(documents.examples(*REFERENCE)).warnings == ()
    assert decoded(documents.examples(*DOCUMENTS)).warnings == ()


def decoded(sections: dict[str, Any]) -> Any:
    return decode(bridge_file.parse(yaml.safe_dump(sections, sort_keys=False)))


def test_each_outcome_and_each_field_of_a_receipt_is_explained() -> None:
    outcomes = set(Outcome.__args__)  # type: ignore[attr-defined]
    explained = first_column(RECEIPTS, "Receipts")

    assert sorted(explained) == sorted([*outcomes, *(field.name for field in msgspec.structs.fields(Receipt))])


def test_each_variable_of_the_environment_is_explained() -> None:
    read = {word for word in constants(DEPLOYED) if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", word)}

    assert set(first_column(FUNCTIONS, "Environment")) == read


def test_each_entry_file_is_listed() -> None:
    assert set(first_column(FUNCTIONS, "Functions")) == {file.stem for file in (ROOT / "functions").glob("*.py")}


def test_each_log_line_is_explained() -> None:
    explained = set(first_column(INFRA, "Log lines"))
    trees = [ast.parse(file.read_bytes()) for file in DEPLOYED]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    logged = {
        word.value
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr in LOGGED and "log" in ast.unparse(call.func.value)
        for word in ast.walk(call.args[0])
        if isinstance(word, ast.Constant)
    }

    assert logged
    assert logged <= explained <= constants(DEPLOYED)


def test_each_alert_is_explained_by_its_title() -> None:
    alerts = text(ROOT / "infra/alerts.tf") + text(ROOT / "infra/alerts_google.tf")
    titles = re.findall(r'^ +title += "(.+)"$', alerts, re.MULTILINE)
    titles += re.findall(r'display_name += "\$\{var\.prefix\}: ([^$"]+)"', alerts)

    assert sorted(first_column(INFRA, "Alerts")) == sorted(titles)


def test_each_step_of_the_pipeline_is_explained() -> None:
    steps = {step["id"] for step in yaml.safe_load(text(ROOT / "cloudbuild.yaml"))["steps"]}

    assert set(first_column(INFRA, "Pipeline")) == steps - {"terraform"}


def test_each_folder_of_tests_is_explained() -> None:
    folders = {f"tests/{file.parent.name}" for file in (ROOT / "tests").glob("*/*.py")}

    assert set(first_column(TESTS, "Suite")) == folders


def test_each_benchmark_has_its_figures() -> None:
    choices = re.search(r'metavar="([\w|]+)"', text(ROOT / "tests/bench/__main__.py"))

    assert choices
    assert set(first_column(TESTS, "Benchmarks")) == set(choices[1].split("|"))


def test_the_changelog_has_the_current_names_of_log_lines() -> None:
    renamed = re.findall(r"\| `(.+)` \| `(.+)` \|", text(CHANGELOG))

    assert {now for _, now in renamed} <= set(first_column(INFRA, "Log lines"))
    assert {before for before, _ in renamed}.isdisjoint(constants(DEPLOYED))
