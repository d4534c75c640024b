"""Append, update, clear and metric cells follow the configuration, and a failed import changes nothing."""

from collections.abc import Iterator
from typing import Any

import pytest

from local.sandbox.pigment import BlockColumn, SandboxImport
from tests.support.pigment_caller import Caller, called


@pytest.fixture
def caller() -> Iterator[Caller]:
    with called() as caller:
        yield caller


def counts(ended: SandboxImport) -> tuple[int, int, int]:
    """Return the numbers of inserted, updated and deleted rows."""
    assert ended.report, ended.errors
    summary = ended.report.summary
    return summary.inserted_count, summary.updated_count, summary.deleted_count


def origins(caller: Caller, configuration: str) -> dict[str, Any]:
    return {row["Id"]: row["Origin"] for row in caller.pigment.rows(configuration)}


def test_a_transaction_list_appends_a_repeated_file_again(caller: Caller) -> None:
    configuration = caller.flights()
    for _ in range(2):
        assert counts(caller.imported(configuration, "Id,Origin\n1,JFK\n")) == (1, 0, 0)
    assert caller.pigment.count(configuration) == 2


def test_a_unique_id_updates_in_place(caller: Caller) -> None:
    configuration = caller.flights(unique=["Id"])
    caller.imported(configuration, "Id,Origin\n1,JFK\n2,LGA\n")
    assert counts(caller.imported(configuration, "Id,Origin\n2,EWR\n3,ORY\n1,JFK\n")) == (1, 2, 0)
    assert origins(caller, configuration) == {"1": "JFK", "2": "EWR", "3": "ORY"}


def test_an_update_leaves_properties_of_other_configurations_alone(caller: Caller) -> None:
    origin, carrier = caller.flights(unique=["Id"]), caller.flights("Id", "Carrier", unique=["Id"])
    caller.imported(origin, "Id,Origin\n1,JFK\n")
    caller.imported(carrier, "Id,Carrier\n1,UA\n")
    assert caller.pigment.rows(origin) == [{"Id": "1", "Origin": "JFK", "Carrier": "UA"}]


def test_the_same_unique_id_twice_fails_the_import(caller: Caller) -> None:
    configuration = caller.flights(unique=["Id"])
    ended = caller.imported(configuration, "Id,Origin\n1,JFK\n1,LGA\n")
    assert (ended.status, ended.errors[0].name) == ("Failed", "DuplicateUniqueIdentifier")
    assert caller.pigment.count(configuration) == 0


def test_clearing_the_entire_list_deletes_all_of_it_even_for_a_header_alone(caller: Caller) -> None:
    configuration = caller.flights(clear="all")
    caller.imported(configuration, "Id,Origin\n1,JFK\n2,LGA\n")
    assert counts(caller.imported(configuration, "Id,Origin\n3,EWR\n")) == (1, 0, 2)
    assert counts(caller.imported(configuration, "Id,Origin\n")) == (0, 0, 1)
    assert caller.pigment.count(configuration) == 0


def test_clearing_with_a_unique_id_deletes_rows_missing_from_the_file(caller: Caller) -> None:
    configuration = caller.flights(unique=["Id"], clear="all")
    caller.imported(configuration, "Id,Origin\n1,JFK\n2,LGA\n")
    assert counts(caller.imported(configuration, "Id,Origin\n2,EWR\n3,ORY\n")) == (1, 1, 1)
    assert origins(caller, configuration) == {"2": "EWR", "3": "ORY"}


def test_clearing_a_scope_deletes_only_where_the_file_has_rows(caller: Caller) -> None:
    configuration = caller.flights("Id", "Origin", clear="scope", scope=["Origin"])
    caller.imported(configuration, "Id,Origin\n1,JFK\n2,LGA\n3,JFK\n")
    assert counts(caller.imported(configuration, "Id,Origin\n4,JFK\n")) == (1, 0, 2)
    assert origins(caller, configuration) == {"2": "LGA", "4": "JFK"}


