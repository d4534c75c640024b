"""`bridge init` and `bridge add` ask a few questions, check the answers, and write bridge.yaml and .env."""

import contextlib
import difflib
import json
import os
import pty
import signal
import stat
import subprocess
import sys
from collections.abc import Sequence

import pytest
import yaml

from local import bridge_file
from local.sandbox.wire import Response
from tests.support.command_line import CommandResult, local_environment, run, run_at_terminal, run_deployed
from tests.support.served import write_files
from tests.support.world import CONFIGURATION, EXPORT_KEY, LOOKER_SECRET, PIGMENT_KEY, VIEW, WEBHOOK_TOKEN, World

INTERRUPTIBLE = """
import signal
from local import cli
signal.signal(signal.SIGINT, signal.default_int_handler)
cli.main()
"""
"The command line for a test that runs where SIGINT is ignored, as in a worker of pytest-xdist."
OF_LOOKER = ["bridge", LOOKER_SECRET]


@pytest.fixture
def vendors(world: World) -> World:
    """Return a world with an empty folder, whose keys may list names."""
    world.pigment.key(["Import", "Modeling metadata"], PIGMENT_KEY)
    world.pigment.key(["Export", "Modeling metadata"], EXPORT_KEY)
    world.looker.look("31", "Tickets", "nyc", "flights", ["flights.day"], folder_id=_folder(world, "Finance"))
    budget = world.pigment.application("Budget")
    costs = world.pigment.block(budget, "Costs")
    world.pigment.configuration(costs, ["Flights Day"], name="Costs by day")
    world.pigment.configuration(costs, ["Flights Day"], name="Costs of tickets")
    world.pigment.view(costs, "Costs for the bridge", uuid=VIEW)
    world.pigment.block(budget, "Nothing imported yet")
    return world


def _folder(world: World, name: str) -> str:
    return world.looker.content.folder(name).id


def typed(*answers: str) -> str:
    return "".join(f"{answer}\n" for answer in answers)


def ask(world: World, *answers: str, command: Sequence[str] = ("init",), flags: Sequence[str] = ()) -> tuple[int, str]:
    """Run a command at a terminal with these answers. Further questions find the end of the input."""
    address = ["--pigment-url", world.pigment_server.url]
    return run_at_terminal(world, typed(*answers) + "\x04", *command, *address, *flags)


def with_flags(world: World, *flags: str, secret: str = LOOKER_SECRET) -> CommandResult:
    looker = ["--looker-url", world.looker_server.url, "--looker-client-id", "bridge", "--looker-client-secret", secret]
    pigment = ["--pigment-url", world.pigment_server.url, "--pigment-key", PIGMENT_KEY]
    return run(world, "init", "--yes", *looker, *pigment, *flags)


def files(world: World) -> set[str]:
    return {name for name in ("bridge.yaml", ".env") if (world.folder / name).exists()}


def written(world: World) -> str:
    return (world.folder / "bridge.yaml").read_text()


def jobs(world: World) -> dict[str, dict[str, object]]:
    data = yaml.safe_load(written(world))
    return {name: job for section in ("pulls", "relays", "exports") for name, job in data.get(section, {}).items()}


def test_five_answers_beside_the_keys_make_a_file_that_check_passes(vendors: World) -> None:
    keys = [vendors.looker_server.url, *OF_LOOKER, PIGMENT_KEY]
    answers = ["ticket", "Budget", "costs", "of tickets", "y"]
    status, shown = ask(vendors, *keys[:3], answers[0], keys[3], *answers[1:], "n")

    assert status == 0, shown
    assert "Shared\n      12  Flights\n  Shared / Finance\n      31  Tickets" in shown
    assert "Preview the first rows now?" in shown
    assert stat.S_IMODE((vendors.folder / ".env").stat().st_mode) == 0o600
    assert run(vendors, "check").status == 0
    assert "the Look Tickets, in Shared / Finance" in written(vendors)
    assert "Costs of tickets, of the block Costs in Budget" in written(vendors)
    assert run(vendors, "pull", "tickets").status == 0


def test_the_preview_shows_the_first_rows_and_sends_nothing(vendors: World) -> None:
    status, shown = ask(vendors, vendors.looker_server.url, *OF_LOOKER, "12", PIGMENT_KEY, "planning", "n", "y")

    assert status == 0, shown
    assert "previewed" in shown
    assert vendors.imports == []


