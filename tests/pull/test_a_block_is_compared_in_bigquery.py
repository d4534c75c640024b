"""With `engine: bigquery`, BigQuery compares a block with what was sent, with the same verdicts as the function."""

import json
from typing import Any
from urllib.parse import unquote

import pytest

from common.tables.bigquery import comparing
from local.sandbox.pigment import RowEdit
from local.sandbox.wire import Response
from tests.support.read_back import AA, KEY, UNTOLD_EDITS, fill_list, read_back
from tests.support.world import CONFIGURATION, HEADER, ROWS, World

INSERT = r"POST /bigquery/v2/projects/test/jobs"
RESULT = r"GET /bigquery/v2/projects/test/queries/"
MIB = 1024**2


@pytest.fixture
def block(world: World) -> str:
    """The list of flights, in which a row is identified by `KEY`; the pull `flights` compares it in BigQuery."""
    block = fill_list(world)
    compare_in_bigquery(world, block)
    return block


def compare_in_bigquery(world: World, block: str, verify: dict[str, Any] | None = None, **job: Any) -> None:
    read_back(world, block, {"engine": "bigquery", **(verify or {})}, **job)


@pytest.mark.usefixtures("block")
def test_the_receipt_has_the_verdict_and_what_the_query_is_billed(world: World) -> None:
    answer = world.run_pull("flights")

    assert (answer.status, answer.receipt["outcome"], answer.receipt["verified"]) == (200, "landed", "equal")
    assert answer.receipt["verification"] == {"sent": 5, "block": 5}
    # The least for two tables.
    assert world.receipts()[-1]["bytes_billed"] == 20 * MIB
    assert world.objects("tmp/") == world.objects("leases/") == []


@pytest.mark.usefixtures("block")
def test_the_function_reads_only_the_header_of_what_was_sent(world: World) -> None:
    world.storage_server.keep_bytes = 1

    assert world.run_pull("flights").receipt["verified"] == "equal"

    reads = [unquote(each.path) for each in world.storage_server.exchanges if each.method == "GET"]
    assert len([path for path in reads if path.startswith("/download/") and "/o/staged/" in path]) == 1


@UNTOLD_EDITS
@pytest.mark.usefixtures("block")
def test_a_row_that_no_report_tells_of_fails_the_run(
    world: World, edit: RowEdit, words: str, row: dict[str, Any]
) -> None:
    world.pigment.edit_after_next(CONFIGURATION, edit)

    answer = world.run_pull("flights")

    assert (answer.status, answer.code) == (422, "not_equal")
    assert answer.error["message"] == f"5 rows were sent, {words}"
    assert answer.receipt["verification"]["rows"] == [{**row, "key": ["2013-01-02", "AA", "LGA"]}]


def test_values_are_shown_only_if_the_job_asks_for_them(world: World, block: str) -> None:
    compare_in_bigquery(world, block, {"show": True})
    world.pigment.edit_after_next(CONFIGURATION, RowEdit({"Flights Carrier": "DL"}, {"Flights Delay": "70"}))

    (row,) = world.run_pull("flights").receipt["verification"]["rows"]

    assert row["cells"] == [{"column": "Flights Delay", "sent": "7", "pigment": "70"}]


@pytest.mark.usefixtures("block")
def test_the_job_is_limited_and_labelled_and_tells_no_column(world: World) -> None:
    run = world.run_pull("flights").receipt["run"]

    (job,) = (job.body for job in world.bigquery.jobs.values())
    query = job.configuration.query
    assert job.job_reference.job_id.startswith(f"bridge-{run}-")
    assert job.job_reference.location == "EU", "the location of the bucket"
    assert job.configuration.labels == {"bridge_job": "flights", "bridge_run": run.lower()}
    size_bytes = len(world.bucket.read(f"staged/flights/{run}.csv"))
    assert 20 * MIB + 4 * size_bytes < int(query.maximum_bytes_billed or 0) < 21 * MIB
    assert [table.source_uris for table in query.table_definitions.values()] == [
        [f"gs://bucket/staged/flights/{run}.csv"],
        [f"gs://bucket/tmp/{run}"],
    ]
    assert not [name for name in HEADER if name in query.query]


@pytest.mark.usefixtures("block")
def test_a_lost_answer_starts_no_second_job(world: World) -> None:
    world.bigquery_server.fault(INSERT, reset_after=True)

    receipt = world.run_pull("flights").receipt

    assert (receipt["verified"], len(world.bigquery.jobs)) == ("equal", 1)


