"""The official Python client for Looker works with the sandbox."""

import json
import pathlib
from collections.abc import Iterator
from typing import Any

import looker_sdk
import pytest
from looker_sdk import models40
from looker_sdk.error import SDKError
from looker_sdk.rtl import api_settings

from local.sandbox.looker import SandboxLooker
from local.sandbox.wire import Response
from tests.support.looker_client import Client, served

FIELDS = ["orders.id", "orders.customer", "orders.placed"]


class Settings(api_settings.ApiSettings):  # type: ignore[misc]  # the SDK's types are not read
    """Settings in memory instead of a file or the environment."""

    def __init__(self, address: str, client_secret: str) -> None:
        self.given = {
            "base_url": address, "client_id": "sandbox-client", "client_secret": client_secret, "timeout": "10",
        }  # fmt: skip
        super().__init__()

    def read_config(self) -> dict[str, str]:
        return self.given


@pytest.fixture
def client(tmp_path: pathlib.Path) -> Iterator[Client]:
    rows = "".join(f"{number},Café {number % 3},2024-01-{number % 28 + 1:02} 10:00:00\n" for number in range(6_000))
    (tmp_path / "orders.csv").write_text("id,customer,placed\n" + rows)
    looker = SandboxLooker()
    looker.explore("shop", "orders", tmp_path / "orders.csv")
    looker.look(12, "All orders", "shop", "orders", FIELDS, sorts=["orders.id"], limit="500")
    with served(looker) as client:
        yield client


@pytest.fixture
def sdk(client: Client) -> Any:
    return looker_sdk.init40(config_settings=Settings(client.server.url, "sandbox-secret"))


def test_the_sdk_logs_in_and_out(client: Client, sdk: Any) -> None:
    assert sdk.me().display_name == "Sandbox User"
    assert client.looker.live_tokens == 2
    sdk.auth.logout()
    assert client.looker.live_tokens == 1


def test_the_sdk_reads_roles_and_versions(sdk: Any) -> None:
    roles = sdk.all_roles(ids=models40.DelimSequence(sdk.me(fields="role_ids").role_ids))
    assert "download_without_limit" in roles[0].permission_set.permissions
    assert sdk.role(roles[0].id).name == roles[0].name
    assert sdk.versions().current_version.version == "4.0"


def test_the_sdk_reads_a_look_with_its_query(sdk: Any) -> None:
    look = sdk.look("12")
    assert (look.title, look.query.view, look.query.fields) == ("All orders", "orders", FIELDS)
    assert look.query.has_table_calculations is False
    assert look.query.id == look.query_id == sdk.query(look.query_id).id == sdk.query_for_slug(look.query_id).slug
    assert [look.title for look in sdk.all_looks(fields="title")] == ["All orders"]


def test_the_sdk_runs_a_look(sdk: Any) -> None:
    lines = sdk.run_look("12", "csv").split("\n")
    assert lines[:2] == ["Orders Id,Orders Customer,Orders Placed", "0,Café 0,2024-01-01 10:00:00"]
    assert len(lines) == 502
    assert sdk.run_look("12", "csv", limit=-1).count("\n") == 6_001
    assert json.loads(sdk.run_look("12", "json", limit=1)) == [
        {"orders.id": 0, "orders.customer": "Café 0", "orders.placed": "2024-01-01 10:00:00"}
    ]


def test_the_sdk_creates_a_query_once_and_runs_it(sdk: Any) -> None:
    asked = models40.WriteQuery(
        model="shop", view="orders", fields=["orders.id"], filters={"orders.placed": "2024-01-02"}, limit="-1"
    )
    query = sdk.create_query(asked)
    assert query.filters == {"orders.placed": "2024-01-02"}
    assert len(query.client_id) == 22
    assert sdk.create_query(asked).id == query.id
    assert sdk.run_query(query.id, "csv").count("\n") == 216


def test_the_sdk_runs_an_inline_query(sdk: Any) -> None:
    asked = models40.WriteQuery(
        model="shop", view="orders", fields=["orders.customer", "orders.count"], sorts=["orders.customer"]
    )
    answer = sdk.run_inline_query("csv", asked)
    assert answer == "Orders Customer,Orders Count\nCafé 0,2000\nCafé 1,2000\nCafé 2,2000\n"


