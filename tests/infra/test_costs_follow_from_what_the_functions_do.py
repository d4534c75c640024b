"""The costs in infra/README.md: every product and sum is right, and the operations are those of real calls."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench import scale
from tests.support import documents
from tests.support.operations import CountedCall, count_calls
from tests.support.world import Servers, open_world

COSTS = documents.section(documents.INFRA, "Costs")
ROWS = [
    [cell.strip() for cell in line.strip()[1:-1].split("|")] for line in COSTS.splitlines() if line.startswith("| ")
]
NUMBER = r"[\d,]+(?:\.\d+)?"
PRODUCT = re.compile(rf"({NUMBER}(?: × {NUMBER})+)")
RENEWALS = {"pulls": 2}
"Of a lease in a minute; the calls here take less."
JOBS = 8
OPERATIONS = ["pulls", "exports", "deliveries stored", "deliveries imported", "sweeps"]


def number(text: str) -> float:
    return float(text.replace(",", ""))


def product(text: str) -> float:
    return math.prod(number(factor) for factor in text.split(" × "))


def cells(pattern: str) -> Iterator[tuple[str, str]]:
    for row in ROWS:
        for cell in row:
            for found in re.finditer(pattern, cell):
                yield found[1], found[2]


def test_every_product_is_what_it_says() -> None:
    said = list(cells(rf"{PRODUCT.pattern} = ({NUMBER})"))

    assert len(said) > 20
    assert [(factors, result) for factors, result in said if product(factors) != number(result)] == []


@pytest.mark.parametrize("start", [i for i, row in enumerate(ROWS) if row[0] == "total"])
def test_a_total_is_the_sum_of_its_column(start: int) -> None:
    heading = max(i for i, row in enumerate(ROWS[:start]) if row[0] in ("", "item"))
    for column, total in enumerate(ROWS[start]):
        if re.fullmatch(NUMBER, total):
            parts = [number(re.findall(NUMBER, row[column])[-1]) for row in ROWS[heading + 1 : start]]
            assert round(sum(parts), 2) == number(total), (column, parts)


def test_each_price_is_its_calculation_in_cents() -> None:
    priced = [row for row in ROWS if len(row) >= 3 and PRODUCT.match(row[1]) and re.fullmatch(r"\d+\.\d\d", row[2])]

    assert len(priced) > 14
    for item, calculation, dollars, *_ in priced:
        factors = PRODUCT.match(calculation)
        assert factors
        assert f"{product(factors[1]):.2f}" == dollars or abs(product(factors[1]) - float(dollars)) <= 0.005, item


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory, addresses: dict[str, str]) -> Iterator[dict[str, CountedCall]]:
    """The operations of one call of each kind, in a bridge that has been running for a while."""
    folder: Path = tmp_path_factory.mktemp("costs")
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        Servers() as servers,
        open_world(folder, servers, addresses, monkeypatch) as world,
    ):
        yield count_calls(world)


@pytest.mark.parametrize("kind", OPERATIONS)
def test_the_operations_of_a_call_are_those_that_the_sandbox_counts(counted: dict[str, CountedCall], kind: str) -> None:
    row = next(row for row in ROWS[ROWS.index(["", "class A", "class B"]) :] if row[0] == kind)
    of_a, of_b = (int(number(cell.split(" × ")[1].split(" = ")[0])) for cell in row[1:])

    found = counted[kind].storage
    more = RENEWALS.get(kind, 0)
    if kind == "sweeps":
        # A sweep lists the receipts of each job, of which this bridge has three.
        more += JOBS - 3
        # The export is late here, each hour for a later time, which its page says.
        more -= 1
    assert (found["A"] + more, found["B"]) == (of_a, of_b), json.dumps(found)


def test_the_tables_of_scale_are_computed_from_the_calls_that_the_sandbox_counts(
    counted: dict[str, CountedCall],
) -> None:
    written = documents.section(documents.TESTS, "Scale")

    assert [table for table in scale.tables(counted) if table not in written] == []


def test_each_condition_of_an_alert_is_counted() -> None:
    files = [path.read_text() for path in sorted(documents.INFRA.parent.glob("alerts*.tf"))]
    # An alert of a map is one condition; the resource over each map has the block once more.
    of_maps = sum(len(re.findall(r"^    \w+ = \{$", text, re.MULTILINE)) for text in files)
    blocks = sum(text.count("  conditions {") for text in files)
    maps = sum(len(re.findall(r"for_each\s+= local\._\w+_alerts", text)) for text in files)

    calculation = next(row[1] for row in ROWS if row[0].startswith("conditions of alerts"))
    assert number(calculation.split(" × ")[0]) == of_maps + blocks - maps
