"""Looker's row limits: 500, 5,000 and 100,000, and none for a query that streams (page "Downloading content")."""

import json
import pathlib
from collections.abc import Iterator

import pytest

from local.sandbox.looker import SandboxLooker
from tests.support.looker_client import Client, served

ROWS = 100_007


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path: pathlib.Path = tmp_path_factory.mktemp("rows") / "orders.csv"
    path.write_text("id\n" + "".join(f"{number}\n" for number in range(ROWS)))
    return path


@pytest.fixture
def client(rows: pathlib.Path) -> Iterator[Client]:
    looker = SandboxLooker()
    looker.explore("shop", "orders", rows)
    looker.look(1, "Unsaid", "shop", "orders", ["orders.id"])
    looker.look(2, "Seven", "shop", "orders", ["orders.id"], limit="7")
    with served(looker) as client:
        yield client


def count(client: Client, look: int, **parameters: int) -> int:
    return client.get(f"looks/{look}/run/csv", **parameters).text.count("\n") - 1


def test_the_default_limit_is_500(client: Client) -> None:
    assert count(client, 1) == 500


def test_the_parameter_overrides_the_query(client: Client) -> None:
    assert count(client, 2) == 7
    assert count(client, 2, limit=9) == 9


def test_a_limit_of_minus_one_returns_all_rows(client: Client) -> None:
    assert count(client, 2, limit=-1) == ROWS
    assert len(client.rows(["orders.id"], limit="-1")) == ROWS


def test_the_highest_limit_is_100_000(client: Client) -> None:
    assert count(client, 1, limit=ROWS) == 100_000


def test_the_highest_limit_without_the_permission_is_5_000(client: Client) -> None:
    client.looker.permissions = {"access_data", "download_with_limit"}
    assert count(client, 1, limit=-1) == 5_000
    assert count(client, 1, limit=20_000) == 5_000


@pytest.mark.parametrize(
    "hindrance",
    [
        {"dynamic_fields": json.dumps([{"table_calculation": "twice", "expression": "${orders.id} * 2"}])},
        {"row_total": "right"},
    ],
)
def test_a_query_that_cannot_stream_returns_5_000_rows(client: Client, hindrance: dict[str, str]) -> None:
    assert len(client.rows(["orders.id"], limit="-1", **hindrance)) == 5_000


def test_a_custom_measure_streams(client: Client) -> None:
    custom = {"measure": "biggest", "based_on": "orders.id", "type": "max", "label": "Biggest"}
    answer = client.rows(["orders.id", "biggest"], limit="-1", dynamic_fields=json.dumps([custom]))
    assert len(answer) == ROWS
