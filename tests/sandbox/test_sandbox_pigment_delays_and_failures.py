"""Delayed imports and reports, and failures and skips on demand."""

from collections.abc import Iterator

import pytest

from tests.support.pigment_caller import Caller, called

FLIGHTS = "Id,Origin\n1,JFK\n2,LGA\n3,EWR\n4,ORY\n"


@pytest.fixture
def caller() -> Iterator[Caller]:
    with called() as caller:
        yield caller


def statuses(caller: Caller, import_id: str, calls: int) -> list[object]:
    answers = [caller.status(import_id) for _ in range(calls)]
    return [one.json().get("importStatus") if one.ok else one.status_code for one in answers]


def test_reports_are_delayed_as_configured(caller: Caller) -> None:
    patient, prompt = caller.flights(), caller.flights()
    caller.pigment.delay_reports(late_polls=1)
    caller.pigment.delay_reports(patient, late_polls=1, in_progress_polls=2)
    assert statuses(caller, caller.imported(prompt, FLIGHTS).id, 2) == [404, "Completed"]
    assert statuses(caller, caller.imported(patient, FLIGHTS).id, 4) == [404, "InProgress", "InProgress", "Completed"]


def test_details_are_reported_only_on_request_and_only_by_v1(caller: Caller) -> None:
    pushed = caller.imported(caller.flights(), FLIGHTS)
    plain = caller.status(pushed.id, detailed=False).json()
    legacy = caller.call("GET", f"/import/{pushed.id}/status", params={"includedDetailedReport": "true"}).json()
    assert "detailedReport" not in plain
    assert legacy == plain
    assert caller.status(pushed.id).json()["detailedReport"]["summary"]["insertedCount"] == 4


@pytest.mark.parametrize("everywhere", [True, False])
def test_a_held_import_stays_in_progress_until_it_is_released(caller: Caller, *, everywhere: bool) -> None:
    held = caller.flights()
    caller.pigment.hold(None if everywhere else held)
    import_id = caller.push(held, FLIGHTS).json()["importId"]
    with pytest.raises(TimeoutError):
        caller.pigment.finished(import_id, timeout_s=0.01)
    assert statuses(caller, import_id, 1) == ["InProgress"]
    caller.pigment.release(None if everywhere else held)
    assert caller.pigment.finished(import_id).status == "Completed"


def test_imports_of_one_configuration_run_in_order(caller: Caller) -> None:
    configuration = caller.flights(clear="all")
    caller.pigment.hold()
    pushed = [caller.push(configuration, f"Id,Origin\n{n},JFK\n").json()["importId"] for n in range(5)]
    caller.pigment.release()
    ended = [caller.pigment.finished(each).ended_s or 0 for each in pushed]
    assert ended == sorted(ended)
    assert [row["Id"] for row in caller.pigment.rows(configuration)] == ["4"]


def test_a_requested_failure_changes_nothing(caller: Caller) -> None:
    configuration = caller.flights(clear="all")
    caller.imported(configuration, FLIGHTS)
    caller.pigment.fail_next(configuration, "ImportTimeout", "It took too long.")
    failed = caller.status(caller.imported(configuration, "Id,Origin\n").id).json()
    assert failed["importStatus"] == "Failed"
    assert failed["errorsDetails"] == [{"name": "ImportTimeout", "description": "It took too long."}]
    assert caller.pigment.count(configuration) == 4
    assert caller.imported(configuration, "Id,Origin\n").status == "Completed"


def test_a_requested_skip_skips_that_many_rows(caller: Caller) -> None:
    configuration = caller.flights()
    caller.pigment.skip_next(configuration, 3, "MissingWriteAccessRights", "Origin")
    report = caller.status(caller.imported(configuration, FLIGHTS).id).json()
    (block,) = report["detailedReport"]["impactedBlocks"]
    assert report["importStatus"] == "Completed"
    assert block["skippedData"] == [
        {
            "count": 3,
            "reason": "MissingWriteAccessRights",
            "sourceColumnName": "Origin",
            "samples": ["JFK", "LGA", "EWR"],
        }
    ]
    assert caller.pigment.rows(configuration) == [{"Id": "4", "Origin": "ORY"}]
