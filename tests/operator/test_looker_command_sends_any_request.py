"""`bridge looker METHOD PATH` sends any request to Looker's API with the bridge's login."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from common import bridge_yaml
from common.looker.client import LookerAnswer, LookerClient
from common.platform import log
from common.platform.clock import Deadline
from common.platform.errors import BridgeFileInvalid, LookerBusy, LookerRefused, LookNotFound, MalformedRequest
from local import looker_request
from local.sandbox.wire import Exchange, Response
from tests.support.command_line import CommandResult, run, run_at_terminal, run_process
from tests.support.served import write_files
from tests.support.world import LOOKER_SECRET, World

ADA = '{"first_name": "Ada", "last_name": "Lovelace"}'
BASE = "https://acme.cloud.looker.com"
ACME = bridge_yaml.decode({"looker": {"url": BASE, "credentials": "looker-api"}}).looker


@pytest.fixture
def ready(world: World) -> World:
    write_files(world)
    return world


def bridge(world: World, *arguments: str, typed: str = "") -> CommandResult:
    return run(world, "looker", *arguments, typed=typed)


def send(world: World, method: str, path: str, body: Any = None) -> LookerAnswer:
    settings = bridge_yaml.decode({"looker": world.raw["looker"]}).looker
    content = None if body is None else json.dumps(body).encode()
    return looker_request.send(looker_request.parse(method, path, content, settings), settings, world.instance)


def exchanges(world: World, method: str) -> list[Exchange]:
    """The exchanges with Looker without logins and logouts."""
    return [
        each
        for each in world.looker_server.exchanges
        if each.method == method and not each.path.endswith(("/login", "/logout"))
    ]


# Requests and bodies.


@pytest.mark.long
def test_users_are_listed_created_and_read_back(ready: World) -> None:
    status, output, errors = run_process(ready, "looker", "GET", "/users?limit=5&fields=id,display_name")
    assert (status, json.loads(output), errors) == (0, [{"id": "1", "display_name": "Sandbox User"}], "")

    status, output, errors = bridge(ready, "post", "users", "--body", ADA, "--yes")
    created = json.loads(output)
    assert (status, created["display_name"], errors) == (0, "Ada Lovelace", "")

    status, output, _ = bridge(ready, "GET", f"/api/4.0/users/{created['id']}")
    assert (status, json.loads(output)) == (0, created)
    assert ready.looker.live_tokens == 0


def test_a_query_is_sent_unchanged(world: World) -> None:
    send(world, "GET", "/users/search?first_name=%25a%25&filter_or=true&limit=5")

    (exchange,) = exchanges(world, "GET")
    assert exchange.query == {"first_name": ["%a%"], "filter_or": ["true"], "limit": ["5"]}


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_body_is_sent_unchanged(world: World, method: str) -> None:
    settings = bridge_yaml.decode({"looker": world.raw["looker"]}).looker
    body = b'{"big": 12345678901234567890, "last_name":  "Lov\xc3\xa9lace"}'
    world.looker_server.fault(f"{method} /api/4.0/users/1", refuse=Response.of_json({}))

    looker_request.send(looker_request.parse(method, "/users/1", body, settings), settings, world.instance)

    (exchange,) = exchanges(world, method)
    assert exchange.body == body
    assert exchange.headers["Content-Type"] == "application/json"


def test_a_body_can_come_from_a_file_or_standard_input(ready: World) -> None:
    (ready.folder / "ada.json").write_text(ADA)
    assert looker_request.read_body(None, str(ready.folder / "ada.json")) == ADA.encode()

    status, _, _ = bridge(ready, "POST", "/users", "--file", "-", "--yes", typed=ADA)

    assert status == 0
    assert [user.first_name for user in ready.looker.people.users.values()] == ["Sandbox", "Ada"]


def test_an_empty_answer_is_reported_on_standard_error(ready: World) -> None:
    user = ready.looker.people.add("Ada", "Lovelace")

    status, output, errors = bridge(ready, "DELETE", f"/users/{user.id}", "--yes")

    assert (status, output, errors) == (0, "", "Looker answered 204 without a body.\n")
    assert user.id not in ready.looker.people.users


def test_an_answer_that_is_not_json_is_printed_unchanged(world: World) -> None:
    answer = send(world, "GET", "/looks/12/run/csv?limit=1")

    assert looker_request.format_body(answer).startswith(b"Flights Day,")
    assert looker_request.table(answer) is None


# Requests that change data.


def test_without_a_terminal_and_yes_nothing_is_sent(ready: World) -> None:
    status, output, errors = bridge(ready, "DELETE", "/users/1", typed="y\n")

    assert (status, output) == (1, "")
    assert errors.startswith("error: malformed_request\n")
    assert "It was not sent." in errors
    assert "--yes" in errors
    assert ready.looker_server.exchanges == []


def test_at_a_terminal_the_request_is_shown_and_can_be_declined(ready: World) -> None:
    status, seen = run_at_terminal(ready, "n\n", "looker", "POST", "/users", "--body", ADA)

    assert status == 1
    assert f"POST {ready.looker_server.url}/api/4.0/users" in seen
    assert '"last_name": "Lovelace"' in seen
    assert "Send it?" in seen
    assert ready.looker_server.exchanges == []


def test_at_a_terminal_the_request_can_be_confirmed(ready: World) -> None:
    status, seen = run_at_terminal(ready, "y\n", "looker", "POST", "/users", "--body", ADA)

    assert status == 0, seen
    assert '"display_name": "Ada Lovelace"' in seen
    assert len(ready.looker.people.users) == 2


@pytest.mark.parametrize(
    "failure",
    [{"reset_after": True}, {"answer_instead": Response(503, b"")}, {"answer_instead": Response(504, b"")}],
    ids=["reset", "503", "504"],
)
def test_a_write_that_looker_may_have_processed_is_not_repeated(world: World, failure: dict[str, Any]) -> None:
    world.looker_server.fault("POST /api/4.0/users", times=1, **failure)

    with pytest.raises(LookerBusy) as unsure:
        send(world, "POST", "/users", {"first_name": "Ada"})

    assert "Looker may have acted on it" in unsure.value.cause
    assert "Check in Looker" in unsure.value.next_step
    assert len(world.looker.people.users) == 2
    assert world.clock.slept == []


def test_a_failed_login_before_a_write_is_repeated(world: World) -> None:
    world.looker_server.fault("POST /api/4.0/login", refuse=Response(503, b""))

    assert send(world, "POST", "/users", {"first_name": "Ada"}).status == 200
    assert len(world.looker.people.users) == 2


def test_a_write_with_an_expired_token_is_repeated_with_a_new_one(world: World) -> None:
    world.looker_server.fault("POST /api/4.0/users", act=world.looker.expire_tokens)

    assert send(world, "POST", "/users", {"first_name": "Ada"}).status == 200
    assert len(world.looker.people.users) == 2


def test_a_failed_get_is_repeated(world: World) -> None:
    world.looker_server.fault("GET /api/4.0/users", times=2, refuse=Response(503, b""))

    assert send(world, "GET", "/users").status == 200


# Refused requests.


def test_the_error_has_lookers_message_about_the_field(ready: World) -> None:
    user = ready.looker.people.add("Ada", "Lovelace")

    status, output, errors = bridge(
        ready, "POST", f"/users/{user.id}/credentials_email", "--body", '{"email": "ada"}', "--yes"
    )

    assert (status, output) == (1, "")
    code, cause, _ = errors.splitlines()
    assert code == "error: looker_refused"
    assert "422" in cause
    assert f"POST /users/{user.id}/credentials_email" in cause
    assert cause.endswith("Validation Failed: email: Email must be a valid address")


def test_the_next_step_for_an_unknown_id_does_not_point_to_bridge_yaml(world: World) -> None:
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


# Paths.


@pytest.mark.parametrize(
    "path",
    ["/users?limit=5", "users?limit=5", "/api/4.0/users?limit=5", f"{BASE}/api/4.0/users?limit=5"],
)
def test_a_path_may_include_the_prefix_and_the_host(path: str) -> None:
    assert looker_request.parse("get", path, None, ACME) == looker_request.LookerRequest("GET", "/users?limit=5")


def test_a_query_may_contain_an_address_and_dots() -> None:
    assert looker_request.parse("GET", "/looks/search?title=../https://x", None, ACME).path.endswith("=../https://x")


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
        looker_request.parse("GET", path, None, ACME)


@pytest.mark.parametrize("method", ["HEAD", "TRACE", "G ET", ""])
def test_an_unsupported_method_is_refused(method: str) -> None:
    with pytest.raises(MalformedRequest, match="not a supported method"):
        looker_request.parse(method, "/users", None, ACME)


@pytest.mark.parametrize("body", [b"{", b"first_name=Ada", b"", b"\xff"])
def test_a_body_must_be_json(body: bytes) -> None:
    with pytest.raises(MalformedRequest, match="not JSON"):
        looker_request.parse("POST", "/users", body, ACME)


def test_a_get_has_no_body() -> None:
    with pytest.raises(MalformedRequest, match="no body"):
        looker_request.parse("GET", "/users", b"{}", ACME)


def test_a_body_must_be_given_once_and_be_readable(tmp_path: Path) -> None:
    with pytest.raises(MalformedRequest, match="twice"):
        looker_request.read_body("{}", "x.json")
    with pytest.raises(MalformedRequest, match=r"missing\.json cannot be read"):
        looker_request.read_body(None, str(tmp_path / "missing.json"))


def test_bridge_yaml_needs_only_the_section_looker(tmp_path: Path) -> None:
    path = tmp_path / "bridge.yaml"
    path.write_text(f"looker: {{url: {BASE}, credentials: looker-api}}\npulls: {{half: {{written: true}}}}\n")
    assert looker_request.read_settings(path) == ACME

    path.write_text("pigment: {import_key: key}\n")
    with pytest.raises(BridgeFileInvalid):
        looker_request.read_settings(path)


# Tables.


def shown(answer: LookerAnswer) -> tuple[str, list[str]]:
    found = looker_request.table(answer)
    assert found
    console = Console(width=160, no_color=True)
    with console.capture() as captured:
        console.print(found[0])
    return captured.get(), found[1]


def test_a_table_omits_columns_that_are_nested_or_empty(world: World) -> None:
    world.looker.people.add("Ada", "[Lovelace]", "ada@example.com")

    text, left_out = shown(send(world, "GET", "/users?fields=id,last_name,email,can,locale,home_folder_id"))

    header, _, ada = text.splitlines()
    assert set(header.split()) == {"id", "last_name", "email", "locale"}
    assert {"2", "[Lovelace]", "ada@example.com"} <= set(ada.split())
    assert left_out == ["can"]


def test_table_prints_a_table_without_a_terminal(ready: World) -> None:
    status, output, errors = bridge(ready, "GET", "/users?fields=id,email,can", "--table")

    assert status == 0
    assert {"1", "sandbox@example.com"} <= set(output.split())
    assert errors == "Columns omitted: can. --json shows them.\n"


def test_at_a_terminal_a_list_is_a_table_unless_json_is_given(ready: World) -> None:
    status, seen = run_at_terminal(ready, "", "looker", "GET", "/users?fields=id,email")
    assert (status, sorted(seen.split())) == (0, sorted(["id", "email", "1", "sandbox@example.com"]))

    status, seen = run_at_terminal(ready, "", "looker", "GET", "/users?fields=id,email", "--json")
    assert (status, json.loads(seen)) == (0, [{"id": "1", "email": "sandbox@example.com"}])


@pytest.mark.parametrize("body", [b"[]", b"{}", b"[1, 2]", b'"text"', b"broken"])
def test_only_a_list_of_objects_is_a_table(body: bytes) -> None:
    assert looker_request.table(LookerAnswer(200, {"Content-Type": "application/json"}, body)) is None


def test_numbers_are_printed_unchanged() -> None:
    answer = LookerAnswer(200, {"Content-Type": "application/json"}, b'{"b":1.10,"a":12345678901234567890}')
    assert looker_request.format_body(answer) == b'{\n  "b": 1.10,\n  "a": 12345678901234567890\n}\n'


# Secrets.


def test_a_new_key_is_printed_and_stored_nowhere(ready: World) -> None:
    status, output, errors = bridge(ready, "POST", "/users/1/credentials_api3", "--yes")

    secret = json.loads(output)["client_secret"]
    assert (status, errors) == (0, "")
    assert not [path for path in ready.folder.rglob("*") if path.is_file() and secret in path.read_text("latin-1")]
    assert LOOKER_SECRET not in output


def test_repr_of_a_request_and_an_answer_has_no_secret(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    log.configure()
    request = looker_request.parse("POST", "/users/1/credentials_api3?x=secret", b'{"purpose": "secret"}', ACME)
    answer = send(world, "POST", "/users/1/credentials_api3")

    assert "secret" not in f"{request} {request!r} {answer} {answer!r}"
    assert capfd.readouterr() == ("", "")


def test_an_error_never_contains_a_token(world: World) -> None:
    settings = bridge_yaml.decode({"looker": world.raw["looker"]}).looker
    with LookerClient(settings, world.instance.secrets, Deadline.after(world.clock, 300), random.Random(1)) as looker:
        looker.send("GET", "/user", "itself")
        token = world.looker_server.exchanges[-1].headers["Authorization"].split()[1]
        fault = {"field": "token", "message": f"Bearer {token} may not"}
        world.looker_server.fault("PUT .*", refuse=Response.of_json({"message": "No", "errors": [fault]}, 422))
        with pytest.raises(LookerRefused) as refusal:
            looker.send("PUT", "/users/1", "PUT /users/1", b"{}")

    assert "token: Bearer …" in refusal.value.cause
    assert token not in refusal.value.cause