def test_the_sdk_reads_models_and_explores(sdk: Any) -> None:
    (model,) = sdk.all_lookml_models()
    assert [explore.name for explore in model.explores] == ["orders"]
    assert sdk.lookml_model(model.name).label == "Shop"
    fields = sdk.lookml_model_explore("shop", "orders").fields
    assert [field.label for field in fields.dimensions] == ["Orders Id", "Orders Customer", "Orders Placed"]
    assert [field.name for field in fields.measures] == ["orders.count"]


def test_the_sdk_lists_creates_and_reads_users(sdk: Any) -> None:
    assert [user.display_name for user in sdk.all_users(sorts="id")] == ["Sandbox User"]

    user = sdk.create_user(models40.WriteUser(first_name="Ada", last_name="Lovelace"))
    sdk.create_user_credentials_email(user.id, models40.WriteCredentialsEmail(email="ada@example.com"))

    read = sdk.user(user.id)
    assert (read.display_name, read.email, read.credentials_email.email) == ("Ada Lovelace", *["ada@example.com"] * 2)
    assert [found.id for found in sdk.search_users(email="ADA@%")] == [user.id]
    assert sdk.update_user(user.id, models40.WriteUser(is_disabled=True)).is_disabled is True
    sdk.delete_user(user.id)
    assert [user.id for user in sdk.all_users(limit=5, offset=0)] == ["1"]


def test_the_sdk_receives_validation_errors(sdk: Any) -> None:
    user = sdk.create_user(models40.WriteUser(first_name="Ada"))
    with pytest.raises(SDKError) as refusal:
        sdk.create_user_credentials_email(user.id, models40.WriteCredentialsEmail(email="sandbox@example.com"))
    assert [(fault.field, fault.code) for fault in refusal.value.errors] == [("email", "already_exists")]


def test_the_sdk_lists_content(client: Client, sdk: Any) -> None:
    client.looker.content.dashboard(3, "Sales")
    assert [(each.id, each.title, each.folder.name) for each in sdk.all_dashboards()] == [("3", "Sales", "Shared")]
    assert [folder.is_shared_root for folder in sdk.all_folders()] == [True]
    assert [project.id for project in sdk.all_projects()] == ["shop"]
    assert [group.name for group in sdk.all_groups()] == ["All Users"]


def test_a_missing_look_is_not_found(sdk: Any) -> None:
    with pytest.raises(SDKError) as refusal:
        sdk.look("99")
    assert refusal.value.message == "Not found"
    assert "/404/get/looks/" in refusal.value.documentation_url


def test_a_wrong_secret_is_not_found(client: Client) -> None:
    stranger = looker_sdk.init40(config_settings=Settings(client.server.url, "wrong"))
    with pytest.raises(SDKError, match="Not found"):
        stranger.me()


def test_a_query_with_an_unknown_field_is_refused(sdk: Any) -> None:
    with pytest.raises(SDKError) as refusal:
        sdk.run_inline_query("csv", models40.WriteQuery(model="shop", view="orders", fields=["orders.nothing"]))
    assert "orders.nothing" in refusal.value.message


def test_a_query_without_a_view_is_refused(sdk: Any) -> None:
    with pytest.raises(SDKError) as refusal:
        sdk.create_query(models40.WriteQuery(model="shop", view=""))
    assert [fault.field for fault in refusal.value.errors] == ["view"]


def test_the_sdk_returns_an_error_text_in_a_200_as_a_result(client: Client, sdk: Any) -> None:
    client.server.fault("GET /api/4.0/looks/12/run", append=b"\nError: SQL Error: connection severed")
    assert sdk.run_look("12", "csv").endswith("connection severed")


def test_the_sdk_does_not_retry_after_429(client: Client, sdk: Any) -> None:
    client.server.fault("GET /api/4.0/looks/12", refuse=Response.of_json({"message": "Too many"}, 429))
    with pytest.raises(SDKError, match="Too many"):
        sdk.look("12")
    assert sdk.look("12").id == "12"
