"""Pigment's counts can contradict each other and the file: the receipt says so, and claims no more than they show."""

from typing import Any

import pytest

from local.sandbox.wire import Response
from tests.support.world import CONFIGURATION, ROWS, STATUS, FunctionAnswer, World

SENT = len(ROWS)


def run_with_report(
    world: World,
    summary: dict[str, int] | None,
    *skipped: dict[str, Any],
    block_type: str = "List",
    errors: list[dict[str, str]] | None = None,
    **pull: Any,
) -> FunctionAnswer:
    """Run the pull of five rows, whose import ends with this report."""
    world.add_pull("flights", **pull)
    blocks = [{"blockId": CONFIGURATION, "skippedData": list(skipped)}]
    report = {"blockType": block_type, "impactedBlocks": blocks} | ({"summary": summary} if summary else {})
    state = {"importStatus": "Completed", "detailedReport": report, "errorsDetails": errors}
    world.heal()
    world.pigment_server.fault(STATUS, times=-1, refuse=Response.of_json(state))
    return world.run_pull("flights")


def skip(count: int, reason: str = "ParsingError") -> dict[str, Any]:
    return {"count": count, "reason": reason, "sourceColumnName": "Flights Delay"}


def counts(inserted: int = 0, updated: int = 0, deleted: int = 0, skipped: int = 0) -> dict[str, int]:
    return {
        "insertedCount": inserted, "updatedCount": updated, "deletedCount": deleted, "skippedCount": skipped,
    }  # fmt: skip


def test_rows_in_no_count_are_reported_as_missing(world: World) -> None:
    answer = run_with_report(world, counts(inserted=2, updated=1))

    assert (answer.status, answer.receipt["outcome"]) == (200, "landed_with_skips")
    (warning,) = answer.receipt["warnings"]
    assert warning.startswith("Pigment's report does not account for 2 of the rows that were sent: it counts 2 ins")
    assert warning.endswith("it counts 2 inserted, 1 updated and 0 skipped rows.")


def test_at_a_repeatable_target_a_row_in_no_count_may_be_an_unchanged_one(world: World) -> None:
    answer = run_with_report(world, counts(inserted=2, updated=1), target={"repeatable": True})

    assert (answer.status, answer.receipt["outcome"]) == (200, "landed")
    assert "does not account for 2 of the rows" in answer.receipt["warnings"][0]


def test_a_metric_takes_several_rows_into_one_cell(world: World) -> None:
    answer = run_with_report(world, counts(inserted=1, updated=1), block_type="Metric")

    assert (answer.receipt["outcome"], answer.receipt["warnings"]) == ("landed", [])


def test_rows_that_count_in_several_blocks_are_not_too_many(world: World) -> None:
    answer = run_with_report(world, counts(inserted=2 * SENT))

    assert (answer.receipt["outcome"], answer.receipt["warnings"]) == ("landed", [])


def test_deleted_rows_replace_no_missing_ones(world: World) -> None:
    answer = run_with_report(world, counts(inserted=SENT - 1, deleted=100))

    assert answer.receipt["outcome"] == "landed_with_skips"
    assert "does not account for 1 of the rows" in answer.receipt["warnings"][0]


def test_rows_imported_with_a_default_are_counted_once(world: World) -> None:
    default = "MissingModalityUseDefaultOrNullModality"
    guards = {"max_skipped": 2}

    whole = run_with_report(world, counts(inserted=SENT, skipped=2), skip(2, default), guards=guards)
    short = run_with_report(world, counts(inserted=SENT - 2, skipped=2), skip(2, default), guards=guards)

    assert (whole.receipt["outcome"], whole.receipt["warnings"]) == ("landed_with_skips", [])
    assert "does not account for 2 of the rows" in short.receipt["warnings"][0]


@pytest.mark.parametrize(
    ("summary", "skipped"),
    [(counts(inserted=2), skip(3)), (counts(inserted=2, skipped=3), skip(1)), (None, skip(3))],
    ids=["by reason", "in all", "without a summary"],
)
def test_the_greater_number_of_skipped_rows_is_judged(
    world: World, summary: dict[str, int] | None, skipped: dict[str, Any]
) -> None:
    refused = run_with_report(world, summary, skipped, guards={"max_skipped": 2})
    landed = run_with_report(world, summary, skipped, guards={"max_skipped": 3})

    assert (refused.code, refused.receipt["rows"]["skipped"]) == ("too_many_skipped", 3)
    assert (landed.receipt["outcome"], landed.receipt["rows"]["skipped"]) == ("landed_with_skips", 3)


def test_two_numbers_of_skipped_rows_are_a_warning(world: World) -> None:
    answer = run_with_report(world, counts(inserted=2), skip(3), guards={"max_skipped": 3})

    assert answer.receipt["warnings"] == ["Pigment's report counts 0 skipped rows in all, but 3 by reason."]


def test_errors_beside_completed_are_a_warning(world: World) -> None:
    errors = [{"name": "Timeout", "description": "The last step was not run"}]

    answer = run_with_report(world, counts(inserted=SENT), errors=errors)

    assert (answer.status, answer.receipt["outcome"]) == (200, "landed")
    assert answer.receipt["warnings"] == [
        "Pigment completed the import and reported errors. Timeout: The last step was not run"
    ]


def test_the_counts_of_an_import_that_a_later_run_settles_are_judged_too(world: World) -> None:
    world.pause_imports()
    importing = world.run_pull("flights")
    world.resume_imports()
    report = {"blockType": "List", "summary": counts(inserted=1)}
    state = {"importStatus": "Completed", "detailedReport": report}
    world.pigment_server.fault(STATUS, times=1, refuse=Response.of_json(state))

    world.run_pull("flights")

    settled = next(each for each in world.receipts() if each["run"] == importing.receipt["run"])
    assert (importing.receipt["outcome"], settled["outcome"]) == ("importing", "landed_with_skips")
    assert "does not account for 4 of the rows" in settled["warnings"][0]
