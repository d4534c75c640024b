"""An invalid row is skipped and counted by reason and column, and the import still completes."""

from collections.abc import Iterator
from typing import Any

import pytest

from local.sandbox.pigment import BlockColumn
from tests.support.pigment_caller import Caller, called


@pytest.fixture
def caller() -> Iterator[Caller]:
    with called() as caller:
        yield caller


def detailed(caller: Caller, configuration: str, csv: str | bytes) -> dict[str, Any]:
    ended = caller.imported(configuration, csv)
    report: dict[str, Any] = caller.status(ended.id).json()
    assert report["importStatus"] == "Completed", report
    return dict(report["detailedReport"])


def skipped(caller: Caller, configuration: str, csv: str | bytes) -> list[tuple[Any, ...]]:
    (block,) = detailed(caller, configuration, csv)["impactedBlocks"]
    return [(one["count"], one["reason"], one["sourceColumnName"], one["samples"]) for one in block["skippedData"]]


@pytest.mark.parametrize(
    ("column", "good", "bad"),
    [
        (
            BlockColumn("V", "number"),
            {"1": 1, "-1.5": -1.5, ".5": 0.5, "1e3": 1000, "": None},
            ["nan", "1_0", "1,5", "x"],
        ),
        (BlockColumn("V", "integer"), {"7": 7, "-7": -7, "": None}, ["1.5", "1e3", "0x10", "99999999999999999999"]),
        (BlockColumn("V", "boolean"), {"Yes": True, "FALSE": False, "1": True, "": None}, ["maybe", "2"]),
        (
            BlockColumn("V", "date"),
            {"2013-01-31": "2013-01-31", "": None},
            ["2013-02-31", "01/31/2013", "2013-01-01 05"],
        ),
        (BlockColumn("V", "date", format="%d/%m/%Y"), {"31/01/2013": "2013-01-31"}, ["2013-01-31"]),
        (BlockColumn("V"), {"null": "null", "é": "é"}, []),
    ],
)
def test_values_are_read_by_type(caller: Caller, column: BlockColumn, good: dict[str, Any], bad: list[str]) -> None:
    configuration = caller.flights("Id", column)
    lines = ["Id,V", *(f'{n},"{text}"' for n, text in enumerate([*good, *bad]))]
    found = skipped(caller, configuration, "\n".join(lines))
    assert found == ([(len(bad), "ParsingError", "V", bad[:3])] if bad else [])
    landed = [row["V"] for row in caller.pigment.rows(configuration)]
    assert [value.isoformat() if hasattr(value, "isoformat") else value for value in landed] == list(good.values())


def test_a_row_counts_once_under_its_first_bad_column(caller: Caller) -> None:
    configuration = caller.flights(BlockColumn("A", "integer"), BlockColumn("B", "integer"))
    report = detailed(caller, configuration, "A,B\n1,1\nx,x\n1,y\n")
    assert report["summary"] == {"insertedCount": 1, "updatedCount": 0, "deletedCount": 0, "skippedCount": 2}
    assert [one["sourceColumnName"] for one in report["impactedBlocks"][0]["skippedData"]] == ["A", "B"]


def test_rows_of_another_width_or_encoding_are_skipped(caller: Caller) -> None:
    configuration = caller.flights()
    found = skipped(caller, configuration, b"Id,Origin\n1\n2,JFK\n3,LGA,UA\n4,\xff\n")
    assert [(count, reason, column) for count, reason, column, _ in found] == [(3, "ParsingError", None)]
    assert caller.pigment.rows(configuration) == [{"Id": "2", "Origin": "JFK"}]
    assert caller.pigment.imports[0].rows == 4


@pytest.mark.parametrize(
    ("missing", "reason", "landed"),
    [
        ("skip", "MissingModalitySkippedDataRow", ["JFK", None]),
        ("blank", "MissingModalityUseDefaultOrNullModality", ["JFK", None, None]),
    ],
)
def test_a_missing_item_skips_the_row_or_blanks_the_value(
    caller: Caller, missing: Any, reason: str, landed: list[str | None]
) -> None:
    airports = caller.pigment.block(
        caller.pigment.application("Airline"), "Airports", "DimensionList", {"Code": "text"}
    )
    caller.pigment.items(airports, ["JFK", "LGA"])
    configuration = caller.flights("Id", BlockColumn("Origin", "dimension", to=airports, missing=missing))
    assert skipped(caller, configuration, "Id,Origin\n1,JFK\n2,ORY\n3,\n") == [(1, reason, "Origin", ["ORY"])]
    assert [row["Origin"] for row in caller.pigment.rows(configuration)] == landed


def test_missing_items_are_created_if_configured(caller: Caller) -> None:
    airports = caller.pigment.block(
        caller.pigment.application("Airline"), "Airports", "DimensionList", {"Code": "text"}
    )
    configuration = caller.flights("Id", BlockColumn("Origin", "dimension", to=airports, missing="create"))
    report = detailed(caller, configuration, "Id,Origin\n1,JFK\n2,JFK\n3,LGA\n")
    assert report["autoCreatedDimensionModalities"] == [{"blockId": airports, "count": 2}]
    assert sorted(row["Code"] for row in caller.pigment.rows(airports)) == ["JFK", "LGA"]


def test_a_row_without_its_unique_id_is_skipped(caller: Caller) -> None:
    configuration = caller.flights(unique=["Id"])
    assert skipped(caller, configuration, "Id,Origin\n,JFK\n2,LGA\n") == [(1, "ParsingError", "Id", [""])]
