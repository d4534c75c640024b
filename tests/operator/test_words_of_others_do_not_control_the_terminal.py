"""Words of vendors and of deliveries are printed as text: neither a terminal nor rich finds commands in them."""

import ast
import json
import re
from collections.abc import Iterator

import pytest
from rich.text import Text

from local import function_server, terminal
from local.sandbox.wire import Response
from tests.support.command_line import run, run_at_terminal, run_deployed
from tests.support.served import write_files
from tests.support.world import EXPORT_KEY, PULL_RUN, World

LOCAL = function_server.FUNCTIONS / "local"
CLIPBOARD = "\x1b]52;c;Y3VybA==\x07"
HOSTILE = f"{CLIPBOARD}\x1b[2J\x9b2J\u202egnp.\u2066\u2069\u2028\r[red]red[/] [link=https://evil.example]here[/]"
SHOWN = (
    r"\x1b]52;c;Y3VybA==\x07\x1b[2J\x9b2J\u202egnp.\u2066\u2069\u2028\r[red]red[/] [link=https://evil.example]here[/]"
)
QUOTED = re.sub(r"\\x[0-9a-f]{2}|\\u2028|\\r", " ", SHOWN)
"As an error or an object's metadata quotes it: without control characters."
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@pytest.fixture
def prepared(world: World) -> World:
    write_files(world)
    return world


def expect_harmless(text: str) -> None:
    """At a terminal, rich itself hides and shows the cursor and moves it; `run_at_terminal` has removed the colours."""
    own = re.sub(r"\x1b\[(\?25[lh]|[0-9]*[AKG])|\r(?=\x1b\[|$|\n)", "", text)
    assert OBEYED.findall(own) == []


def joined(text: str) -> str:
    """The text without the line breaks and spaces of its layout."""
    return re.sub(r"\s+", "", text)


def test_a_vendors_words_on_a_receipt(prepared: World) -> None:
    refusal = Response.of_json({"message": HOSTILE}, 400)
    prepared.looker_server.fault(PULL_RUN, times=-1, refuse=refusal)

    at_terminal = run_at_terminal(prepared, "", "pull", "flights")[1]
    for text in (at_terminal, run(prepared, "pull", "flights").output, run(prepared, "runs").output):
        expect_harmless(text)
        assert joined("[link=https://evil.example]here[/]") in joined(text)


def test_machine_output_escapes_them_as_json_does(prepared: World) -> None:
    prepared.looker_server.fault(PULL_RUN, times=-1, refuse=Response.of_json({"message": HOSTILE}, 400))

    output = run(prepared, "pull", "flights", "--json").output

    expect_harmless(output)
    assert "here[/]" in json.loads(output)["error"]["message"]


def test_names_in_pigment(prepared: World) -> None:
    prepared.pigment.key(["Export", "Modeling metadata"], EXPORT_KEY)
    prepared.pigment.application(HOSTILE)

    at_terminal = run_at_terminal(prepared, "", "applications")[1]
    for text in (at_terminal, run(prepared, "applications").output):
        expect_harmless(text)
        assert r"\x1b]52;c;" in text
        assert "[red]red[/]" in joined(text)
    listed = run(prepared, "applications", "--json").output
    expect_harmless(listed)
    assert HOSTILE in [each["name"] for each in json.loads(listed)]


def test_the_reason_of_a_dead_delivery(world: World) -> None:
    world.bucket.create("dead/sales/20260301T061500000000-0", b"{}", {"reason": HOSTILE}, content_type="text/csv")

    output = run_deployed("deliveries").output

    expect_harmless(output)
    assert joined(QUOTED) in joined(output)
    expect_harmless(run_deployed("deliveries", "--json").output)
    expect_harmless(run_deployed("deliveries", "show", "sales/").output)