def test_flags_answer_every_question(vendors: World) -> None:
    result = with_flags(vendors, "--look", "Flights", "--application", "planning", "--repeatable", "--name", "daily")

    assert (result.status, result.errors) == (0, "")
    assert jobs(vendors) == {
        "daily": {"source": {"look": "12"}, "target": {"configuration": CONFIGURATION, "repeatable": True}}
    }
    assert run(vendors, "check").status == 0


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ([], "Add --look."),
        (["--look", "12"], "Add --application."),
        (["--look", "Flight"], "Did you mean 'Flights'?"),
        (["--look", "12", "--application", "Budget"], "Add --block."),
        (["--look", "12", "--application", "Budget", "--block", "Costs"], "Add --configuration."),
        (["--look", "12", "--application", "Budget", "--block", "Nothing imported yet"], "choose another block"),
    ],
)
def test_a_missing_or_wrong_flag_is_named_and_nothing_is_written(vendors: World, flags: list[str], told: str) -> None:
    result = with_flags(vendors, *flags)

    assert (result.status, files(vendors)) == (1, set())
    assert told in result.errors


def test_run_again_it_adds_a_job_and_asks_for_no_key(vendors: World) -> None:
    vendors.raw["looker"]["calls_per_month"] = {"query": 1000, "administrative": 1000}
    write_files(vendors)
    (vendors.folder / "bridge.yaml").write_text(f"# mine: é\n{written(vendors)}\n# the end")
    before, secrets = written(vendors), (vendors.folder / ".env").read_text()

    status, shown = ask(vendors, "12", "planning", "n", "n")

    assert status == 0, shown
    assert "12  Flights  (job flights)" in shown
    assert list(jobs(vendors)) == ["flights", "flights-2"]
    differences = list(difflib.ndiff(before.splitlines(keepends=True), written(vendors).splitlines(keepends=True)))
    assert [line for line in differences if line.startswith("- ")] == []
    assert next(line for line in differences if line.startswith("+ ") and line.strip() != "+") == "+   flights-2:\n"
    assert (vendors.folder / ".env").read_text() == secrets
    assert run(vendors, "check", "--offline").status == 0


def test_keys_of_env_are_kept_and_missing_ones_are_added_to_it(vendors: World) -> None:
    (vendors.folder / ".env").write_text(f"# mine\nother=1\npigment-import-key={PIGMENT_KEY}")
    (vendors.folder / ".env").chmod(0o644)

    status, shown = ask(vendors, vendors.looker_server.url, *OF_LOOKER, "12", "planning", "n", "n")

    assert status == 0, shown
    lines = (vendors.folder / ".env").read_text().splitlines()
    assert lines[:3] == ["# mine", "other=1", f"pigment-import-key={PIGMENT_KEY}"]
    assert [line.partition("=")[0] for line in lines[3:]] == ["looker-api"]
    assert stat.S_IMODE((vendors.folder / ".env").stat().st_mode) == 0o600


def test_a_key_of_env_that_is_refused_is_replaced_there(vendors: World) -> None:
    write_files(vendors)
    env = (vendors.folder / ".env").read_text()
    (vendors.folder / ".env").write_text(env.replace(PIGMENT_KEY, "pgmt_of_last_year"))

    status, shown = ask(vendors, "12", PIGMENT_KEY, "planning", "n", "n")

    assert status == 0, shown
    before = [line for line in env.splitlines() if PIGMENT_KEY not in line]
    assert (vendors.folder / ".env").read_text().splitlines() == [*before, f"pigment-import-key={PIGMENT_KEY}"]


def test_wrong_answers_are_asked_for_again(vendors: World) -> None:
    wrong_address = ["no address", "http://127.0.0.1:1", f"{vendors.looker_server.url}/looks/12"]
    wrong_keys = ["bridge", "wrong", *OF_LOOKER]
    status, shown = ask(
        vendors, *wrong_address, *wrong_keys, "nothing", "12", "wrong", EXPORT_KEY, PIGMENT_KEY, "planning", "n", "n"
    )

    assert status == 0, shown
    assert "The address contains a space" in shown
    assert "Looker cannot be reached: " in shown
    assert "Looker answered 404 to the login" in shown
    assert "No Look has 'nothing' in its name." in shown
    assert shown.count("Pigment answered 401 to the key") == 2
    assert run(vendors, "check").status == 0