def test_a_dimension_list_updates_by_the_property_that_names_its_items(caller: Caller) -> None:
    airports = caller.pigment.block(
        caller.pigment.application("Airline"), "Airports", "DimensionList", {"Code": "text"}
    )
    configuration = caller.pigment.configuration(airports, ["Code", "City"])
    caller.imported(configuration, "Code,City\nJFK,NYC\n")
    assert counts(caller.imported(configuration, "Code,City\nJFK,New York\nORY,Paris\n")) == (1, 1, 0)


def test_cells_of_a_metric_are_overwritten_by_the_last_value(caller: Caller) -> None:
    application = caller.pigment.application("Airline")
    airports = caller.pigment.block(application, "Airports", "DimensionList", {"Code": "text"})
    caller.pigment.items(airports, ["JFK", "LGA"])
    delay = caller.pigment.block(application, "Delay", "Metric")
    configuration = caller.pigment.configuration(
        delay, [BlockColumn("Origin", "dimension", to=airports), BlockColumn("Delay", "number")]
    )
    caller.imported(configuration, "Origin,Delay\nJFK,1\n")
    ended = caller.imported(configuration, "Origin,Delay\nJFK,2\nJFK,3\nLGA,4\nORY,5\n")
    assert counts(ended) == (1, 1, 0)
    assert ended.report
    assert ended.report.block_type == "Metric"
    assert ended.report.summary.skipped_count == 1
    assert {row["Origin"]: row["Delay"] for row in caller.pigment.rows(delay)} == {"JFK": 3, "LGA": 4}


@pytest.mark.parametrize(
    ("csv", "name", "message"),
    [
        ("Id,From\n1,JFK\n", "InvalidColumns", "Origin: missing. The file's columns: Id, From."),
        ("Id;Origin\n1;JFK\n", "InvalidColumns", "Id, Origin: missing. The file's columns: Id;Origin."),
        ("Id,Origin,Id\n1,JFK,2\n", "InvalidColumns", "Id: occurs more than once. The file's columns: Id, Origin, Id."),
        ("", "EmptyFile", "The file is empty."),
        (b"Id,Origin\xff\n", "InvalidEncoding", "The header is not encoded in UTF-8."),
        ('Id,Origin\n1,"JFK\n2,LGA\n', "InvalidFile", "Line 2: a quoted value is malformed."),
    ],
)
def test_an_unsuitable_file_fails_and_clears_nothing(caller: Caller, csv: str | bytes, name: str, message: str) -> None:
    configuration = caller.flights(clear="all")
    caller.imported(configuration, "Id,Origin\n9,ORY\n")
    ended = caller.imported(configuration, csv)
    assert [(one.name, one.description) for one in ended.errors] == [(name, message)]
    assert origins(caller, configuration) == {"9": "ORY"}


@pytest.mark.parametrize(
    ("kind", "columns", "options", "message"),
    [
        ("Table", ["A"], {}, "a Table cannot be imported into"),
        ("TransactionList", ["A", "A"], {}, "two columns share a header"),
        ("TransactionList", ["A"], {"unique": ["B"]}, "no column fills B"),
        ("TransactionList", ["A"], {"clear": "scope"}, "clear and scope go together"),
        ("DimensionList", ["A"], {"clear": "all"}, "a DimensionList cannot be cleared"),
        ("Metric", ["A"], {}, "a Metric needs dimension columns"),
        ("TransactionList", [BlockColumn("A", "dimension")], {}, "needs `to`"),
    ],
)
def test_an_invalid_configuration_is_not_saved(
    caller: Caller, kind: Any, columns: list[Any], options: dict[str, Any], message: str
) -> None:
    block = caller.pigment.block(caller.pigment.application("Airline"), kind, kind)
    with pytest.raises(ValueError, match=message):
        caller.pigment.configuration(block, columns, **options)
    assert caller.pigment.configurations() == []
