"""A file pushed in any documented way is imported, and an exact copy is stored."""

import hashlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from local.sandbox.pigment import BlockColumn
from tests.support.pigment_caller import Caller, called

FLIGHTS = "Id,Origin\n1,JFK\n2,LGA\n"
ROWS = [{"Id": "1", "Origin": "JFK"}, {"Id": "2", "Origin": "LGA"}]


@pytest.fixture
def caller() -> Iterator[Caller]:
    with called() as caller:
        yield caller


@pytest.mark.parametrize("path", ["/import/push/csv", "/v1/import/push/csv"])
@pytest.mark.parametrize("content_type", ["text/csv", "text/csv; charset=utf-8", "application/octet-stream"])
def test_a_csv_is_imported_through_both_versions_of_the_path(caller: Caller, path: str, content_type: str) -> None:
    configuration = caller.flights()
    asked = {"configurationId": configuration}
    answer = caller.call("POST", path, params=asked, data=FLIGHTS, headers={"Content-Type": content_type})
    caller.pigment.finished(answer.json()["importId"])
    assert caller.pigment.rows(configuration) == ROWS


def test_the_received_file_equals_the_pushed_file(caller: Caller) -> None:
    content = FLIGHTS.encode()
    pushed = caller.imported(caller.flights(), content)
    assert caller.pigment.received(pushed.id).read_bytes() == content
    assert (pushed.sha256, pushed.bytes, pushed.rows) == (hashlib.sha256(content).hexdigest(), len(content), 2)
    assert caller.pigment.imports == [pushed]


def test_a_chunked_body_is_imported(caller: Caller) -> None:
    configuration = caller.flights()
    blocks: Iterable[bytes] = (line.encode() for line in io.StringIO(FLIGHTS))
    asked = {"configurationId": configuration}
    answer = caller.call("POST", "/v1/import/push/csv", params=asked, data=blocks, headers={"Content-Type": "text/csv"})
    caller.pigment.finished(answer.json()["importId"])
    assert caller.pigment.rows(configuration) == ROWS


def test_a_looker_delivery_is_imported_with_the_key_in_its_address(caller: Caller) -> None:
    configuration = caller.flights()
    answer = caller.deliver(configuration, FLIGHTS, api_key=caller.key)
    pushed = caller.pigment.finished(answer.json()["importId"])
    assert caller.pigment.rows(configuration) == ROWS
    assert caller.pigment.received(pushed.id).read_text() == FLIGHTS


def test_a_trigger_reads_the_configurations_source(caller: Caller, tmp_path: Path) -> None:
    (tmp_path / "flights-2026-01-01.csv").write_text(FLIGHTS)
    from_file = caller.flights(source=lambda: max(tmp_path.iterdir()))
    from_blocks = caller.flights(source=lambda: [b"Id,Origin\n", b"3,EWR\n"])
    for configuration in (from_file, from_blocks):
        answer = caller.call("POST", "/v1/import/trigger", params={"configurationId": configuration})
        assert caller.pigment.finished(answer.json()["importId"]).status == "Completed"
    assert caller.pigment.rows(from_file) == [*ROWS, {"Id": "3", "Origin": "EWR"}]


def test_an_unreadable_source_fails_the_import_and_not_the_call(caller: Caller, tmp_path: Path) -> None:
    configuration = caller.flights(source=lambda: tmp_path / "nothing.csv")
    answer = caller.call("POST", "/v1/import/trigger", params={"configurationId": configuration})
    ended = caller.pigment.finished(answer.json()["importId"])
    assert (ended.status, ended.errors[0].name) == ("Failed", "SourceUnreadable")


def test_columns_are_found_by_name_and_others_are_ignored(caller: Caller) -> None:
    configuration = caller.flights()
    caller.imported(configuration, "Carrier,Origin,Id\nUA,JFK,1\n")
    assert caller.pigment.rows(configuration) == [{"Id": "1", "Origin": "JFK"}]


def test_quotes_line_breaks_accents_and_a_byte_order_mark_are_read(caller: Caller) -> None:
    configuration = caller.flights(delimiter=";")
    caller.imported(configuration, '\ufeffId;Origin\r\n1;"Orly; ""Sud""\r\nParis"\r\n2;Zürich\r\n')
    assert [row["Origin"] for row in caller.pigment.rows(configuration)] == ['Orly; "Sud"\r\nParis', "Zürich"]


def test_the_first_file_completes_a_learning_configuration(caller: Caller) -> None:
    configuration = caller.flights(BlockColumn("Delay", "integer"), learn=True)
    caller.imported(configuration, "Id,Delay\n1,12\n")
    assert caller.pigment.rows(configuration) == [{"Id": "1", "Delay": 12}]
    assert caller.imported(configuration, "Delay\n12\n").errors[0].description.startswith("Id: missing.")


def test_metadata_lists_all_objects(caller: Caller) -> None:
    caller.flights(name="From Looker")
    (application,) = caller.call("GET", "/v1/applications").json()
    (block,) = caller.call("GET", "/v1/blocks", params={"applicationId": application["id"]}).json()
    (found,) = caller.call("GET", "/v1/importConfigurations", params={"blockId": block["id"]}).json()
    assert (application["name"], block["name"], block["type"]) == ("Airline", "Flights", "TransactionList")
    assert found["name"] == "From Looker"
    assert caller.call("GET", "/v1/views").json() == []