def test_wrong_flags_end_with_the_error(vendors: World) -> None:
    refused = with_flags(vendors, "--look", "12", secret="wrong")
    assert (refused.status, refused.errors.splitlines()[0]) == (1, "error: looker_login_refused")

    vendors.looker_server.fault(".*", times=-1, reset_before=True)
    unreachable = with_flags(vendors, "--look", "12")
    assert (unreachable.status, unreachable.errors.splitlines()[0]) == (1, "error: looker_busy")
    assert files(vendors) == set()


def test_a_key_that_may_not_list_names_is_told_from_a_wrong_one(vendors: World) -> None:
    vendors.pigment.key(["Import"], PIGMENT_KEY)

    result = with_flags(vendors, "--look", "12")

    assert result.status == 1
    assert "lacks the scope Modeling metadata" in result.errors
    assert files(vendors) == set()


def test_pigment_out_of_reach_is_tried_again(vendors: World) -> None:
    vendors.pigment_server.fault("GET .*", times=1, refuse=Response(503, b"", {"Retry-After": "60"}))
    status, shown = ask(vendors, vendors.looker_server.url, *OF_LOOKER, "12", PIGMENT_KEY, "y", "planning", "n", "n")

    assert status == 0, shown
    assert "Try again?" in shown


def test_a_look_that_cannot_be_read_whole_is_chosen_again(vendors: World) -> None:
    vendors.looker.look("40", "Sums", "nyc", "flights", ["flights.day", "flights.count"], pivots=["flights.day"])
    keys = [vendors.looker_server.url, *OF_LOOKER]

    status, shown = ask(vendors, *keys, "40", "12", PIGMENT_KEY, "planning", "n", "n")

    assert status == 0, shown
    assert "Looker cannot stream all of its rows" in shown
    assert [job["source"] for job in jobs(vendors).values()] == [{"look": "12"}]


def test_the_end_of_the_input_writes_nothing(vendors: World) -> None:
    status, shown = ask(vendors, vendors.looker_server.url, *OF_LOOKER, "12", PIGMENT_KEY, "planning")

    assert (status, files(vendors)) == (130, set())
    assert "Stopped. Nothing was written." in shown


def test_keys_are_not_shown_and_ctrl_c_writes_nothing(vendors: World) -> None:
    controller, terminal = pty.openpty()
    command = [sys.executable, "-c", INTERRUPTIBLE, "init", "--looker-url", vendors.looker_server.url]
    process = subprocess.Popen(
        command,
        cwd=vendors.folder,
        env=local_environment(vendors),
        stdin=terminal,
        stdout=terminal,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(terminal)
    shown = wait_for(controller, b"Client ID: ")
    os.write(controller, b"bridge\n")
    shown += wait_for(controller, b"Client secret")
    os.write(controller, f"{LOOKER_SECRET}\n".encode())
    shown += wait_for(controller, b"Look (")
    errors = interrupted(process)
    os.close(controller)

    assert LOOKER_SECRET.encode() not in shown
    assert b"bridge\r\n" in shown
    assert errors.strip() == "Stopped. Nothing was written."
    assert process.returncode in (130, -signal.SIGINT)
    assert files(vendors) == set()


def interrupted(process: subprocess.Popen[str]) -> str:
    """Press Ctrl-C until a process ends. Python notices one only later that comes just before it begins to read."""
    for _ in range(60):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=1)[1]
    process.kill()
    raise AssertionError("the process does not end")


def wait_for(controller: int, text: bytes) -> bytes:
    """Return what a terminal shows up to a text. Fails if the program ends before."""
    shown = b""
    while text not in shown:
        shown += os.read(controller, 65536)
    return shown


def test_a_pull_does_not_need_the_key_of_exports(vendors: World) -> None:
    write_files(vendors)
    vendors.pigment.revoke(EXPORT_KEY)

    status, shown = ask(vendors, "12", "planning", "n", "n")

    assert status == 0, shown


def test_what_would_be_red_is_not_written(vendors: World) -> None:
    # The key is revoked between its first use and the last check.
    vendors.pigment_server.fault("GET /api/v1/importConfigurations", then=lambda: vendors.pigment.revoke(PIGMENT_KEY))
    result = with_flags(vendors, "--look", "12", "--application", "planning")

    assert result.status == 1
    assert "The job flights would fail: Pigment answered 401" in result.errors
    assert files(vendors) == set()


