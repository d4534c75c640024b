"""`bridge looker METHOD PATH`: any request at Looker's API, with the bridge's login."""

import json
import os
import pty
import random
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from common import bridge_yaml
from common.looker.client import LookerAnswer, LookerClient
from common.platform import log
from common.platform.clock import Deadline
from common.platform.errors import BridgeFileInvalid, LookerBusy, LookerRefused, LookNotFound, MalformedRequest
from local import call as calls
from local.sandbox.wire import Exchange, Response
from tests.support.served import BRIDGE, run, write_files
from tests.support.world import LOOKER_SECRET, World

ADA = '{"first_name": "Ada", "last_name": "Lovelace"}'
BASE = "https://acme.cloud.looker.com"
ACME = bridge_yaml.decode({"looker": {"url": BASE, "credentials": "looker-api"}}).looker


@pytest.fixture
def ready(world: World) -> World:
    write_files(world)
    return world


def bridge(world: World, *arguments: str, written: str | None = None) -> tuple[int, str, str]:
    process = run(world, "looker", *arguments, "--state", "home") if written is None else piped(world, *arguments)
    output, errors = process.communicate(input=written, timeout=60)
    return process.returncode, output, errors


def piped(world: World, *arguments: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name not in world.environment()}
    pipe = subprocess.PIPE
    command = [BRIDGE, "looker", *arguments, "--state", "home"]
    return subprocess.Popen(command, cwd=world.folder, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def at_a_terminal(world: World, reply: str, *arguments: str) -> tuple[int, str]:
    """The command's end, and everything a person saw."""
    mine, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in world.environment()}
    command = [BRIDGE, "looker", *arguments, "--state", "home"]
    with subprocess.Popen(
        command, cwd=world.folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        os.write(mine, reply.encode())
        seen = b"".join(iter(lambda: read(mine), b""))
        status = process.wait(timeout=60)
    os.close(mine)
    return status, re.sub(r"\x1b\[[0-9;]*m", "", seen.decode()).replace("\r\n", "\n")


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux tells so that nobody writes any more
        return b""


def send(world: World, method: str, path: str, body: Any = None) -> LookerAnswer:
    where = bridge_yaml.decode({"looker": world.raw["looker"]}).looker
    content = None if body is None else json.dumps(body).encode()
    return calls.send(calls.call_of(method, path, content, where), where, world.instance)


def crossed(world: World, method: str) -> list[Exchange]:
    """All but logins and logouts."""
    return [
        each
        for each in world.looker_server.exchanges
        if each.method == method and not each.path.endswith(("/login", "/logout"))
    ]


# The guide: list, create, read back.


def test_users_are_listed_created_and_read_back(ready: World) -> None:
    status, output, errors = bridge(ready, "GET", "/users?limit=5&fields=id,display_name")
    assert (status, json.loads(output), errors) == (0, [{"id": "1", "display_name": "Sandbox User"}], "")

    status, output, errors = bridge(ready, "post", "users", "--body", ADA, "--yes")
    created = json.loads(output)
    assert (status, created["display_name"], errors) == (0, "Ada Lovelace", "")

    status, output, _ = bridge(ready, "GET", f"/api/4.0/users/{created['id']}")
    assert (status, json.loads(output)) == (0, created)
    assert ready.looker.live_tokens == 0


def test_a_query_goes_out_as_it_was_written(world: World) -> None:
    send(world, "GET", "/users/search?first_name=%25a%25&filter_or=true&limit=5")

    (exchange,) = crossed(world, "GET")
    assert exchange.query == {"first_name": ["%a%"], "filter_or": ["true"], "limit": ["5"]}


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_body_goes_out_byte_for_byte(world: World, method: str) -> None:
    where = bridge_yaml.decode({"looker": world.raw["looker"]}).looker
    written = b'{"big": 12345678901234567890, "last_name":  "Lov\xc3\xa9lace"}'
    world.looker_server.fault(f"{method} /api/4.0/users/1", refuse=Response.of_json({}))

    calls.send(calls.call_of(method, "/users/1", written, where), where, world.instance)

    (exchange,) = crossed(world, method)
    assert exchange.body == written
    assert exchange.headers["Content-Type"] == "application/json"


def test_a_body_may_come_from_a_file_or_from_standard_input(ready: World) -> None:
    (ready.folder / "ada.json").write_text(ADA)
    assert calls.body_of(None, str(ready.folder / "ada.json")) == ADA.encode()

    status, _, _ = bridge(ready, "POST", "/users", "--file", "-", "--yes", written=ADA)

    assert status == 0
    assert [user.first_name for user in ready.looker.people.users.values()] == ["Sandbox", "Ada"]


def test_what_is_deleted_leaves_nothing_to_print(ready: World) -> None:
    user = ready.looker.people.add("Ada", "Lovelace")

    status, output, errors = bridge(ready, "DELETE", f"/users/{user.id}", "--yes")

    assert (status, output, errors) == (0, "", "Looker answered 204, and nothing more.\n")
    assert user.id not in ready.looker.people.users


def test_what_is_no_json_comes_through_as_it_is(world: World) -> None:
    answer = send(world, "GET", "/looks/12/run/csv?limit=1")

    assert calls.printed(answer).startswith(b"Flights Day,")
    assert calls.table(answer) is None


# Writing.


def test_where_nobody_can_be_asked_nothing_is_sent(ready: World) -> None:
    status, output, errors = bridge(ready, "DELETE", "/users/1", written="y\n")

    assert (status, output) == (1, "")
    assert errors.startswith("error: malformed_request\n")
    assert "nothing was sent" in errors
    assert "--yes" in errors
    assert ready.looker_server.exchanges == []


def test_a_person_sees_what_would_be_sent_and_may_say_no(ready: World) -> None:
    status, seen = at_a_terminal(ready, "n\n", "POST", "/users", "--body", ADA)

    assert status == 1
    assert f"POST {ready.looker_server.url}/api/4.0/users" in seen
    assert '"last_name": "Lovelace"' in seen
    assert "Send it?" in seen
    assert ready.looker_server.exchanges == []


def test_a_person_may_say_yes(ready: World) -> None:
    status, seen = at_a_terminal(ready, "y\n", "POST", "/users", "--body", ADA)

    assert status == 0, seen
    assert '"display_name": "Ada Lovelace"' in seen
    assert len(ready.looker.people.users) == 2


@pytest.mark.parametrize(
    "trouble",
    [{"reset_after": True}, {"answer_instead": Response(503, b"")}, {"answer_instead": Response(504, b"")}],
    ids=["reset", "503", "504"],
)
def test_a_write_that_looker_may_have_taken_is_not_sent_again(world: World, trouble: dict[str, Any]) -> None:
    world.looker_server.fault("POST /api/4.0/users", times=1, **trouble)

    with pytest.raises(LookerBusy) as unsure:
        send(world, "POST", "/users", {"first_name": "Ada"})

    assert "Looker may have acted on it" in unsure.value.cause
    assert "Check in Looker" in unsure.value.next_step
    assert len(world.looker.people.users) == 2
    assert world.clock.slept == []


def test_a_write_waits_for_the_login_which_changes_nothing(world: World) -> None:
    world.looker_server.fault("POST /api/4.0/login", refuse=Response(503, b""))

    assert send(world, "POST", "/users", {"first_name": "Ada"}).status == 200
    assert len(world.looker.people.users) == 2


def test_a_write_whose_token_was_refused_is_sent_with_another(world: World) -> None:
    world.looker_server.fault("POST /api/4.0/users", act=world.looker.expire_tokens)

    assert send(world, "POST", "/users", {"first_name": "Ada"}).status == 200
    assert len(world.looker.people.users) == 2


def test_what_is_only_read_is_asked_for_again(world: World) -> None:
    world.looker_server.fault("GET /api/4.0/users", times=2, refuse=Response(503, b""))

    assert send(world, "GET", "/users").status == 200


# What Looker refuses.


def test_lookers_own_words_say_which_field_does_not_fit(ready: World) -> None:
    user = ready.looker.people.add("Ada", "Lovelace")

    status, output, errors = bridge(
        ready, "POST", f"/users/{user.id}/credentials_email", "--body", '{"email": "ada"}', "--yes"
    )

    assert (status, output) == (1, "")
    code, cause, _ = errors.splitlines()
    assert code == "error: looker_refused"
    assert cause.startswith(f"Looker answered 422 when asked for POST /users/{user.id}/credentials_email.")
    assert cause.endswith("Validation Failed: email: Email must be a valid address")


def test_what_is_not_there_is_said_without_bridge_yaml(world: World) -> None:
    with pytest.raises(LookNotFound, match="GET /users/99") as refusal:
        send(world, "GET", "/users/99?fields=id")

    assert "bridge.yaml" not in refusal.value.next_step
    assert "API Explorer" in refusal.value.next_step


def test_a_redirect_is_not_followed(world: World) -> None:
    elsewhere = Response(302, b"", {"Location": f"{world.pigment_server.url}/steal"})
    world.looker_server.fault("GET /api/4.0/users", refuse=elsewhere)

    with pytest.raises(LookerRefused, match="302"):
        send(world, "GET", "/users")
    assert world.pigment_server.exchanges == []


# Where a path may lead.


@pytest.mark.parametrize(
    "path",
    ["/users?limit=5", "users?limit=5", "/api/4.0/users?limit=5", f"{BASE}/api/4.0/users?limit=5"],
)
def test_a_path_may_be_written_with_or_without_what_stands_before_it(path: str) -> None:
    assert calls.call_of("get", path, None, ACME) == calls.Call("GET", "/users?limit=5")


def test_a_query_may_hold_an_address_and_dots() -> None:
    assert calls.call_of("GET", "/looks/search?title=../https://x", None, ACME).path.endswith("=../https://x")


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example.com/api/4.0/users",
        "http://acme.cloud.looker.com/api/4.0/users",
        f"{BASE}.evil.example.com/api/4.0/users",
        f"{BASE}@evil.example.com/users",
        "//evil.example.com/users",
        f"{BASE}//evil.example.com/users",
        "/../3.1/users",
        "/users/../../login",
        "/users/%2e%2e/%2E%2E/admin",
        "/users/%252e%252e/x",
        "/users/..%2f..%2fadmin",
        "/users/./5",
        "/users\\..\\x",
        "/users#x",
        "/users/5?x=a#b",
        "/users\r\nX: y",
        "/users/a b",
        "/api/3.1/users",
        "/api/4.0beta/users",
        f"{BASE}/admin/users",
        f"{BASE}/alive",
        "/login",
        "/login/5",
        "/LOGIN",
        "/log%69n",
        "/logout",
        "/",
        "",
    ],
)
def test_a_path_that_would_leave_the_api_is_refused(path: str) -> None:
    with pytest.raises(MalformedRequest):
        calls.call_of("GET", path, None, ACME)