@pytest.mark.usefixtures("block")
def test_a_result_is_waited_for(world: World) -> None:
    world.bigquery.unfinished_answers = 3
    world.bigquery_server.fault(RESULT, times=2, refuse=Response(503))

    assert world.run_pull("flights").receipt["verified"] == "equal"


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (403, "accessDenied", "Set bigquery_engine = true for Terraform"),
        (403, "accessNotConfigured", "Set bigquery_engine = true for Terraform"),
        (403, "quotaExceeded", "quota of BigQuery is used up"),
        (500, "bytesBilledLimitExceeded", "Read BigQuery's explanation."),
        (400, "invalidQuery", "Read BigQuery's explanation."),
        (400, "resourcesExceeded", "Compare fewer columns"),
    ],
)
@pytest.mark.usefixtures("block")
def test_a_refusal_is_a_warning_with_the_next_step(world: World, status: int, reason: str, words: str) -> None:
    world.bigquery.refuse(status, reason, "This is why.")

    receipt = world.run_pull("flights").receipt

    assert (receipt["outcome"], receipt["verified"], receipt["bytes_billed"]) == ("landed", "impossible", None)
    (warning,) = [each for each in receipt["warnings"] if "BigQuery" in each]
    assert f"BigQuery refused the comparison: This is why. ({reason})." in warning
    assert words in warning


@pytest.mark.parametrize(
    "fault",
    [
        {"refuse": Response(503)},
        {"refuse": Response(429)},
        {"reset_before": True},
        {"refuse": Response.of_json({"error": {"errors": [{"reason": "rateLimitExceeded"}], "message": "slow"}}, 403)},
    ],
    ids=["503", "429", "reset", "rate"],
)
@pytest.mark.usefixtures("block")
def test_a_busy_bigquery_is_asked_again_by_the_sweep(world: World, fault: dict[str, Any]) -> None:
    world.bigquery_server.fault(INSERT, times=-1, **fault)
    receipt = world.run_pull("flights").receipt
    assert (receipt["outcome"], receipt["verified"]) == ("landed", "not_yet")
    world.bigquery_server.heal()

    assert world.run_deliver().status == 200

    stored = world.receipts()[-1]
    assert (stored["run"], stored["verified"], stored["bytes_billed"]) == (receipt["run"], "equal", 20 * MIB)


@pytest.mark.usefixtures("block")
def test_a_query_over_its_limit_is_not_billed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.platform.bigquery._LEAST_BILLED_BYTES", MIB)

    receipt = world.run_pull("flights").receipt

    assert (receipt["verified"], receipt["bytes_billed"]) == ("impossible", None)
    assert any("bytesBilledLimitExceeded" in warning for warning in receipt["warnings"])


@pytest.mark.usefixtures("block")
def test_rows_that_bigquery_does_not_find_prove_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rows_of = comparing._changes
    monkeypatch.setattr(comparing, "_changes", lambda rows: rows_of([{**row, "block": 4} for row in rows]))

    receipt = world.run_pull("flights").receipt

    assert (receipt["verified"], receipt["bytes_billed"]) == ("impossible", 20 * MIB)
    assert any("BigQuery found 4 rows in the block's file, which has 5." in each for each in receipt["warnings"])


def test_a_key_that_does_not_identify_rows_is_a_warning_unless_the_rows_are_the_same(world: World, block: str) -> None:
    compare_in_bigquery(world, block, {"key": ["Flights Day"]})
    receipt = world.run_pull("flights").receipt
    assert (receipt["verified"], receipt["bytes_billed"]) == ("equal", 40 * MIB)

    world.pigment.edit_after_next(CONFIGURATION, RowEdit(AA, {"Flights Delay": "1"}))
    receipt = world.run_pull("flights").receipt

    assert receipt["verified"] == "impossible"
    assert "verify.key does not identify rows: 2 of its keys were sent more than once." in receipt["warnings"][-1]


def test_a_changes_load_is_compared_with_all_its_rows(world: World, block: str) -> None:
    compare_in_bigquery(world, block, {"key": KEY}, load={"changes": {"key": KEY}})
    world.run_pull("flights")
    world.put_flights([[*ROWS[0][:3], "99"], *ROWS[1:]])

    receipt = world.run_pull("flights").receipt

    assert (receipt["rows"]["sent"], receipt["verified"], receipt["verification"]["sent"]) == (1, "equal", 5)


@pytest.mark.usefixtures("block")
def test_an_answer_that_is_no_json_of_bigquery_is_said(world: World) -> None:
    world.bigquery_server.fault(RESULT, times=-1, refuse=Response(200, json.dumps({"jobComplete": True}).encode()))

    receipt = world.run_pull("flights").receipt

    assert receipt["verified"] == "impossible"
    assert any("BigQuery's answer does not match its API description" in each for each in receipt["warnings"])
