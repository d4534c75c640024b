"""`bridge export`, and exports through `bridge serve`: the output, and where the object is stored."""

import json
from pathlib import Path

import pytest
import requests

from local.sandbox.wire import Response
from tests.support.command_line import run, run_process
from tests.support.served import served, write_files
from tests.support.world import EXPORT_KEY, EXPORTS, World

pytestmark = pytest.mark.long

REVENUE = b"Country;Revenue\nFR;150.00\nDE;50.00\n"


@pytest.fixture
def prepared(world: World) -> World:
    world.add_export("revenue", path="revenue/[eu] {date}.csv")
    world.answer_exports(REVENUE)
    write_files(world)
    return world


def published(world: World) -> list[Path]:
    return sorted(path for path in (world.folder / "home/bucket/exports").rglob("*") if path.is_file())


def test_the_receipt_names_the_object_and_its_file(prepared: World) -> None:
    result = run_process(prepared, "export", "revenue")

    assert (result.status, result.errors) == (0, "")
    (file,) = published(prepared)
    assert file.read_bytes() == REVENUE
    rows = [line.split(maxsplit=1) for line in result.output.splitlines() if len(line.split()) > 1]
    assert [value.strip() for name, value in rows if name in {"outcome", "object", "file"}] == [
        "published",
        f"gs://bucket/exports/revenue/{file.name}",
        f"home/bucket/exports/revenue/{file.name}",
    ]
    assert "Looker" not in result.output


def test_json_is_the_receipt(prepared: World) -> None:
    result = run(prepared, "export", "revenue", "--json")

    receipt = json.loads(result.output)
    assert (result.status, receipt["kind"], receipt["outcome"]) == (0, "export", "published")
    assert receipt["rows"]["read"] == 2
    assert receipt["object"] == f"gs://bucket/exports/revenue/{published(prepared)[0].name}"


def test_a_preview_shows_the_first_rows_and_publishes_nothing(prepared: World) -> None:
    result = run(prepared, "export", "revenue", "--preview")

    assert result.status == 0
    assert "previewed" in result.output
    assert "150.00" in result.output
    assert "First rows of the object" in result.output
    assert published(prepared) == []


def test_an_export_for_another_day_has_its_name(prepared: World) -> None:
    result = run(prepared, "export", "revenue", "--for", "2026-02-27")

    assert result.status == 0, result.errors
    assert [file.name for file in published(prepared)] == ["[eu] 2026-02-27.csv"]


def test_an_export_for_what_is_no_day_is_an_error(prepared: World) -> None:
    result = run(prepared, "export", "revenue", "--for", "yesterday")

    assert (result.status, result.output) == (1, "")
    code, cause, next_step = result.errors.splitlines()
    assert code == "error: malformed_request"
    assert "--for" in next_step
    assert cause
    assert published(prepared) == []


def test_a_failed_export_exits_with_1_and_names_the_next_step(prepared: World) -> None:
    prepared.pigment_server.heal()
    prepared.pigment_server.fault(EXPORTS, times=-1, refuse=Response(413))

    result = run(prepared, "export", "revenue")

    assert (result.status, result.errors) == (1, "")
    assert "view_too_big" in result.output
    assert "fallback" in result.output
    assert EXPORT_KEY not in result.output
    assert published(prepared) == []


def test_a_job_of_another_kind_is_an_error(prepared: World) -> None:
    result = run(prepared, "export", "flights")

    assert (result.status, result.output) == (1, "")
    code, cause, _ = result.errors.splitlines()
    assert code == "error: no_such_job"
    assert "flights" in cause
    assert "revenue" in cause


def test_runs_lists_exports_too(prepared: World) -> None:
    run_id = json.loads(run(prepared, "export", "revenue", "--json").output)["run"]

    header, line, *_ = run(prepared, "runs").output.splitlines()

    assert header.split() == ["job", "started", "outcome", "read", "landed", "skipped", "run", "why"]
    job, _, outcome, rows, run_shown, *_ = line.split()
    assert [job, outcome, rows, run_shown] == ["revenue", "published", "2", run_id]


def test_the_export_of_a_served_function_is_a_file_on_this_machine(prepared: World) -> None:
    with served(prepared) as served_bridge:
        answer = requests.post(served_bridge.addresses["export"], json={"job": "revenue"}, timeout=60)

        assert answer.json()["outcome"] == "published", answer.text
        (file,) = published(prepared)
        assert file.read_bytes() == REVENUE

        # A command beside `bridge serve` uses the same folder.
        result = run(prepared, "export", "revenue")

    assert result.status == 0
    assert f"home/bucket/exports/revenue/{file.name}" in result.output
