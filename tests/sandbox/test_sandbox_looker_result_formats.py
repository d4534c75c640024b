"""Headers, values and line ends of result files."""

import gzip
import json
import pathlib
import zipfile
from collections.abc import Iterator

import pytest

from local.sandbox.looker import SandboxLooker
from tests.support.looker_client import Client, served

ORDERS = """\
id,Shipped To,amount,price,day,placed,paid
1,"Paris, France",1234567,1234.5,2024-05-15,2024-05-15T09:00:00Z,true
2,"the ""old"" mill",,0.5,,,false
3,two\t tabs,-7,,2024-05-14,2024-05-14T23:59:59Z,
"""
EVERYTHING = [
    "orders.id", "orders.shipped_to", "orders.amount", "orders.price", "orders.day", "orders.placed", "orders.paid",
]  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder: pathlib.Path = tmp_path_factory.mktemp("rows")
    (folder / "orders.csv").write_text(ORDERS)
    (folder / "same.csv").write_text("kind\na\nb\na\n")
    (folder / "words.csv").write_text("word,size\nten,10\ntwo,2\nNA,NA\n")
    with zipfile.ZipFile(folder / "packed.csv.zip", "w") as archive:
        archive.write(folder / "words.csv", "words.csv")
    (folder / "packed.csv.gz").write_bytes(gzip.compress(b"word,size\nsix,6\n"))
    looker = SandboxLooker()
    orders = looker.explore("shop", "orders", folder / "orders.csv", labels={"price": "Unit Price"})
    orders.dimension("initial", 'left("Shipped To", 1)').measure("total", "SUM(amount)")
    looker.explore("shop", "same", folder / "same.csv")
    looker.explore("shop", "words", [folder / "packed.csv.zip", folder / "packed.csv.gz"], nulls=("NA",))
    looker.explore("shop", "strings", folder / "words.csv", types={"size": "VARCHAR"})
    looker.explore("shop", "severed", folder / "orders.csv", fails_after_rows=2)
    with served(looker) as client:
        yield client


def test_csv_has_labels_and_plain_values(client: Client) -> None:
    answer = client.run(EVERYTHING, sorts=["orders.id"])
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert answer.content.decode() == (
        "Orders Id,Orders Shipped To,Orders Amount,Unit Price,Orders Day,Orders Placed,Orders Paid\n"
        '1,"Paris, France",1234567,1234.5,2024-05-15,2024-05-15 09:00:00,Yes\n'
        '2,"the ""old"" mill",,0.5,,,No\n'
        "3,two\t tabs,-7,,2024-05-14,2024-05-14 23:59:59,No\n"
    )


def test_txt_is_separated_by_tabs(client: Client) -> None:
    answer = client.run(["orders.shipped_to", "orders.id"], "txt", sorts=["orders.id"])
    assert answer.text == ('Orders Shipped To\tOrders Id\nParis, France\t1\n"the ""old"" mill"\t2\n"two\t tabs"\t3\n')


def test_formatting_groups_thousands(client: Client) -> None:
    query = {"model": "shop", "view": "orders", "fields": ["orders.id", "orders.amount", "orders.price"]}
    slug = client.post("queries", json={**query, "sorts": ["orders.id"]}).json()["id"]
    answer = client.get(f"queries/{slug}/run/csv", apply_formatting="true")
    assert answer.text.splitlines()[1:] == ['1,"1,234,567","1,234.50"', "2,,0.50", "3,-7,"]


def test_json_is_keyed_by_field(client: Client) -> None:
    answer = client.run(EVERYTHING, "json", sorts=["orders.id"])
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()[1:] == [
        dict(zip(EVERYTHING, [2, 'the "old" mill', None, 0.5, None, None, "No"], strict=True)),
        dict(zip(EVERYTHING, [3, "two\t tabs", -7, None, "2024-05-14", "2024-05-14 23:59:59", "No"], strict=True)),
    ]
    assert client.run(["orders.id"], "json", filters={"orders.id": "99"}).json() == []


def test_json_detail_includes_the_fields(client: Client) -> None:
    answer = client.run(["orders.id", "orders.count"], "json_detail", sorts=["orders.id"]).json()
    assert [field["label"] for field in answer["fields"]["dimensions"]] == ["Orders Id"]
    assert answer["data"][0] == {"orders.id": {"value": 1}, "orders.count": {"value": 1}}


def test_sql_is_the_translated_query(client: Client) -> None:
    answer = client.run(["orders.id"], "sql", filters={"orders.amount": ">5"})
    assert answer.text.startswith("SELECT ")
    assert '"amount" > 5' in answer.text


def test_computed_fields_are_evaluated(client: Client) -> None:
    assert client.rows(["orders.initial", "orders.total"], sorts=["orders.initial"]) == [["P", "1234567"], ["t", "-7"]]


def test_equal_rows_appear_once(client: Client) -> None:
    assert client.run(["same.kind"], view="same").text == "Same Kind\na\nb\n"


def test_the_default_sort_is_by_time_or_by_measure(client: Client) -> None:
    assert client.run(["orders.day"]).text.splitlines()[1:] == ["2024-05-15", "2024-05-14", ""]
    assert client.run(["same.kind", "same.count"], view="same").text == "Same Kind,Same Count\na,2\nb,1\n"


def test_totals_are_an_unmarked_last_row(client: Client) -> None:
    answer = client.rows(["orders.initial", "orders.count"], sorts=["orders.initial"], total=True)
    assert answer == [["P", "1"], ["t", "2"], ["", "3"]]


def test_a_custom_measure_has_its_label_as_header(client: Client) -> None:
    custom = {"measure": "mean", "based_on": "orders.price", "type": "average", "label": "Mean Price"}
    answer = client.run(["mean"], dynamic_fields=json.dumps([custom]))
    assert answer.text == "Mean Price\n617.5\n"


def test_compressed_files_form_one_table(client: Client) -> None:
    answer = client.run(["words.word", "words.size"], view="words", sorts=["words.size"])
    assert answer.text == "Words Word,Words Size\ntwo,2\nsix,6\nten,10\n,\n"


def test_the_type_of_a_column_can_be_given(client: Client) -> None:
    answer = client.run(["strings.size"], view="strings", sorts=["strings.size"])
    assert answer.text == "Strings Size\n10\n2\nNA\n"


def test_a_broken_database_connection_ends_a_200_with_an_error(client: Client) -> None:
    answer = client.run(["severed.id"], view="severed", sorts=["severed.id"])
    assert answer.status_code == 200
    assert answer.text == "Severed Id\n1\n2\n\nError: SQL Error: connection severed"
    rows = client.run(["severed.id"], "json", view="severed", sorts=["severed.id"]).json()
    assert rows == [{"severed.id": 1}, {"severed.id": 2}, {"looker_error": "SQL Error: connection severed"}]


def test_a_database_error_is_reported_in_a_200(client: Client) -> None:
    client.looker.explores["shop", "orders"].dimension("broken", "error('disk on fire')::VARCHAR")
    assert "disk on fire" in client.run(["orders.broken"], "json").json()[0]["looker_error"]
    answer = client.run(["orders.broken"])
    assert answer.status_code == 200
    assert "Error: SQL Error:" in answer.text
