"""`bridge mcp`: the official client of the Model Context Protocol asks about the bridge, and nothing is written."""

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from anyio.from_thread import start_blocking_portal
from mcp import Client, StdioServerParameters

from common.storage import paths
from local.sandbox.wire import Response
from tests.support import documents
from tests.support.command_line import BRIDGE, run, run_deployed
from tests.support.documents import COMMANDS
from tests.support.settling import expire_leases
from tests.support.sites import NoSite
from tests.support.world import HEADER, LOOKER_SECRET, PIGMENT_KEY, PULL_RUN, PUSH, ROWS, Servers, World, delivery

pytestmark = pytest.mark.long

TOOLS = ["deliveries", "explain_code", "explain_run", "jobs", "next_steps", "preview_pull", "runs", "status"]
SECRETS = (LOOKER_SECRET, PIGMENT_KEY)

CallTool = Callable[..., Any]


class Assistant:
    """A client in a portal: its process is started once."""

    def __init__(self, call: Callable[..., Any], client: Client) -> None:
        self._call, self._client = call, client

    def tools(self) -> list[Any]:
        listed: list[Any] = self._call(self._client.list_tools).tools
        return listed

    def ask(self, tool: str, **arguments: Any) -> dict[str, Any]:
        answer = self._call(functools.partial(self._client.call_tool, tool, arguments))
        assert not answer.is_error, answer.content[0].text
        structured: dict[str, Any] = answer.structured_content
        assert json.loads(answer.content[0].text) == structured
        return structured

    def fail(self, tool: str, **arguments: Any) -> str:
        """The text of a tool's error."""
        answer = self._call(functools.partial(self._client.call_tool, tool, arguments))
        assert answer.is_error, answer.content
        text: str = answer.content[0].text
        return text


@contextlib.contextmanager
def started(command: str, arguments: list[str], environment: dict[str, str], folder: Path) -> Iterator[Assistant]:
    inherited = {name: value for name, value in os.environ.items() if name.startswith(("PYTHON", "SSL", "HOME"))}
    path = f"{Path(BRIDGE).parent}{os.pathsep}{os.environ['PATH']}"
    parameters = StdioServerParameters(
        command=command, args=arguments, env={**inherited, "PATH": path, **environment}, cwd=folder
    )
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(Client(parameters)) as client:
        yield Assistant(portal.call, client)


