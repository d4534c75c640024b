"""Statuses and shapes of refusals: docs.cloud.google.com/looker/docs/api-troubleshooting."""

import pathlib
from collections.abc import Iterator

import pytest
import requests

from local.sandbox.looker import SandboxLooker
from tests.support.looker_client import Client, served


class SteppedClock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def client(tmp_path: pathlib.Path, clock: SteppedClock) -> Iterator[Client]:
    (tmp_path / "orders.csv").write_text("id\n1\n")
    looker = SandboxLooker(token_lifetime_s=600, clock=clock)
    looker.explore("shop", "orders", tmp_path / "orders.csv")
    looker.look(1, "Orders", "shop", "orders", ["orders.id"])
    with served(looker) as client:
        yield client


def refusal(answer: requests.Response) -> tuple[int, str]:
    body = answer.json()
    assert body["documentation_url"].startswith("https://")
    return answer.status_code, body["message"]


def test_wrong_credentials_are_not_found(client: Client) -> None:
    assert refusal(client.post("login", data={"client_id": "sandbox-client", "client_secret": "wrong"}))[0] == 404
    assert refusal(client.post("login"))[0] == 404


def test_credentials_may_be_in_the_address(client: Client) -> None:
    pair = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}
    answer = client.post("login", params=pair).json()
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 600


def test_a_rotated_secret_is_valid_immediately(client: Client) -> None:
    client.looker.client_secret = "new"
    client.log_in()
    assert client.get("user").status_code == 200


@pytest.mark.parametrize("header", [None, "token wrong", "Basic abc", "Bearer", ""])
def test_a_valid_token_is_required(client: Client, header: str | None) -> None:
    client.session.headers.pop("Authorization")
    if header is not None:
        client.session.headers["Authorization"] = header
    assert refusal(client.get("user"))[0] == 401


def test_both_token_schemes_are_accepted(client: Client) -> None:
    token = str(client.session.headers["Authorization"]).removeprefix("token ")
    client.session.headers["Authorization"] = f"Bearer {token}"
    assert client.get("user").status_code == 200


def test_a_token_expires(client: Client, clock: SteppedClock) -> None:
    clock.now += 599
    assert client.get("user").status_code == 200
    clock.now += 1
    assert refusal(client.get("user"))[0] == 401
    client.log_in()
    client.looker.expire_tokens()
    assert refusal(client.get("user"))[0] == 401


@pytest.mark.parametrize("path", ["api/4.0/logout", "api/logout"])
def test_a_token_ends_with_logout(client: Client, path: str) -> None:
    assert client.looker.live_tokens == 1
    assert client.session.delete(f"{client.server.url}/{path}", timeout=30).status_code == 204
    assert client.looker.live_tokens == 0
    assert client.get("user").status_code == 401


def test_alive_needs_no_token(client: Client) -> None:
    answer = requests.get(f"{client.server.url}/alive", timeout=30)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        "looks/2",
        "looks/2/run/csv",
        "queries/nothing",
        "queries/slug/nothing",
        "queries/nothing/run/csv",
        "lookml_models/nothing",
        "lookml_models/shop/explores/nothing",
        "roles/9",
        "no_such_thing",
        "../3.1/looks",
    ],
)
def test_a_missing_object_is_not_found(client: Client, path: str) -> None:
    assert refusal(client.get(path)) == (404, "Not found")


def test_a_missing_explore_is_not_found(client: Client) -> None:
    assert client.run(["orders.id"], view="nothing").status_code == 404


def test_the_documentation_address_names_status_and_operation(client: Client) -> None:
    assert client.get("looks/2").json()["documentation_url"].endswith("/err/4.0/404/get/looks/:look_id")


def test_a_body_must_be_a_json_object(client: Client) -> None:
    json = {"Content-Type": "application/json"}
    assert refusal(client.post("queries", data="{", headers=json))[0] == 400
    assert refusal(client.post("queries", data="[]", headers=json))[0] == 400
    assert refusal(client.post("queries", data="{}"))[0] == 400


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"view": "orders"}, "model"),
        ({"model": "shop"}, "view"),
        ({"model": "shop", "view": "orders", "fields": "orders.id"}, "fields"),
        ({"model": "shop", "view": "orders", "filters": {"orders.id": 5}}, "filters"),
        ({"model": "shop", "view": "orders", "limit": "many"}, "limit"),
    ],
)
def test_an_invalid_query_is_refused_with_its_field(client: Client, query: dict[str, object], field: str) -> None:
    answer = client.post("queries", json=query)
    assert refusal(answer) == (422, "Validation Failed")
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]


def test_a_limit_must_be_a_number(client: Client) -> None:
    answer = client.get("looks/1/run/csv", limit="all")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "limit"


@pytest.mark.parametrize(
    "query",
    [
        {"fields": []},
        {"fields": ["orders.nothing"]},
        {"fields": ["orders.id"], "sorts": ["orders.nothing"]},
        {"fields": ["orders.id"], "query_timezone": "Mars/Olympus"},
        {"fields": ["orders.id"], "filter_expression": "${orders.id} > 5"},
        {"fields": ["orders.id"], "pivots": ["orders.id"]},
        {"fields": ["orders.id"], "dynamic_fields": '[{"dimension": "twice", "expression": "${orders.id} * 2"}]'},
    ],
)
def test_a_query_that_cannot_be_run_is_refused(client: Client, query: dict[str, object]) -> None:
    answer = client.post("queries/run/csv", json={"model": "shop", "view": "orders", **query})
    assert refusal(answer)[0] == 400


def test_an_unknown_format_is_refused(client: Client) -> None:
    assert refusal(client.get("looks/1/run/xlsx"))[0] == 400


def test_a_role_shows_the_permissions_of_the_user(client: Client) -> None:
    client.looker.permissions = {"access_data"}
    (role_id,) = client.get("user", fields="id,role_ids").json()["role_ids"]
    role = client.get(f"roles/{role_id}").json()
    assert role["permission_set"]["permissions"] == ["access_data"]
    assert client.get("roles", ids=role_id).json() == [role]
