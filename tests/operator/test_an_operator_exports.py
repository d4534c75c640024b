"""`bridge export`, and exports through `bridge serve`: what is shown, and where the object lies."""

import json
import subprocess
from pathlib import Path

import pytest
import requests

from local.sandbox.wire import Response
from tests.support.served import run, served, write_files
from tests.support.world import EXPORT_KEY, EXPORTS, World

REVENUE = b"Country;Revenue\nFR;150.00\nDE;50.00\n"


@pytest.fixture
def prepared(world: World) -> World:
    world.export("revenue", path="revenue/[eu] {date}.csv")
    world.pigment_gives(REVENUE)
    write_files(world)
    return world


def bridge(world: World, *arguments: str) -> tuple[int, str, str]:
    process: subprocess.Popen[str] = run(world, *arguments, "--state", "home")
    output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


def kept(world: World) -> list[Path]:
    return sorted(path for path in (world.folder / "home/bucket/exports").rglob("*") if path.is_file())


def test_a_person_reads_where_the_object_lies(prepared: World) -> None:
    status, output, errors = bridge(prepared, "export", "revenue")

    assert (status, errors) == (0, "")
    (file,) = kept(prepared)
    assert file.read_bytes() == REVENUE
    assert f"gs://bucket/exports/revenue/{file.name}" in output
    assert f"home/bucket/exports/revenue/{file.name}" in output.replace(f"gs://bucket/exports/revenue/{file.name}", "")
    assert "published" in output
    assert "Looker" not in output


def test_a_program_reads_the_receipt(prepared: World) -> None:
    status, output, _ = bridge(prepared, "export", "revenue", "--json")

    receipt = json.loads(output)
    assert (status, receipt["kind"], receipt["outcome"], receipt["rows"]["read"]) == (0, "export", "published", 2)
    assert receipt["object"] == f"gs://bucket/exports/revenue/{kept(prepared)[0].name}"


def test_a_preview_shows_the_first_rows_and_publishes_nothing(prepared: World) -> None:
    status, output, _ = bridge(prepared, "export", "revenue", "--preview")

    assert status == 0
    assert "previewed" in output
    assert "150.00" in output
    assert "The first rows, as a reader would get them" in output
    assert kept(prepared) == []


def test_an_export_that_fails_exits_1_and_says_what_to_do(prepared: World) -> None:
    prepared.pigment_server.heal()
    prepared.pigment_server.fault(EXPORTS, times=-1, refuse=Response(413))

    status, output, errors = bridge(prepared, "export", "revenue")

    assert (status, errors) == (1, "")
    assert "view_too_big" in output
    assert "fallback" in output
    assert EXPORT_KEY not in output
    assert kept(prepared) == []


def test_a_name_that_is_no_export_is_told_with_those_there_are(prepared: World) -> None:
    status, output, errors = bridge(prepared, "export", "flights")

    assert (status, output) == (1, "")
    assert errors.startswith("error: no_such_job\nThe job flights is of kind pull, not export. Exports: revenue.\n")


def test_its_runs_are_listed_with_the_others(prepared: World) -> None:
    bridge(prepared, "export", "revenue")

    _, output, _ = bridge(prepared, "runs")

    assert "revenue" in output
    assert "published" in output


def test_serve_takes_the_call_of_cloud_scheduler_and_the_file_is_there_to_look_at(prepared: World) -> None:
    with served(prepared) as served_bridge:
        answer = requests.post(served_bridge.addresses["export"], json={"job": "revenue"}, timeout=60)

        assert answer.json()["outcome"] == "published", answer.text
        (file,) = kept(prepared)
        assert file.read_bytes() == REVENUE


def test_beside_serve_the_command_line_shows_the_same_file(prepared: World) -> None:
    with served(prepared):
        status, output, _ = bridge(prepared, "export", "revenue")

    assert status == 0
    assert f"home/bucket/exports/revenue/{kept(prepared)[0].name}" in output