@pytest.fixture(scope="module")
def assistant(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    """An assistant that asks about the bucket of each test's world: the servers keep their addresses."""
    environment = {
        "BRIDGE_BUCKET": "bucket",
        "GOOGLE_CLOUD_PROJECT": "test",
        "STORAGE_EMULATOR_HOST": servers.serve("storage", NoSite()).url,
        "SECRET_MANAGER_EMULATOR_HOST": servers.serve("secrets", NoSite()).url,
    }
    with started(BRIDGE, ["mcp"], environment, tmp_path_factory.mktemp("elsewhere")) as assistant:
        yield assistant


@pytest.fixture
def watched(world: World) -> World:
    """A world that remembers all requests to its storage from now on."""
    world.storage_server.keep_bytes = 1 << 20
    return world


def written(world: World) -> list[str]:
    """The requests to Cloud Storage that were not questions."""
    return [f"{each.method} {each.path}" for each in world.storage_server.exchanges if each.method != "GET"]


def pushes(world: World) -> int:
    return sum("/import/" in each.path and each.method == "POST" for each in world.pigment_server.exchanges)


def test_all_tools_say_that_they_only_read(assistant: Assistant) -> None:
    tools = assistant.tools()

    assert sorted(tool.name for tool in tools) == TOOLS
    for tool in tools:
        assert tool.annotations.read_only_hint, tool.name
        assert not tool.annotations.destructive_hint, tool.name
        assert tool.description.endswith("."), tool.name
        assert all(field.get("description") for field in tool.input_schema["properties"].values()), tool.name


def test_the_jobs_are_told_as_bridge_yaml_has_them(world: World, assistant: Assistant) -> None:
    world.add_relay("sales")
    world.add_export()

    told = assistant.ask("jobs")["jobs"]

    assert [(job["name"], job["kind"]) for job in told] == [
        ("flights", "pull"),
        ("sales", "relay"),
        ("revenue", "export"),
    ]
    assert told[0]["definition"]["source"]["look"] == "12"


def test_runs_are_told_newest_first_with_why_they_failed(world: World, assistant: Assistant) -> None:
    landed = world.run_pull("flights").receipt["run"]
    world.clock.advance(60)
    world.pigment_server.fault(PUSH, times=-1, refuse=Response(401))
    failed = world.run_pull("flights").receipt

    told = assistant.ask("runs")["runs"]

    assert [(each["run"], each["outcome"], each["code"]) for each in told] == [
        (failed["run"], "failed", "pigment_key_refused"),
        (landed, "landed", None),
    ]
    assert told[0]["why"] == failed["error"]["message"]
    assert told[1]["rows"]["inserted"] == len(ROWS)
    assert [each["run"] for each in assistant.ask("runs", job="flights", last=1)["runs"]] == [failed["run"]]


def test_one_run_is_explained_with_the_commands_to_copy(world: World, assistant: Assistant) -> None:
    world.pigment_server.fault(PUSH, reset_after=True)
    run_id = world.run_pull("flights").receipt["run"]

    told = assistant.ask("explain_run", run=run_id)

    assert (told["outcome"], told["code"]) == ("unknown", "landing_unknown")
    assert "Pigment may have 5 rows of it." in told["story"]
    assert f"`bridge settle {run_id} --landed`" in told["next_step"]
    assert told == json.loads(run_deployed("explain", run_id, "--json").output)


def test_a_code_is_explained(world: World, assistant: Assistant) -> None:
    assert world.objects("receipts/") == []

    assert assistant.ask("explain_code", code="shrunk")["documentation"] == "functions/docs/bridge-yaml.md"


def test_what_waits_and_what_is_dead_is_told_with_its_reason_and_without_its_content(
    world: World, assistant: Assistant
) -> None:
    world.add_relay("sales")
    world.post_delivery("sales", delivery(("1", "Zebra")))
    waiting = assistant.ask("deliveries")["deliveries"]
    world.pigment_server.fault(PUSH, times=-1, refuse=Response(400))
    world.run_deliver()
    dead = assistant.ask("deliveries", relay="sales")["deliveries"]

    assert [(each["state"], each["why"]) for each in waiting] == [("waiting", "It waits for its turn.")]
    assert [(each["id"], each["state"]) for each in dead] == [(waiting[0]["id"], "dead")]
    assert "Pigment" in dead[0]["why"]
    assert dead[0]["next_step"].startswith("Read Pigment's explanation.")
    assert "Zebra" not in json.dumps([waiting, dead])


def test_the_next_steps_are_those_that_a_person_has_to_take(world: World, assistant: Assistant) -> None:
    world.run_pull("flights")
    assert assistant.ask("next_steps") == {"next_steps": []}

    world.clock.advance(60)
    world.add_relay("sales")
    world.post_delivery("sales", delivery(("1", "5")))
    world.pigment_server.fault(PUSH, times=-1, refuse=Response(400))
    world.run_deliver()
    world.heal()
    world.pigment_server.fault(PUSH, reset_after=True)
    run_id = world.run_pull("flights").receipt["run"]
    told = assistant.ask("next_steps")["next_steps"]

    assert [each["about"].split(",")[0] for each in told] == [
        f"run {run_id} of flights",
        "the last run of sales",
        "deliveries of sales that are dead: 1",
    ]
    assert f"`bridge settle {run_id} --landed`" in told[0]["next_step"]
    assert "`bridge deliveries replay --all`" in told[2]["next_step"]


def test_a_late_job_is_told_although_no_run_failed(world: World, assistant: Assistant) -> None:
    """The assistant's process has the clock of the machine, for which the world's runs are long ago."""
    world.add_pull("flights", schedule="15 6 * * *")
    world.run_pull("flights")
    world.run_deliver(sweep=True)  # notes since when the schedule is in force

    (job,) = assistant.ask("status")["jobs"]
    (step,) = assistant.ask("next_steps")["next_steps"]

    assert (job["job"], job["verdict"], job["up_to_date"]) == ("flights", "late", False)
    assert job["last_landing"]["rows"] == len(ROWS)
    assert (step["about"], step["why"]) == ("flights is late", job["reason"])


def test_a_job_that_cannot_be_read_is_not_left_out_of_the_status(world: World, assistant: Assistant) -> None:
    run = world.run_pull("flights").receipt["run"]
    world.bucket.delete(paths.STATUS_RECORD)
    world.bucket.write_json(paths.receipt("flights", run), ["not", "a", "receipt"], over=None)

    assert assistant.ask("status") == {"jobs": [], "could_not_be_read": ["flights"]}


def test_a_preview_reads_and_checks_all_rows_and_shows_none(watched: World, assistant: Assistant) -> None:
    watched.put_flights([["2013-01-01", f"Zebra {number}", "EWR", "2"] for number in range(3)])

    told = assistant.ask("preview_pull", job="flights")

    assert (told["rows"], told["header"], told["code"]) == (3, HEADER, None)
    assert "guards.min_rows: 1" in told["checks"]
    assert told["next_step"] == "`bridge pull flights` sends the file."
    assert "Zebra" not in json.dumps(told)
    assert (written(watched), pushes(watched), watched.receipts()) == ([], 0, [])


def test_a_preview_compares_with_the_last_landing(watched: World, assistant: Assistant) -> None:
    key = ["Flights Day", "Flights Carrier"]
    watched.add_pull("flights", load={"changes": {"key": key}}, target={"repeatable": True})
    watched.run_pull("flights")
    watched.clock.advance(60)
    watched.put_flights([[*ROWS[0][:3], "99"], *ROWS[2:]])
    before, watched.storage_server.exchanges = watched.objects(""), []

    told = assistant.ask("preview_pull", job="flights")

    assert told["changes"] == {"added": 0, "changed": 1, "gone": 1, "unchanged": 3}
    assert (written(watched), watched.objects("")) == ([], before)


def test_a_preview_of_an_incremental_load_is_about_its_next_window(world: World, assistant: Assistant) -> None:
    load = {"incremental": {"cursor": "flights.day", "start": "2013-01-01", "window": "1 day"}}
    world.add_pull("flights", load=load)
    world.run_pull("flights", windows=1)

    told = assistant.ask("preview_pull", job="flights")

    assert (told["window"], told["rows"]) == (["2013-01-02", "2013-01-03"], 2)


def test_a_preview_says_what_a_run_would_be_refused_for(world: World, assistant: Assistant) -> None:
    world.add_pull("flights", guards={"min_rows": 6})

    told = assistant.ask("preview_pull", job="flights")

    assert (told["code"], told["rows"]) == ("too_few_rows", 5)
    assert told["next_step"].startswith("Open the Look or view.")


def test_no_tool_writes_anything_or_tells_a_value_or_a_secret(watched: World, assistant: Assistant) -> None:
    watched.add_relay("sales")
    watched.add_pull("flights", guards={"max_skipped": 5, "samples": 5})
    watched.put_flights([["2013-01-01", f"Zebra {number}", "EWR", "2"] for number in range(3)])
    watched.pigment.skip_next(
        watched.raw["pulls"]["flights"]["target"]["configuration"],
        2,
        "MissingModalitySkippedDataRow",
        "Flights Carrier",
    )
    receipt = watched.run_pull("flights").receipt
    watched.post_delivery("sales", delivery(("1", "Zebra")))
    expire_leases(watched)
    assert "Zebra" in json.dumps(receipt)
    before, watched.storage_server.exchanges = watched.objects(""), []

    arguments = {
        "explain_run": {"run": receipt["run"]},
        "explain_code": {"code": "shrunk"},
        "preview_pull": {"job": "flights"},
    }
    told = json.dumps([assistant.ask(tool, **arguments.get(tool, {})) for tool in TOOLS])

    assert (written(watched), watched.objects("")) == ([], before)
    assert [secret for secret in ("Zebra", *SECRETS) if secret in told] == []


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("runs", {"job": "flihgts"}, "Did you mean flights?"),
        ("runs", {"last": 0}, "greater than or equal to 1"),
        ("runs", {"last": "many"}, "valid integer"),
        ("deliveries", {"relay": "sale"}, "There is no job sale."),
        ("explain_run", {"run": "yesterday"}, "yesterday is no id of a run."),
        ("explain_run", {"run": "20260301T061500-00000000"}, "There is no receipt of a run"),
        ("explain_run", {}, "run\n  Field required"),
        ("explain_code", {"code": "shrnk"}, "Did you mean shrunk?"),
        ("preview_pull", {"job": "sales"}, "is of kind relay, not pull"),
        ("preview_pull", {"job": "nope"}, "Next step: The jobs are: flights, sales."),
        ("pull", {"job": "flights"}, "Unknown tool"),
    ],
)
def test_bad_input_is_a_clear_error(
    world: World, assistant: Assistant, tool: str, arguments: dict[str, Any], words: str
) -> None:
    world.add_relay("sales")

    text = assistant.fail(tool, **arguments)

    assert words in text
    assert "Traceback" not in text


