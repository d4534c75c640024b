"""All requests and answers of the sandbox conform to Looker's API description."""

import json
import pathlib
from typing import Any

import pytest

from local.sandbox.looker import SandboxLooker
from tests.support import conformity
from tests.support.looker_client import Client, served


@pytest.fixture(scope="module")
def document() -> conformity.Document:
    return conformity.load("looker-api-4.0")


def use_every_operation(client: Client) -> None:
    query: dict[str, Any] = {
        "model": "shop",
        "view": "orders",
        "fields": ["orders.id", "orders.customer", "total"],
        "filters": {"orders.placed": "2024"},
        "sorts": ["orders.id desc"],
        "limit": "-1",
        "total": True,
        "query_timezone": "Europe/Paris",
        "dynamic_fields": json.dumps([{"measure": "total", "based_on": "orders.id", "type": "sum", "label": "Total"}]),
        "filter_config": None,
        "vis_config": {"type": "table", "series": {"a": 1}},
    }
    slug = client.post("queries", json=query).json()["id"]
    for path in (
        "user", "roles", "roles/2", "versions", "lookml_models", "lookml_models/shop",
        "lookml_models/shop/explores/orders", "looks", "looks/12", f"queries/{slug}", f"queries/slug/{slug}",
    ):  # fmt: skip
        client.get(path)
        client.get(path, fields="id,can,name,model,view,query(model,view)")
    for result_format in ("csv", "txt", "json", "json_detail", "sql"):
        client.get(f"looks/12/run/{result_format}", limit=-1, apply_formatting="true", cache="false")
        client.get(f"queries/{slug}/run/{result_format}", force_production="true")
        client.post(f"queries/run/{result_format}", json=query)


def cause_every_error(client: Client) -> None:
    client.post("login", data={"client_id": "nobody"})
    client.get("looks/99")
    client.get("looks/12/run/pdf")
    client.get("looks/12/run/csv", limit="all")
    client.post("queries", json={"model": "shop"})
    client.post("queries/run/csv", json={"model": "shop", "view": "orders", "fields": ["nothing"]})
    client.session.delete(f"{client.server.url}/api/4.0/logout", timeout=30)
    client.get("user")


def test_every_exchange_conforms(tmp_path: pathlib.Path, document: conformity.Document) -> None:
    (tmp_path / "orders.csv").write_text("id,customer,placed,paid\n1,Ann,2024-05-01 10:00:00,true\n2,,,\n")
    looker = SandboxLooker()
    looker.explore("shop", "orders", tmp_path / "orders.csv")
    looker.look(12, "Orders", "shop", "orders", ["orders.id", "orders.placed", "orders.paid"])
    with served(looker, keep_bytes=10_000_000) as client:
        use_every_operation(client)
        cause_every_error(client)
        exchanges = list(client.server.exchanges)
    described = [exchange for exchange in exchanges if document.describes(exchange.path)]
    assert len(described) == len(exchanges) > 40
    assert {exchange.status for exchange in described} == {200, 204, 400, 401, 404, 422}
    for exchange in described:
        conformity.assert_conforms(exchange, document)


def test_a_nonconforming_exchange_is_detected(tmp_path: pathlib.Path, document: conformity.Document) -> None:
    (tmp_path / "orders.csv").write_text("id\n1\n")
    looker = SandboxLooker()
    looker.explore("shop", "orders", tmp_path / "orders.csv")
    with served(looker, keep_bytes=10_000_000) as client:
        client.server.fault("GET /api/4.0/user", replace=b'{"id": 1, "shoe_size": 43}')
        client.get("user")
        client.post("queries", json={"model": "shop", "view": "orders", "limit": 5})
        answered, asked = client.server.exchanges[1:]
    with pytest.raises(AssertionError, match="shoe_size"):
        conformity.assert_conforms(answered, document)
    with pytest.raises(AssertionError, match="limit"):
        conformity.assert_conforms(asked, document)
