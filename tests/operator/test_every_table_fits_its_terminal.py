"""Whatever a command shows: ids are whole, no line is wider than the terminal, and programs get one line each."""

import json
import re
from typing import Any, NamedTuple

import pytest
from rich.cells import cell_len

from common.runs import receipts
from local.listing import FormField, ListedColumn, ListedItem, form_lines, list_lines
from local.sandbox.pigment import RowEdit
from tests.support.command_line import run_deployed, run_deployed_at_terminal
from tests.support.jobs import COLUMNS
from tests.support.served import write_files
from tests.support.world import CONFIGURATION, EXPORT_KEY, FIELDS, HEADER, PULL_RUN, PUSH, ROWS, VIEW, World, delivery

pytestmark = pytest.mark.long

STYLES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[(?:[0-9]+;)*(?:3[0-7]|9[0-7])(?:;[0-9]+)*m")
ID = re.compile(r"\d{8}T\d{6,12}-[0-9a-f]{8,32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{64}")
ZONED = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?!Z|[.\d]*Z|\d| UTC)")


class Shown(NamedTuple):
    commands: list[list[str]]
    run: str
    verified_run: str


@pytest.fixture
def shown(world: World, monkeypatch: pytest.MonkeyPatch) -> Shown:
    """A bridge that has something to show for every command, long names among it."""
    world.pigment.key(["Export", "Modeling metadata"], EXPORT_KEY)
    planning = world.pigment.application("Planning of everything that is to be planned")
    block = world.pigment.block(planning, "Read back")
    world.pigment.view(world.pigment.block(planning, "Margin", "Metric"), "For the bridge", uuid=VIEW)
    configuration = world.pigment.configuration(block, COLUMNS, unique=HEADER[:3])
    verify = {"source": {"list": block}, "key": HEADER[:3]}
    world.add_pull("read-back", verify=verify, target={"configuration": configuration, "repeatable": True})
    world.add_pull("a-pull-with-quite-a-long-name-that-is-allowed")
    by_year = {"incremental": {"cursor": "flights.day", "start": "2013-01-01", "window": "1 year"}}
    world.add_pull("by-year", load=by_year, target=own_list(world, "By year"))
    held = [hold(world, name) for name in ("watchful", "watchful-too")]
    world.add_export("revenue")
    world.add_relay("budget-of-the-departments", guards={"min_rows": 2})
    verified = world.run_pull("read-back").receipt["run"]
    world.pigment.edit(block, RowEdit({"Flights Carrier": "AA"}))
    world.run_export("revenue")
    world.looker_server.fault(PULL_RUN, reset_before=True, times=-1)
    world.run_pull("a-pull-with-quite-a-long-name-that-is-allowed")
    world.heal()
    run = world.run_pull("flights").receipt["run"]
    world.post_delivery("budget-of-the-departments", delivery(("1", "10")))
    world.run_deliver()
    world.clock.advance(1)
    world.post_delivery("budget-of-the-departments", delivery(("2", "10"), ("3", "4")))
    world.pigment_server.fault(PUSH, reset_after=True)
    world.run_pull("flights")
    world.heal()
    write_files(world)
    monkeypatch.chdir(world.folder)
    commands = [
        *(["runs"], ["runs", "flights"], ["runs", run], ["runs", "--last", "1"]),
        *(
            ["deliveries"],
            ["deliveries", "--all"],
            ["check"],
            ["check", "--offline"],
            ["status"],
            ["explain", run],
            ["explain", "look_not_found"],
            ["errors"],
            ["resources"],
        ),
        *(["applications"], ["blocks"], ["views"], ["configurations"]),
        *(["pull", "read-back", "--preview"], ["pull", "read-back"], ["export", "revenue"], ["verify", "read-back"]),
        *(["reconcile", "--all"], ["resend", verified], ["settle", run], ["pull", "nope"]),
        *(["deliver"], ["deliveries", "replay", "--all"], ["approve", held[0]], ["reject", held[1]]),
        *(["check", "--deep", "12"], ["looker", "GET", "/user"], ["backfill", "by-year"]),
    ]
    return Shown(commands, run, verified)


def own_list(world: World, name: str) -> dict[str, Any]:
    """Return the target of a pull into a list of its own."""
    block = world.pigment.block(world.pigment.application("Planning"), name)
    return {"configuration": world.pigment.configuration(block, COLUMNS, unique=HEADER[:3]), "repeatable": True}


def hold(world: World, name: str) -> str:
    """Add a pull whose second run is held, and return that run."""
    world.add_pull(name, guards={"approve": {"max_deleted": 0}}, target=own_list(world, name))
    world.run_pull(name)
    world.put_flights(ROWS[1:])
    world.clock.advance(1)
    receipt = world.run_pull(name).receipt
    assert receipt["outcome"] == "held"
    world.put_flights(ROWS)
    return str(receipt["run"])


