"""Pigment's `200` means queued and its `Completed` may hide skipped rows: the receipt reports the result."""

import pytest

from local.sandbox.wire import Response
from tests.support.command_line import run_deployed
from tests.support.world import CONFIGURATION, HEADER, ROWS, STATUS, World


def test_a_failed_import_is_a_failed_run_with_pigments_reason(world: World) -> None:
    world.pigment.fail_next(CONFIGURATION, "DuplicateItems", "Two rows share an identifier")

    answer = world.run_pull("flights")

    assert (answer.status, answer.code, answer.receipt["outcome"]) == (502, "import_failed", "failed")
    assert "DuplicateItems: Two rows share an identifier" in answer.error["message"]
    assert world.landed_rows() == []
    assert world.run_pull("flights").body["outcome"] == "landed"
    assert len(world.landed_rows()) == len(ROWS)


def test_skipped_rows_beyond_the_guard_fail_the_run_and_name_reason_and_column(world: World) -> None:
    world.pigment.skip_next(CONFIGURATION, 2, "MissingModalitySkippedDataRow", "Flights Carrier")

    answer = world.run_pull("flights")

    assert (answer.status, answer.code, answer.receipt["outcome"]) == (422, "too_many_skipped", "failed")
    assert answer.receipt["rows"] | {"deleted": 0} == {
        "read": 5, "sent": 5, "inserted": 3, "updated": 0, "deleted": 0, "skipped": 2, "held": None,
    }  # fmt: skip
    assert answer.receipt["skips"] == [
        {"reason": "MissingModalitySkippedDataRow", "column": "Flights Carrier", "count": 2}
    ]
    assert "2 rows" in answer.error["message"]


def test_skipped_rows_are_not_sent_again_for_the_same_schedule_event(world: World) -> None:
    event = {"X-CloudScheduler-ScheduleTime": "2026-03-01T06:15:00Z"}
    world.pigment.skip_next(CONFIGURATION, 1)

    first = world.run_pull("flights", headers=event)
    again = world.run_pull("flights", headers=event)

    assert (first.status, again.status) == (422, 422)
    assert again.body == first.body
    assert len(world.imports) == 1


def test_a_repeatable_target_receives_skipped_rows_again(world: World) -> None:
    event = {"X-CloudScheduler-ScheduleTime": "2026-03-01T06:15:00Z"}
    world.add_pull("flights", target={"repeatable": True})
    world.pigment.skip_next(CONFIGURATION, 1)

    assert world.run_pull("flights", headers=event).status == 422
    assert world.run_pull("flights", headers=event).status == 200
    assert len(world.imports) == 2


def test_tolerated_skips_land_with_skips(world: World) -> None:
    world.add_pull("flights", guards={"max_skipped": 2})
    world.pigment.skip_next(CONFIGURATION, 2)

    answer = world.run_pull("flights")

    assert (answer.status, answer.body["outcome"]) == (200, "landed_with_skips")
    assert answer.body["rows"]["skipped"] == 2


def test_a_value_that_pigment_cannot_read_is_skipped(world: World) -> None:
    world.put_flights([*ROWS, ["2013-01-04", "UA", "EWR", "3"]])
    world.looker.explores["nyc", "flights"].dimension("late", "CASE WHEN delay = 3 THEN 'three' ELSE '1' END")
    fields = ["flights.day", "flights.carrier", "flights.origin", "flights.late"]
    world.looker.look(12, "Flights", "nyc", "flights", fields)
    columns = {"Flights Day": HEADER[0], "Flights Carrier": HEADER[1], "Flights Origin": HEADER[2]}
    world.add_pull("flights", target={"columns": {**columns, "Flights Late": "Flights Delay"}})

    answer = world.run_pull("flights")

    assert answer.receipt["skips"] == [{"reason": "ParsingError", "column": "Flights Delay", "count": 1}]
    assert len(world.landed_rows()) == len(ROWS)


@pytest.mark.parametrize(
    ("report", "warning", "outcome"),
    [
        (b'{"importStatus": "Completed"}', "no detailed report", "landed"),
        (b'{"importStatus": "Completed", "detailedReport": null}', "no detailed report", "landed"),
        (b'{"importStatus": "Completed", "detailedReport": {}}', "no detailed report", "landed"),
        (b'{"importStatus": "Completed", "detailedReport": {"summary": {}}}', "counted no row", "landed_with_skips"),
    ],
)
def test_an_empty_import_report_is_a_warning(world: World, report: bytes, warning: str, outcome: str) -> None:
    world.pigment_server.fault(STATUS, times=-1, refuse=Response(200, report))

    answer = world.run_pull("flights")

    assert answer.body["outcome"] == outcome
    assert warning in "".join(answer.body["warnings"])


def test_an_unknown_status_counts_as_in_progress(world: World) -> None:
    world.pigment_server.fault(STATUS, times=3, refuse=Response(200, b'{"importStatus": "Validating", "new": 1}'))

    assert world.run_pull("flights").body["outcome"] == "landed"


def test_skipped_rows_are_shown_only_if_asked_for_and_never_logged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.pigment.skip_next(CONFIGURATION, 3, column=HEADER[1])
    silent = world.run_pull("flights").receipt
    world.add_pull("flights", guards={"max_skipped": 5, "samples": 2})
    world.pigment.skip_next(CONFIGURATION, 3, column=HEADER[1])

    shown = world.run_pull("flights").receipt

    assert "samples" not in silent["skips"][0]
    samples = shown["skips"][0]["samples"]
    assert samples == [row[1] for row in ROWS[:2]]
    assert world.receipts()[-1]["skips"] == shown["skips"]
    logged = caplog.text
    assert shown["run"] in logged
    assert not any(f"{sample!r}" in logged for sample in samples)


def test_a_sample_of_a_skipped_row_is_short(world: World) -> None:
    world.put_flights([["2013-01-01", "x" * 5000, "MDW", "5"]])
    world.add_pull("flights", guards={"max_skipped": 5, "samples": 10})
    world.pigment.skip_next(CONFIGURATION, 1, column=HEADER[1])

    (skip,) = world.run_pull("flights").receipt["skips"]

    (sample,) = skip["samples"]
    assert sample.startswith("xxx")
    assert len(sample) <= 200


def test_a_person_sees_the_samples(world: World) -> None:
    world.add_pull("flights", guards={"max_skipped": 5, "samples": 1})
    world.pigment.skip_next(CONFIGURATION, 1, column=HEADER[1])

    printed = run_deployed("pull", "flights").output

    assert ROWS[0][1] in printed
