"""A list of flights in Pigment that the pull `flights` reads back, and changes of it that no report tells of."""

from typing import Any

import pytest

from local.sandbox.pigment import BlockColumn, RowEdit
from tests.support.jobs import COLUMNS
from tests.support.world import CONFIGURATION, HEADER, World

KEY = HEADER[:3]
AA = {"Flights Carrier": "AA"}

UNTOLD_EDITS = pytest.mark.parametrize(
    ("edit", "words", "row"),
    [
        (RowEdit(AA), "the block has 4. By key: 1 missing.", {"problem": "missing"}),
        (RowEdit(AA, doubles=True), "the block has 6. By key: 1 more than once.", {"problem": "doubled"}),
        (
            RowEdit(AA, {"Flights Delay": "1"}),
            "the block has 5. By key: 1 with other values (cells: Flights Delay 1).",
            {"problem": "changed", "columns": ["Flights Delay"]},
        ),
    ],
    ids=["lost", "doubled", "changed"],
)


def fill_list(world: World, columns: list[BlockColumn] | None = None, /, **how: Any) -> str:
    block = world.pigment.block(world.pigment.application("Planning"), "Read back")
    world.pigment.configuration(block, columns or COLUMNS, uuid=CONFIGURATION, **{"unique": KEY, **how})
    read_back(world, block)
    return block


def read_back(world: World, block: str, /, verify: dict[str, Any] | None = None, **job: Any) -> None:
    how = {"source": {"list": block}, "key": KEY, **(verify or {})}
    world.add_pull("flights", verify=how, **{"target": {"repeatable": True}, **job})
