"""What the command line says to do is possible there: the words of the cloud stay in the answers of the cloud."""

import ast
import json
import re

import pytest

from common.platform import errors
from common.platform.errors import BridgeError, every_error
from local import function_server, next_steps
from tests.support.command_line import run
from tests.support.served import write_files
from tests.support.world import CONFIGURATION, PIGMENT_KEY, PULL_RUN, PUSH, World

CLASS_NAME = re.compile(r"\b[A-Z]\w*(Error|Exception|Refused|Timeout|NotFound)\b")


@pytest.fixture
def on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BRIDGE_BUCKET", raising=False)


def given_next_steps() -> list[tuple[type[BridgeError], str]]:
    """Every next step that the code gives an error where it raises it, as far as the text stands there."""
    kinds = {kind.__name__: kind for kind in every_error()}
    found = []
    for path in (function_server.FUNCTIONS / "common").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds:
                texts = [each.value for each in node.keywords if each.arg == "next_step"]
                parts = [part.value for text in texts for part in ast.walk(text) if isinstance(part, ast.Constant)]
                found.append((kinds[node.func.id], "".join(part for part in parts if isinstance(part, str))))
    return [(kind, text) for kind, text in found if text]


@pytest.mark.usefixtures("on_this_machine")
def test_no_next_step_on_this_machine_names_what_only_the_cloud_has() -> None:
    given = [(kind, kind.next_step) for kind in every_error()] + given_next_steps()
    assert len(given) > 60
    wrong = [
        (kind.__name__, text)
        for kind, text in given
        if next_steps.OF_THE_CLOUD.search(next_steps.fitting(kind, "A cause.", text))
    ]
    assert wrong == []


@pytest.mark.usefixtures("world")
def test_at_a_deployed_bridge_they_name_the_cloud() -> None:
    for kind in (errors.SecretUnreadable, errors.StorageRefused):
        assert next_steps.fitting(kind, "A cause.", kind.next_step) == kind.next_step
    terraform = next_steps.fitting(errors.NoSuchJob, "A cause.", errors.NoSuchJob.next_step)
    assert "run `make apply`" in terraform
    assert "POST" not in next_steps.fitting(errors.MalformedRequest, "A cause.", errors.MalformedRequest.next_step)


def test_a_missing_secret_is_named_before_rows_are_read(world: World) -> None:
    write_files(world)
    secrets = (world.folder / ".env").read_text().splitlines()
    (world.folder / ".env").write_text("\n".join(line for line in secrets if "pigment-import-key" not in line))

    result = run(world, "pull", "flights")

    assert result.status == 1
    assert "Add `pigment-import-key=…` to .env." in result.output
    assert [each.path for each in world.looker_server.exchanges if re.fullmatch(PULL_RUN, f"POST {each.path}")] == []


def test_all_missing_secrets_are_named_together(world: World) -> None:
    write_files(world)
    (world.folder / ".env").unlink()

    report = json.loads(run(world, "pull", "flights", "--json").output)["error"]
    checked = run(world, "check").output

    for name in ("looker-api", "pigment-import-key"):
        assert f"The secret {name} cannot be read: it does not exist." in report["message"]
        assert f"Add `{name}=…` to .env." in checked


def test_a_faulty_line_of_the_env_file_is_named(world: World) -> None:
    write_files(world)
    text = (world.folder / ".env").read_text()
    (world.folder / ".env").write_text(text.replace(PIGMENT_KEY, "the kéy"))

    output = run(world, "pull", "flights").output

    assert "gcloud" not in output
    assert "Correct the line `pigment-import-key=…` in .env" in output


@pytest.mark.parametrize("value", ["the-client-secret-alone", "abc:def", '{"clientId": "a"}', "two words"])
def test_a_faulty_line_of_looker_shows_what_it_should_be(world: World, value: str) -> None:
    write_files(world)
    lines = (world.folder / ".env").read_text().splitlines()
    lines = [f"looker-api={value}" if line.startswith("looker-api=") else line for line in lines]
    (world.folder / ".env").write_text("\n".join(lines))

    output = " ".join(run(world, "pull", "flights").output.split())

    assert '{"client_id": "…", "client_secret": "…"}' in output


def test_the_file_is_checked_before_secrets_are_looked_for(world: World) -> None:
    write_files(world)
    (world.folder / ".env").unlink()
    text = (world.folder / "bridge.yaml").read_text()
    (world.folder / "bridge.yaml").write_text(text.replace("looker-api", "two words") + "reports: {}\n")

    for command in (["check"], ["pull", "flights"], ["serve", "--port", "0"]):
        result = run(world, *command)
        shown = result.output + result.errors
        assert result.status == 1
        assert "looker.credentials" in shown
        assert "reports" in shown
        assert "line " in shown
        assert ".env" not in shown
    assert not (world.folder / "home").exists()


def test_the_status_has_the_next_steps_of_this_machine(world: World) -> None:
    write_files(world)
    text = (world.folder / ".env").read_text()
    (world.folder / ".env").write_text(re.sub(r'("client_secret": *")[^"]*', r"\1another-secret", text))
    run(world, "pull", "flights")

    shown = " ".join(run(world, "status").output.split())

    assert "write it into .env" in shown
    assert not next_steps.OF_THE_CLOUD.search(shown)


def test_a_command_is_never_told_to_send_a_request(world: World) -> None:
    write_files(world)

    result = run(world, "backfill", "flights")

    assert "Only an incremental pull can load a range" in result.errors
    assert "`bridge pull flights`" in result.errors
    assert "POST" not in result.output + result.errors


def test_names_of_jobs_get_a_suggestion(world: World) -> None:
    write_files(world)
    run(world, "pull", "flights")

    for command in ("pull", "runs", "verify", "reconcile"):
        assert "Did you mean flights?" in run(world, command, "fligths").errors, command


def test_skipped_rows_for_want_of_rights_need_rights_not_items(world: World) -> None:
    world.pigment.skip_next(CONFIGURATION, 2, "MissingWriteAccessRights", "Flights Carrier")

    error = world.run_pull("flights").error

    assert "write access" in error["next_step"]
    assert "items" not in error["next_step"]


def test_no_message_has_the_name_of_a_class(world: World) -> None:
    world.looker_server.fault(".*", times=-1, reset_before=True)
    shown = [world.run_pull("flights").error["message"]]
    world.heal()
    world.pigment_server.fault(PUSH, times=-1, reset_before=True)
    shown.append(world.run_pull("flights").error["message"])
    assert "the connection was" in shown[0]
    assert [text for text in shown if CLASS_NAME.search(text)] == []


def test_only_one_module_reads_the_names_of_classes_for_messages() -> None:
    found = set()
    for path in (function_server.FUNCTIONS / "common").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr) and "__name__" in ast.unparse(node):
                found.add(f"{path.name}: {ast.unparse(node)}")
    assert {each for each in found if "in_words(type(error).__name__)" not in each} == set()
