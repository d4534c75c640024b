"""What makes other tools report success: rows that Pigment skips or loses, an answer that is cut, an import that fails.

`python -m tests.bench rivals` shows the same faults beside drt and dlt.
"""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from local.sandbox.pigment import RowEdit
from tests.support import command_line
from tests.support.jobs import COLUMNS
from tests.support.world import CONFIGURATION, HEADER, PULL_RUN, ROWS, World


class Deception(NamedTuple):
    happen: Callable[[World], object]
    code: str
    said: str
    rows_in_pigment: int


DECEPTIONS = {
    "Pigment skips rows": Deception(
        lambda world: world.pigment.skip_next(CONFIGURATION, 2, "MissingModalitySkippedDataRow"),
        "too_many_skipped",
        "Pigment skipped 2 rows",
        len(ROWS) - 2,
    ),
    "Looker's answer is cut in the middle": Deception(
        lambda world: world.looker_server.fault(PULL_RUN, times=-1, cut_after_bytes=100),
        "stream_cut",
        "broke off",
        0,
    ),
    "the import fails": Deception(
        lambda world: world.pigment.fail_next(CONFIGURATION, "DuplicateItems", "Two rows share an identifier"),
        "import_failed",
        "Two rows share an identifier",
        0,
    ),
    "Pigment loses a row and does not count it": Deception(
        lambda world: world.pigment.edit_after_next(CONFIGURATION, RowEdit({HEADER[1]: "AA"})),
        "not_equal",
        "5 rows were sent, the block has 4.",
        len(ROWS) - 1,
    ),
}


@pytest.fixture
def pull(world: World) -> World:
    """The pull `flights`, which reads its list back."""
    block = world.pigment.block(world.pigment.application("Planning"), "Read back")
    world.pigment.configuration(block, COLUMNS, uuid=CONFIGURATION)
    world.add_pull("flights", verify={"source": {"list": block}, "key": HEADER[:3]})
    return world


def test_without_a_fault_the_command_succeeds(pull: World) -> None:
    ran = command_line.run_deployed("pull", "flights")

    assert (ran.status, len(pull.landed_rows())) == (0, len(ROWS)), ran.output


@pytest.mark.parametrize("deception", DECEPTIONS.values(), ids=DECEPTIONS)
def test_the_command_fails_and_says_why(pull: World, deception: Deception) -> None:
    deception.happen(pull)

    ran = command_line.run_deployed("pull", "flights")

    assert ran.status == 1
    assert f"{deception.code}: " in ran.output
    assert deception.said in " ".join(ran.output.split())
    assert len(pull.landed_rows()) == deception.rows_in_pigment


@pytest.mark.parametrize("deception", DECEPTIONS.values(), ids=DECEPTIONS)
def test_the_answer_to_the_schedule_is_no_success_and_the_receipt_has_the_code(
    pull: World, deception: Deception
) -> None:
    deception.happen(pull)

    answer = pull.run_pull("flights")

    assert answer.status >= 400
    assert answer.code == pull.receipts()[-1]["error"]["code"] == deception.code