def known_ids(world: World) -> set[str]:
    """Every id in the bucket and in bridge.yaml that a command may show."""
    names = " ".join(world.objects(""))
    return {*ID.findall(names), *ID.findall(json.dumps(world.raw)), CONFIGURATION}


@pytest.mark.parametrize("width", [80, 120])
def test_at_a_terminal(world: World, shown: Shown, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    for command in shown.commands:
        raw = run_deployed_at_terminal(*command, clock=world.clock)
        text = STYLES.sub("", raw.rpartition("\r")[2] if "\x1b[?25h" in raw else raw)
        assert not COLOUR.search(raw), command
        # An id that is longer than the terminal has a line of its own.
        too_wide = [line for line in text.splitlines() if cell_len(line.rstrip()) > width and " " in line]
        assert too_wide == [], command
        expect_whole_ids(world, command, text)
        assert not ZONED.search(text), command


def expect_whole_ids(world: World, command: list[str], text: str) -> None:
    """Ids are not broken: what looks like the beginning of a known id is all of it."""
    known = known_ids(world)
    for begin in {each[:12] for each in known}:
        for found in re.finditer(re.escape(begin) + r"[0-9a-fTx-]*…?", text):
            whole = [each for each in known if each.startswith(begin)]
            assert any(found[0].startswith(each) for each in whole), (command, found[0])


def test_for_a_program_each_item_is_one_line(world: World, shown: Shown) -> None:
    stored = receipts.newest(world.bucket, "", 100)
    listed = run_deployed("runs", "--last", "100").output.splitlines()
    assert {receipt.run for receipt in stored} == {run for line in listed for run in ID.findall(line)[:1]}
    for command in (["runs"], ["deliveries", "--all"], ["runs", shown.run]):
        output = run_deployed(*command).output
        assert "\x1b" not in output
        assert "…" not in output
        assert [line for line in output.splitlines() if line.startswith(" ")] == []


def test_a_warning_takes_one_line_and_the_rest_on_request(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    world.run_pull("flights")
    world.clock.advance(60)
    block = world.pigment.block(world.pigment.application("Planning"), "Learning")
    world.looker.look(12, "Flights", "nyc", "flights", FIELDS[:3])
    world.add_pull("flights", target={"configuration": world.pigment.configuration(block, learn=True)})

    text = STYLES.sub("", run_deployed_at_terminal("pull", "flights", clock=world.clock))

    receipt = world.receipts()[-1]
    (line,) = [line for line in text.splitlines() if line.startswith("warning")]
    assert line.endswith("…")
    assert f"`bridge runs {receipt['run']}` shows the warnings whole." in text
    whole = STYLES.sub("", run_deployed_at_terminal("runs", receipt["run"], clock=world.clock))
    assert receipt["warnings"][0] in " ".join(whole.split())


def test_a_blocked_configuration_makes_one_line(world: World) -> None:
    world.pigment_server.fault(PUSH, reset_after=True)
    world.run_pull("flights")
    for _ in range(6):
        world.clock.advance(1)
        assert world.run_pull("flights").code == "landing_unknown"

    lines = run_deployed("runs").output.splitlines()

    assert len(lines) == 3
    assert "unknown" in lines[1]
    assert "6 times since 2026-03-01T06:15:0" in lines[2]
    assert len(json.loads(run_deployed("runs", "--json").output)) == 7


def test_a_run_that_another_one_kept_out_has_not_failed(world: World) -> None:
    world.looker_server.fault(PULL_RUN, act=lambda: world.run_pull("flights"))
    world.run_pull("flights")

    _, *lines = run_deployed("runs").output.splitlines()

    assert sorted(line.split()[2] for line in lines) == ["landed", "occupied"]


WIDE = ListedItem(("flights", "failed"), "20260301T061500-0123abcd", "Looker answered 404. Check the id.")


@pytest.mark.parametrize("width", [20, 39, 40, 60, 80, 200, None])
def test_a_list_keeps_ids_and_words_whole_at_any_width(width: int | None) -> None:
    lines = list_lines([ListedColumn("job"), ListedColumn("outcome")], [WIDE, WIDE], "run", "why", width)

    text = "\n".join(line.plain for line in lines)
    assert text.count(WIDE.identifier) == 2
    assert " ".join(text.split()).count("Check the id.") == 2
    if width is not None and width >= 40:
        assert max(cell_len(line.plain) for line in lines) <= width


@pytest.mark.parametrize("width", [40, 66, 80, None])
def test_a_form_gives_a_long_id_a_line_of_its_own(width: int | None) -> None:
    fields = [FormField("job", "flights"), FormField("configuration", "x"), FormField("sha256", "a" * 64)]

    lines = [line.plain for line in form_lines("Receipt", fields, width)]

    assert [line for line in lines if "a" * 64 in line]
    if width == 80:
        assert lines[-1] == "sha256         " + "a" * 64
    if width == 66:
        assert lines[-2:] == ["sha256", "  " + "a" * 64]