@pytest.mark.parametrize("method", ["HEAD", "TRACE", "G ET", ""])
def test_a_method_is_one_of_five(method: str) -> None:
    with pytest.raises(MalformedRequest, match="is no method"):
        calls.call_of(method, "/users", None, ACME)


@pytest.mark.parametrize("body", [b"{", b"first_name=Ada", b"", b"\xff"])
def test_a_body_has_to_be_json(body: bytes) -> None:
    with pytest.raises(MalformedRequest, match="not JSON"):
        calls.call_of("POST", "/users", body, ACME)


def test_a_get_has_no_body() -> None:
    with pytest.raises(MalformedRequest, match="no body"):
        calls.call_of("GET", "/users", b"{}", ACME)


def test_a_body_is_given_once(tmp_path: Path) -> None:
    with pytest.raises(MalformedRequest, match="twice"):
        calls.body_of("{}", "x.json")
    with pytest.raises(MalformedRequest, match=r"missing\.json cannot be read"):
        calls.body_of(None, str(tmp_path / "missing.json"))


def test_bridge_yaml_has_to_name_the_login_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "bridge.yaml"
    path.write_text(f"looker: {{url: {BASE}, credentials: looker-api}}\npulls: {{half: {{written: true}}}}\n")
    assert calls.where(path) == ACME

    path.write_text("pigment: {import_key: key}\n")
    with pytest.raises(BridgeFileInvalid):
        calls.where(path)


