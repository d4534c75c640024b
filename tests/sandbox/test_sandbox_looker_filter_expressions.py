"""The filter expressions of docs.cloud.google.com/looker/docs/filter-expressions, over real rows."""

import datetime as dt
import pathlib
from collections.abc import Iterator

import pytest

from local.sandbox.looker import SandboxLooker
from tests.support.looker_client import Client, served

NOW = dt.datetime(2024, 5, 15, 12, 30, tzinfo=dt.UTC)  # a Wednesday
ORDERS = """\
id,customer,amount,day,placed,paid
1,FOO,5,2024-05-15,2024-05-15 09:00:00,true
2,FOOD,10,2024-05-14,2024-05-14 23:30:00,false
3,BAR,7.5,2024-05-08,2024-05-08 00:00:00,true
4,"A, B",-3,2024-04-30,2024-04-30 22:30:00,
5,50%,,2023-12-31,2023-12-31 23:59:59,true
6,,100,,,false
7,-x^,1,2024-01-01,2024-01-01 00:00:00,true
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    path: pathlib.Path = tmp_path_factory.mktemp("rows") / "orders.csv"
    path.write_text(ORDERS)
    looker = SandboxLooker(clock=NOW.timestamp)
    looker.explore("shop", "orders", path)
    with served(looker) as client:
        yield client


def matching(client: Client, field: str, expression: str, **query: str) -> str:
    ids = client.column("orders.id", filters={f"orders.{field}": expression}, sorts=["orders.id"], **query)
    return "".join(ids)


@pytest.mark.parametrize(
    ("expression", "ids"),
    [
        ("", "1234567"),
        ("FOO", "1"),
        ("FOO,BAR", "13"),
        ("FOO%", "12"),
        ("%O%", "12"),
        ("F%D", "2"),
        ("_AR", "3"),
        ("FOO%,-FOOD", "1"),
        ("-FOO", "234567"),
        ("-FOO%,-BAR", "4567"),
        ("-%O%", "34567"),
        ("NULL", "6"),
        ("-NULL", "123457"),
        ("EMPTY", "6"),
        ("-EMPTY", "123457"),
        ("FOO,NULL", "16"),
        ('"A, B"', "4"),
        ("A^, B", "4"),
        (r"A\, B", "4"),
        ("50^%", "5"),
        ("50%", "5"),
        ("^-x^^", "7"),
        ('"NULL"', ""),
        ("  FOO , BAR ", "13"),
    ],
)
def test_text_filters_select_rows(client: Client, expression: str, ids: str) -> None:
    assert matching(client, "customer", expression) == ids


@pytest.mark.parametrize(
    ("expression", "ids"),
    [
        ("5", "1"),
        ("5, 10", "12"),
        ("NOT 5", "234567"),
        ("<>5", "234567"),
        ("NOT 5, 10, 100", "3457"),
        (">5 AND <=10", "23"),
        ("<0 OR >=100", "46"),
        ("[1,7.5)", "17"),
        ("(1, 7.5]", "13"),
        ("NOT [1, 10]", "456"),
        ("(-inf, 1]", "47"),
        ("[10, inf)", "26"),
        ("5 to 10", "123"),
        ("to 1", "47"),
        (">1 AND <50, NOT 5", "23"),
        ("NULL", "5"),
        ("NOT NULL", "123467"),
        ("1, NULL", "57"),
        ("-3", "4"),
    ],
)
def test_number_filters_select_rows(client: Client, expression: str, ids: str) -> None:
    assert matching(client, "amount", expression) == ids


@pytest.mark.parametrize(
    ("expression", "ids"),
    [
        ("2024-05-15", "1"),
        ("2024/05/15", "1"),
        ("2024-05", "123"),
        ("2024", "12347"),
        ("after 2024-05-14", "12"),
        ("before 2024-01-01", "5"),
        ("2024-01-01 to 2024-05-08", "47"),
        ("2024-04 to 2024-05", "4"),
        ("2023-12-31 for 2 days", "57"),
        ("today", "1"),
        ("yesterday", "2"),
        ("1 day", "1"),
        ("2 days", "12"),
        ("8 days", "123"),
        ("7 days ago", "3"),
        ("7 days ago for 7 days", "23"),
        ("this week", "12"),
        ("last week", "3"),
        ("this month", "123"),
        ("last month", "4"),
        ("1 month ago", "4"),
        ("this quarter", "1234"),
        ("last quarter", "7"),
        ("this year", "12347"),
        ("last year", "5"),
        ("this year to day", "2347"),
        ("tuesday", "2"),
        ("before 7 days ago", "457"),
        ("after yesterday", "12"),
        ("2024-05-08, yesterday", "23"),
        ("NULL", "6"),
        ("NOT NULL", "123457"),
    ],
)
@pytest.mark.parametrize("field", ["day", "placed"])
def test_date_filters_select_rows(client: Client, field: str, expression: str, ids: str) -> None:
    assert matching(client, field, expression) == ids


@pytest.mark.parametrize(("expression", "ids"), [("Yes", "1357"), ("No", "246"), ("no", "246"), ("Yes,No", "1234567")])
def test_yesno_filters_select_rows(client: Client, expression: str, ids: str) -> None:
    assert matching(client, "paid", expression) == ids


def test_filters_use_the_time_zone_of_the_query(client: Client) -> None:
    assert matching(client, "placed", "2024-05-15") == "1"
    assert matching(client, "placed", "2024-05-15", query_timezone="Europe/Paris") == "12"
    assert matching(client, "placed", "2024-05-14 23:30 to 2024-05-15 09:00", query_timezone="UTC") == "2"


def test_times_are_shown_in_the_time_zone_of_the_query(client: Client) -> None:
    one = {"orders.id": "2"}
    assert client.column("orders.placed", filters=one) == ["2024-05-14 23:30:00"]
    assert client.column("orders.placed", filters=one, query_timezone="Europe/Paris") == ["2024-05-15 01:30:00"]


def test_a_measure_is_filtered_after_aggregation(client: Client) -> None:
    answer = client.rows(["orders.paid", "orders.count"], filters={"orders.count": ">3"})
    assert answer == [["Yes", "4"]]


@pytest.mark.parametrize(
    ("field", "expression"),
    [
        ("amount", "many"),
        ("amount", "5 AND"),
        ("customer", '"open'),
        ("customer", ","),
        ("day", "2016-1"),
        ("day", "2024-02-30"),
        ("day", "someday"),
        ("paid", "perhaps"),
        ("nothing", "1"),
    ],
)
def test_an_invalid_expression_is_refused_with_its_field(client: Client, field: str, expression: str) -> None:
    answer = client.run(["orders.id"], filters={f"orders.{field}": expression})
    assert answer.status_code == 400
    assert f"orders.{field}" in answer.json()["message"]