def test_the_snippet_of_the_documents_starts_it_on_a_bridge_of_this_machine(world: World, tmp_path: Path) -> None:
    text = documents.section(COMMANDS, "Assistants").split("```json\n")[1].split("```")[0]
    (snippet,) = json.loads(text)["mcpServers"].values()
    (world.folder / "bridge.yaml").write_text(yaml.safe_dump(world.raw))
    credentials = json.dumps({"client_id": "bridge", "client_secret": LOOKER_SECRET})
    (world.folder / ".env").write_text(f"looker-api={credentials}\npigment-import-key={PIGMENT_KEY}\n")
    state = world.folder / "home"
    arguments = [
        each.replace("/home/ana/bridge/.bridge", str(state)).replace("/home/ana/bridge", str(world.folder))
        for each in snippet["args"]
    ]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    with started(snippet["command"], arguments, {}, elsewhere) as assistant:
        assert [job["name"] for job in assistant.ask("jobs")["jobs"]] == ["flights"]
        assert assistant.ask("preview_pull", job="flights")["rows"] == len(ROWS)
        assert "There is no bridge in the folder" in assistant.fail("runs")
        assert not state.exists()

        run_id = json.loads(run(world, "pull", "flights", "--json").output)["run"]
        assert [each["run"] for each in assistant.ask("runs")["runs"]] == [run_id]
        assert assistant.ask("preview_pull", job="flights")["code"] is None
        assert len(list(state.glob("bucket/receipts/*/*/*"))) == 1
        assert not (state / "addresses.json").exists()
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_the_middle_of_a_preview_and_leaves_no_row(
    world: World, tmp_path: Path, number: signal.Signals
) -> None:
    temporary, seen = tmp_path / "temporary", list[Path]()
    temporary.mkdir()
    version = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    calls = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": version},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {
            "jsonrpc": "2.0",
            "id": 2,
            "method": "tools/call",
            "params": {"name": "preview_pull", "arguments": {"job": "flights"}},
        },
    ]
    environment = {**os.environ, **world.environment(), "TMPDIR": str(temporary)}
    with subprocess.Popen([BRIDGE, "mcp"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:

        def interrupt() -> None:
            seen.extend(temporary.rglob("state"))
            process.send_signal(number)
            process.wait(30)

        world.looker_server.fault(PULL_RUN, act=interrupt)
        assert process.stdin
        process.stdin.write(b"".join(json.dumps(call).encode() + b"\n" for call in calls))
        process.stdin.flush()
        process.wait(60)

    assert process.returncode == 128 + number
    assert seen
    assert list(temporary.iterdir()) == []


def test_without_the_package_the_command_says_what_to_install(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)  # as if it were not installed

    answer = run(world, "mcp")

    assert (answer.status, answer.output) == (1, "")
    assert "pipx install --force '.[local,mcp]'" in answer.errors