def test_the_content_of_a_delivery(world: World) -> None:
    world.bucket.create("dead/sales/1", json.dumps({"title": HOSTILE}).encode(), {}, content_type="application/json")
    world.bucket.create("dead/sales/2", HOSTILE.encode(), {}, content_type="text/csv")

    for number in (1, 2):
        output = run_deployed("deliveries", "show", f"sales/{number}").output
        expect_harmless(output)
        content = json.loads(output)["content"]
        assert (content["title"] if number == 1 else content) == HOSTILE


@pytest.mark.usefixtures("world")
def test_an_error() -> None:
    result = run_deployed("deliveries", "show", HOSTILE)

    expect_harmless(result.errors)
    assert QUOTED in result.errors


@pytest.mark.usefixtures("world")
def test_a_fault_of_the_bridge_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_DEADLINE_S", HOSTILE)

    result = run_deployed("deliver")

    assert result.status == 1
    expect_harmless(result.errors)


def test_an_answer_of_looker_at_a_terminal(prepared: World) -> None:
    prepared.looker_server.fault("GET /api/4.0/user", times=-1, refuse=Response(200, HOSTILE.encode(), {}))

    _, shown = run_at_terminal(prepared, "", "looker", "GET", "/user")

    expect_harmless(shown)
    assert SHOWN in shown
    # Without a terminal, the bytes are those of Looker: they may be a picture or a spreadsheet.
    assert run(prepared, "looker", "GET", "/user").output.encode() == HOSTILE.encode()


def test_json_of_looker(prepared: World) -> None:
    answer = Response(
        200, json.dumps([{"title": HOSTILE}], ensure_ascii=False).encode(), {"Content-Type": "application/json"}
    )
    prepared.looker_server.fault("GET /api/4.0/user", times=-1, refuse=answer)

    for arguments in (["--json"], ["--table"]):
        expect_harmless(run(prepared, "looker", "GET", "/user", *arguments).output)
    assert json.loads(run(prepared, "looker", "GET", "/user", "--json").output) == [{"title": HOSTILE}]
    expect_harmless(run_at_terminal(prepared, "", "looker", "GET", "/user")[1])


def test_text_that_is_already_laid_out_is_checked_too() -> None:
    console = terminal.console()
    with console.capture() as captured:
        console.print(Text(HOSTILE), width=400)

    expect_harmless(captured.get())


@pytest.mark.parametrize("text", ["été", "日本", "🙂", "a\tb\nc", "مرحبا", "שלום"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert terminal.visible(text) == text


def test_only_one_module_writes_to_the_terminal() -> None:
    found = {
        f"{path.relative_to(LOCAL)}:{line}: {what}"
        for path in LOCAL.rglob("*.py")
        if path.name != "terminal.py"
        for line, what in _writes(ast.parse(path.read_text()))
    }

    # Run by a developer, as `python -m local.bridge_schema`: they print the schemas that the project contains.
    schemas = ("bridge_schema.py:", "receipts_schema.py:")
    assert {each for each in found if not each.startswith(schemas)} == set()


def _writes(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Calls that print, and consoles and markup that do not belong to `terminal`."""
    for node in ast.walk(module):
        match node:
            case ast.Call(func=ast.Name(id="print" | "Console" | "rprint")):
                yield node.lineno, ast.unparse(node.func)
            case ast.Call(func=ast.Name(id="Live" | "Progress" | "Status"), keywords=given):
                if "console" not in {each.arg for each in given}:
                    yield node.lineno, f"{ast.unparse(node.func)} without a console"
            case ast.Call(func=ast.Attribute(attr="echo" | "secho" | "from_markup")):
                yield node.lineno, ast.unparse(node.func)
            case ast.Attribute(attr="write" | "writelines" | "buffer", value=ast.Attribute(attr="stdout" | "stderr")):
                yield node.lineno, ast.unparse(node)
            case ast.keyword(arg="markup", value=ast.Constant(value=True)):
                yield node.lineno, "markup=True"
