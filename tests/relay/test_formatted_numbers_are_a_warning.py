"""Formatted numbers in a delivery are a warning that names the columns and the switch in Looker."""

import csv
import io
import json
from collections.abc import Sequence

import pytest

from common.looker import webhook
from tests.support.action_caller import LookerSide
from tests.support.payloads import attached
from tests.support.world import World

SWITCH = "turn Formatted data values off"


def warnings_of(*columns: Sequence[str]) -> list[str]:
    """Return the warnings about columns, each with its header and its cells."""
    content = io.StringIO(newline="")
    csv.writer(content, lineterminator="\n").writerows(zip(*columns, strict=True))
    return webhook.read(attached(content.getvalue())).warnings


@pytest.mark.parametrize(
    "cells",
    [
        ["17,769,563", "12"],
        ["1", "", "1,234"],
        ["12%", "5%"],
        ["12.5 %", "0"],
        ["12,5\u00a0%", "0"],
        ["$5", "$1,234.50"],
        ["-$5", "($1,234)"],
        ["€ 5", "1.234,56 €"],
        ["1.234.567", "€7"],
        ["1 234,56", "7"],
        ["1\u202f234", "7"],
        ["1'234.50", "7"],
        ["(12)", "3"],
        ["∅", "1,234"],
    ],
)
def test_a_column_of_formatted_numbers_is_named_with_the_switch(cells: list[str]) -> None:
    plain = [str(number) for number in range(len(cells))]

    (warning,) = warnings_of(["Carrier", *["UA"] * len(cells)], ["Orders Revenue", *cells], ["Count", *plain])

    assert "Orders Revenue" in warning
    assert SWITCH in warning
    assert "Count" not in warning
    assert "Carrier" not in warning
    assert not any(cell in warning for cell in cells if len(cell) > 3)


@pytest.mark.parametrize(
    "cells",
    [
        ["1234", "-5", "1.10", "1E+5", ".5", "5.", ""],
        ["Brick, mortar", "12"],
        ["up to 12 %", "5 %"],
        ["2026-11-19", "19.11.2026"],
        ["UA 123", "AA 7"],
        ["555 123 456", "555 987 654"],
        ["10:30", "(none)"],
        ["", ""],
        ["1,234 and more", "2"],
        ["é", "ü"],
    ],
)
def test_other_columns_are_no_warning(cells: list[str]) -> None:
    assert warnings_of(["Name", *cells], ["Text", *['a "b"'] * len(cells)]) == []


def test_several_columns_are_one_warning() -> None:
    (warning,) = warnings_of(["Revenue", "1,234"], ["Share", "12%"], ["Name", "UA"])

    assert "Revenue, Share" in warning


def test_rows_in_json_are_read_too() -> None:
    rows = json.dumps([{"orders.revenue": "1,234", "orders.count": 5}])

    (warning,) = webhook.read(attached(rows, "json", "application/json")).warnings

    assert "orders.revenue" in warning


def test_looker_and_the_receipt_are_told(world: World) -> None:
    world.add_relay("sales")
    body = attached('Id,Amount\n1,"1,234"\n2,17\n')

    answer = world.post_delivery("sales", body)
    world.run_deliver()

    assert answer.status == 200
    assert answer.body["looker"]["message"].startswith("Received. Formatted numbers in Amount")
    (warning,) = [text for text in world.receipts("sales")[0]["warnings"] if SWITCH in text]
    assert warning.startswith("Formatted numbers in Amount")


def test_the_receipt_of_an_action_warns_too(world: World) -> None:
    world.add_relay("sales")
    looker = LookerSide(world)

    assert looker.execute("sales", looker.offer(b'Id,Amount\n1,"1,234"\n'))["success"]
    world.run_deliver()

    assert [text for text in world.receipts("sales")[0]["warnings"] if SWITCH in text]
