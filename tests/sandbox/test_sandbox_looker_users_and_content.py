"""Users and their logins, dashboards, folders and projects, as in Looker's API description and connector guide."""

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from local.sandbox.looker import SandboxLooker
from tests.support import conformity
from tests.support.looker_client import Client, served

ADA = {"first_name": "Ada", "last_name": "Lovelace", "email": "ignored@example.com"}


@pytest.fixture
def client(tmp_path: pathlib.Path) -> Iterator[Client]:
    (tmp_path / "orders.csv").write_text("id\n1\n")
    looker = SandboxLooker()
    looker.explore("shop", "orders", tmp_path / "orders.csv")
    looker.look(1, "Orders", "shop", "orders", ["orders.id"])
    with served(looker, keep_bytes=1_000_000) as client:
        yield client


def change(client: Client, method: str, path: str, body: Any = None) -> requests.Response:
    return client.session.request(method, f"{client.server.url}/api/4.0/{path}", json=body, timeout=30)


def faults(answer: requests.Response) -> list[tuple[str, str]]:
    body = answer.json()
    assert (answer.status_code, body["message"]) == (422, "Validation Failed")
    return [(fault["field"], fault["code"]) for fault in body["errors"]]


def add_users(client: Client, count: int) -> None:
    for number in range(count):
        client.looker.people.add(f"User {number}", "Zeta" if number % 2 else "Alpha", f"{number}@example.com")


def ids(answer: requests.Response) -> list[str]:
    return [user["id"] for user in answer.json()]


# The connector guide: list, create, read.


def test_users_are_listed_created_and_read(client: Client) -> None:
    assert ids(client.get("users")) == ["1"]

    created = client.post("users", json=ADA).json()
    read = client.get(f"users/{created['id']}").json()

    assert read == created
    assert (read["display_name"], read["is_disabled"]) == ("Ada Lovelace", False)
    assert read["email"] is None  # an e-mail login sets it; it cannot be written here
    assert ids(client.get("users")) == ["1", created["id"]]


def test_an_email_login_sets_the_address_of_a_user(client: Client) -> None:
    user = client.post("users", json=ADA).json()["id"]

    login = client.post(f"users/{user}/credentials_email", json={"email": "ada@example.com"}).json()

    assert (login["email"], login["user_id"], login["type"]) == ("ada@example.com", user, "email")
    assert client.get(f"users/{user}/credentials_email").json() == login
    assert client.get(f"users/{user}", fields="email").json() == {"email": "ada@example.com"}


def test_an_update_changes_only_the_given_fields(client: Client) -> None:
    user = client.post("users", json=ADA).json()["id"]

    changed = change(client, "PATCH", f"users/{user}", {"last_name": None, "is_disabled": True, "id": "99"}).json()

    assert (changed["id"], changed["first_name"], changed["last_name"]) == (user, "Ada", None)
    assert changed["is_disabled"] is True
    assert changed["display_name"] is None


def test_a_deleted_user_is_not_found(client: Client) -> None:
    user = client.post("users", json=ADA).json()["id"]

    assert change(client, "DELETE", f"users/{user}").status_code == 204
    assert client.get(f"users/{user}").status_code == 404
    assert change(client, "DELETE", f"users/{user}").status_code == 404


def test_a_user_cannot_delete_itself(client: Client) -> None:
    assert change(client, "DELETE", "users/1").status_code == 403


def test_the_secret_of_new_credentials_is_shown_once(client: Client) -> None:
    created = client.post("users/1/credentials_api3").json()

    assert created["client_secret"]
    (kept,) = client.get("users/1/credentials_api3").json()
    assert kept["client_id"] == created["client_id"]
    assert "client_secret" not in kept


# Validation.


@pytest.mark.parametrize("body", [{"first_name": 5}, {"is_disabled": "yes"}, {"locale": []}])
def test_a_field_of_the_wrong_type_is_refused(client: Client, body: dict[str, Any]) -> None:
    (field,) = body
    assert faults(client.post("users", json=body)) == [(field, "invalid")]
    assert faults(change(client, "PATCH", "users/1", body)) == [(field, "invalid")]
    assert ids(client.get("users")) == ["1"]


@pytest.mark.parametrize(
    ("email", "code"), [("", "missing_field"), ("nobody", "invalid"), ("SANDBOX@example.com", "already_exists")]
)
def test_an_address_must_be_valid_and_unused(client: Client, email: str, code: str) -> None:
    user = client.post("users", json=ADA).json()["id"]
    assert faults(client.post(f"users/{user}/credentials_email", json={"email": email})) == [("email", code)]


def test_a_user_has_at_most_one_email_login(client: Client) -> None:
    assert client.post("users/1/credentials_email", json={"email": "new@example.com"}).status_code == 409