# How it is shown.


def shown(answer: LookerAnswer) -> tuple[str, list[str]]:
    found = calls.table(answer)
    assert found
    console = Console(width=160, no_color=True)
    with console.capture() as captured:
        console.print(found[0])
    return captured.get(), found[1]


def test_a_list_of_objects_is_a_table_for_a_person(world: World) -> None:
    world.looker.people.add("Ada", "[Lovelace]", "ada@example.com")

    text, left_out = shown(send(world, "GET", "/users?fields=id,last_name,email,can,locale,home_folder_id"))

    header, _, ada = text.splitlines()
    assert set(header.split()) == {"id", "last_name", "email", "locale"}
    assert {"2", "[Lovelace]", "ada@example.com"} <= set(ada.split())
    assert left_out == ["can"]


def test_a_table_is_had_without_a_terminal_too(ready: World) -> None:
    status, output, errors = bridge(ready, "GET", "/users?fields=id,email,can", "--table")

    assert status == 0
    assert {"1", "sandbox@example.com"} <= set(output.split())
    assert errors == "Left out: can; --json shows them.\n"


def test_at_a_terminal_a_list_is_a_table_unless_json_is_wanted(ready: World) -> None:
    status, seen = at_a_terminal(ready, "", "GET", "/users?fields=id,email")
    assert (status, sorted(seen.split())) == (0, sorted(["id", "email", "1", "sandbox@example.com"]))

    status, seen = at_a_terminal(ready, "", "GET", "/users?fields=id,email", "--json")
    assert (status, json.loads(seen)) == (0, [{"id": "1", "email": "sandbox@example.com"}])