def test_a_file_that_appears_meanwhile_stays_and_no_key_is_written(vendors: World) -> None:
    path = vendors.folder / "bridge.yaml"
    vendors.pigment_server.fault("GET /api/v1/importConfigurations", then=lambda: path.write_text("# mine\n"))
    result = with_flags(vendors, "--look", "12", "--application", "planning")

    assert (result.status, files(vendors)) == (1, {"bridge.yaml"})
    assert "bridge.yaml has changed meanwhile." in result.errors
    assert written(vendors) == "# mine\n"


def test_the_name_of_a_job_must_be_new(vendors: World) -> None:
    write_files(vendors)

    result = with_flags(vendors, "--name", "flights")

    assert (result.status, result.errors.splitlines()[1]) == (1, "bridge.yaml has a job flights already.")


def test_a_job_of_a_deployed_bridge_uses_its_secrets_and_writes_no_env(vendors: World) -> None:
    write_files(vendors)
    (vendors.folder / ".env").unlink()
    config = ["--config", str(vendors.folder / "bridge.yaml"), "--env-file", str(vendors.folder / ".env")]
    result = run_deployed("add", "pull", "--yes", "--look", "12", "--application", "planning", *config)

    assert (result.status, result.errors) == (0, "")
    assert list(jobs(vendors)) == ["flights", "flights-2"]
    assert not (vendors.folder / ".env").exists()


def test_names_of_others_stay_in_their_comment(vendors: World) -> None:
    name = "a\npulls: {}\n# \x1b[2J 'x' \"y\" {z}: \u2028 end"
    vendors.looker.look("50", name, "nyc", "flights", ["flights.day"])

    result = with_flags(vendors, "--look", "50", "--application", "planning")

    assert result.status == 0, result.errors
    assert list(jobs(vendors)) == ["a-pulls-2j-x-y-z-end"]
    assert r"the Look a pulls: {} # \x1b[2J" in written(vendors)


def test_a_faulty_bridge_yaml_is_named_before_any_question(vendors: World) -> None:
    (vendors.folder / "bridge.yaml").write_text("pulls: {a: {}}\n")

    status, shown = ask(vendors)

    assert status == 1
    assert "Looker's address" not in shown
    assert "pulls.a.source: is missing" in shown
    assert written(vendors) == "pulls: {a: {}}\n"


def test_a_relay_is_added_with_the_token_of_webhooks(vendors: World) -> None:
    write_files(vendors)
    env = vendors.folder / ".env"
    env.write_text("".join(line for line in env.read_text().splitlines(keepends=True) if "token" not in line))

    status, shown = ask(vendors, WEBHOOK_TOKEN, "budget", "costs", "by day", "y", command=("add", "relay"))

    assert status == 0, shown
    data = yaml.safe_load(written(vendors))
    assert data["webhook"] == {"token": "looker-webhook-token"}
    assert data["relays"]["costs"]["target"]["repeatable"] is True
    assert run(vendors, "check").status == 0


def test_an_export_of_a_view_is_added_and_previewed(vendors: World) -> None:
    vendors.raw["pigment"].pop("export_key")
    write_files(vendors)
    env = vendors.folder / ".env"
    env.write_text("".join(line for line in env.read_text().splitlines(keepends=True) if "export" not in line))

    status, shown = ask(vendors, EXPORT_KEY, "budget", "1", "for the bridge", "n", command=("add", "export"))

    assert status == 0, shown
    data = yaml.safe_load(written(vendors))
    assert data["pigment"]["export_key"] == "pigment-export-key"
    assert data["exports"] == {"costs-for-the-bridge": {"source": {"view": VIEW}, "path": "costs-for-the-bridge.csv"}}
    assert run(vendors, "check").status == 0


def test_an_export_of_a_whole_block_needs_no_view(vendors: World) -> None:
    flags = ["--pigment-url", vendors.pigment_server.url, "--pigment-key", EXPORT_KEY, "--application", "Budget"]
    result = run(vendors, "add", "export", "--yes", *flags, "--block", "Costs", "--path", "costs/{date}.csv")

    assert (result.status, result.errors) == (0, "")
    job = jobs(vendors)["costs"]
    assert job["path"] == "costs/{date}.csv"
    assert json.loads(json.dumps(job["source"]))["friendly_headers"] is True
    assert run(vendors, "check").status == 0
    assert bridge_file.load(vendors.folder / "bridge.yaml").warnings == ()
