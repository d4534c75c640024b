"""With `engine: bigquery`, BigQuery compares a block with what was sent, with the same verdicts as the function."""

import re
from typing import Any

import pytest

from common.runs import verification
from local.sandbox.pigment import BlockColumn, RowEdit
from local.sandbox.wire import Response
from tests.support.jobs import COLUMNS
from tests.support.world import CONFIGURATION, EXPORTS, HEADER, ROWS, World

KEY = HEADER[:3]
AA = {"Flights Carrier": "AA"}
INSERT = r"POST /bigquery/v2/projects/test/jobs"
RESULT = r"GET /bigquery/v2/projects/test/queries/"
MIB = 1024**2


@pytest.fixture
def block(world: World) -> str:
    """The list of flights, in which a row is identified by `KEY`; the pull `flights` compares it in BigQuery."""
    block = world.pigment.block(world.pigment.application("Planning"), "Read back")
    world.pigment.configuration(block, COLUMNS, uuid=CONFIGURATION, unique=KEY)
    read_back(world, block)
    return block


def read_back(world: World, block: str, /, verify: dict[str, Any] | None = None, **job: Any) -> None:
    how = {"source": {"list": block}, "key": KEY, "engine": "bigquery", **(verify or {})}
    world.add_pull("flights", verify=how, **{"target": {"repeatable": True}, **job})


@pytest.mark.usefixtures("block")
def test_the_receipt_has_the_verdict_and_what_the_query_is_billed(world: World) -> None:
    answer = world.run_pull("flights")

    assert (answer.status, answer.receipt["outcome"], answer.receipt["verified"]) == (200, "landed", "equal")
    assert answer.receipt["verification"] == {"sent": 5, "block": 5}
    # The least for two tables.
    assert world.receipts()[-1]["bytes_billed"] == 20 * MIB
    assert world.objects("tmp/") == world.objects("leases/") == []