@pytest.mark.parametrize("body", [b"[]", b"{}", b"[1, 2]", b'"text"', b"broken"])
def test_anything_else_is_no_table(body: bytes) -> None:
    assert calls.table(LookerAnswer(200, {"Content-Type": "application/json"}, body)) is None


def test_numbers_are_printed_as_looker_wrote_them() -> None:
    answer = LookerAnswer(200, {"Content-Type": "application/json"}, b'{"b":1.10,"a":12345678901234567890}')
    assert calls.printed(answer) == b'{\n  "b": 1.10,\n  "a": 12345678901234567890\n}\n'


# Secrets.


def test_a_new_key_is_shown_to_whoever_made_it_and_nowhere_else(ready: World) -> None:
    status, output, errors = bridge(ready, "POST", "/users/1/credentials_api3", "--yes")

    secret = json.loads(output)["client_secret"]
    assert (status, errors) == (0, "")
    assert not [path for path in ready.folder.rglob("*") if path.is_file() and secret in path.read_text("latin-1")]
    assert LOOKER_SECRET not in output


def test_neither_call_nor_answer_shows_itself(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    log.configure()
    call = calls.call_of("POST", "/users/1/credentials_api3?x=secret", b'{"purpose": "secret"}', ACME)
    answer = send(world, "POST", "/users/1/credentials_api3")

    assert "secret" not in f"{call} {call!r} {answer} {answer!r}"
    assert capfd.readouterr() == ("", "")


def test_an_error_shows_no_token(world: World) -> None:
    where = bridge_yaml.decode({"looker": world.raw["looker"]}).looker
    with LookerClient(where, world.instance.secrets, Deadline.after(world.clock, 300), random.Random(1)) as looker:
        looker.send("GET", "/user", "itself")
        token = world.looker_server.exchanges[-1].headers["Authorization"].split()[1]
        fault = {"field": "token", "message": f"Bearer {token} may not"}
        world.looker_server.fault("PUT .*", refuse=Response.of_json({"message": "No", "errors": [fault]}, 422))
        with pytest.raises(LookerRefused) as refusal:
            looker.send("PUT", "/users/1", "PUT /users/1", b"{}")

    assert "token: Bearer …" in refusal.value.cause
    assert token not in refusal.value.cause