def test_users_without_administrator_rights_see_names_and_change_nothing(client: Client) -> None:
    user = client.post("users", json=ADA).json()["id"]
    client.looker.permissions = {"access_data"}

    assert client.get(f"users/{user}").json().keys() == {
        "id", "first_name", "last_name", "display_name", "avatar_url", "url", "can"
    }  # fmt: skip
    assert client.get("users/1").json()["email"] == "sandbox@example.com"
    for method, path in (
        ("POST", "users"),
        ("PATCH", f"users/{user}"),
        ("DELETE", f"users/{user}"),
        ("POST", f"users/{user}/credentials_email"),
        ("POST", f"users/{user}/credentials_api3"),
        ("GET", f"users/{user}/credentials_api3"),
    ):
        assert change(client, method, path, {}).status_code == 404


# Pages and searches.


def test_a_page_has_total_and_links_only_with_a_limit(client: Client) -> None:
    add_users(client, 5)

    whole, page = client.get("users"), client.get("users", limit=2, offset=2, fields="id")

    assert len(whole.json()) == 6
    assert not {"Link", "X-Total-Count"} & set(whole.headers)
    assert page.json() == [{"id": "3"}, {"id": "4"}]
    assert page.headers["X-Total-Count"] == "6"
    links = requests.utils.parse_header_links(page.headers["Link"])
    assert [link["rel"] for link in links] == ["first", "last", "next", "prev"]
    following = client.session.get(next(link["url"] for link in links if link["rel"] == "next"), timeout=30)
    assert following.json() == [{"id": "5"}, {"id": "6"}]


def test_users_are_sorted(client: Client) -> None:
    add_users(client, 10)

    assert ids(client.get("users", sorts="id desc"))[:3] == ["11", "10", "9"]
    assert ids(client.get("users", sorts="last_name,id desc"))[:2] == ["10", "8"]


def test_users_are_selected_by_id(client: Client) -> None:
    add_users(client, 3)
    assert ids(client.get("users", ids="2,4")) == ["2", "4"]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ({"first_name": "user%"}, ["2", "3", "4", "5"]),
        ({"first_name": "user _"}, ["2", "3", "4", "5"]),
        ({"first_name": "user"}, []),
        ({"full_name": "User 1 Zeta"}, ["3"]),
        ({"last_name": "alpha", "email": "2@%"}, ["4"]),
        ({"last_name": "alpha", "email": "1@%", "filter_or": "true"}, ["2", "3", "4"]),
        ({"email": "IS NULL"}, []),
        ({"is_disabled": "false", "limit": "2"}, ["1", "2"]),
        ({"is_disabled": "true"}, []),
        ({"group_id": "7"}, []),
    ],
)
def test_users_are_found(client: Client, search: dict[str, str], found: list[str]) -> None:
    add_users(client, 4)
    assert ids(client.get("users/search", **search)) == found


def test_a_limit_must_be_a_number(client: Client) -> None:
    assert faults(client.get("users", limit="all")) == [("limit", "invalid")]


# Conformance to the API description.


def test_every_exchange_conforms(client: Client) -> None:
    document = conformity.load("looker-api-4.0")
    add_users(client, 2)
    client.looker.content.folder("Finance")
    client.looker.content.dashboard(3, "Sales")
    client.looker.content.dashboard("shop::delays", "Delays")
    user = client.post("users", json={"first_name": "Ada"}).json()["id"]
    for path in (
        "users", "users/search", f"users/{user}", "users/1/roles", "groups", "looks", "dashboards", "folders",
        "projects", "users/1/credentials_email", "lookml_models/system__activity/explores/history",
    ):  # fmt: skip
        assert client.get(path).status_code == 200, path
        client.get(path, fields="id,name,folder(id,name)")
    client.get("users", limit=1, offset=1, sorts="id", ids="1,2")
    client.get("users/search", limit=1, first_name="user%", filter_or="true", is_disabled="false")
    client.get("groups", limit=1, sorts="name")
    for method, path, body in (
        ("PATCH", f"users/{user}", {"last_name": "Lovelace"}),
        ("POST", f"users/{user}/credentials_email", {"email": "ada@example.com"}),
        ("POST", f"users/{user}/credentials_email", {"email": "ada@example.com"}),
        ("POST", f"users/{user}/credentials_api3", None),
        ("GET", f"users/{user}/credentials_api3", None),
        ("GET", f"users/{user}", None),
        ("DELETE", f"users/{user}", None),
        ("DELETE", "users/1", None),
        ("GET", "users/99", None),
        ("POST", "users", {"first_name": 5}),
    ):
        change(client, method, path, body)
    client.looker.permissions = {"access_data"}
    client.get("projects")
    client.get("users")
    exchanges = list(client.server.exchanges)
    assert {exchange.status for exchange in exchanges} == {200, 204, 403, 404, 409, 422}
    for exchange in exchanges:
        assert document.describes(exchange.path), exchange.path
        conformity.assert_conforms(exchange, document)
