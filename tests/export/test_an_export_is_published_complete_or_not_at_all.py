"""An export through its entry point: only a complete file is published, and a failure keeps the previous object."""

import gzip
import hashlib
import io
import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest

from common.runs import cursors
from common.storage.bucket import Bucket
from local.sandbox.wire import Response
from tests.support.world import EXPORTS, VIEW, World

GUIDE = b"""Country;Month;Cost;Revenue;Margin
FR;Jan 21;50.00;150.00;100.00
FR;Feb 21;50.00;150.00;100.00
DE;Jan 21;16.66666666666667;50.00;33.33333333333333
DE;Feb 21;16.66666666666667;50.00;33.33333333333333
"""
MARK = b"\xef\xbb\xbf"


@pytest.fixture
def revenue(world: World) -> World:
    world.add_export("revenue")
    return world


def published(world: World, path: str = "exports/revenue.csv") -> bytes:
    return world.bucket.read(path)


def metadata(world: World, path: str = "exports/revenue.csv") -> dict[str, str]:
    there = world.bucket.find(path)
    assert there is not None
    return there.metadata


def expect_nothing_left(world: World) -> None:
    assert world.objects("tmp/") == world.objects("leases/") == []


def test_an_export_is_published_byte_for_byte(revenue: World) -> None:
    revenue.answer_exports([GUIDE[:40], GUIDE[40:]])

    answer = revenue.run_export("revenue")

    assert answer.status == 200, answer.body
    assert answer.receipt["outcome"] == "published"
    assert answer.receipt["object"] == "gs://bucket/exports/revenue.csv"
    assert answer.receipt["rows"]["read"] == 4
    assert published(revenue) == GUIDE
    assert answer.receipt["sha256"] == hashlib.sha256(GUIDE).hexdigest()
    assert answer.receipt["bytes"] == len(GUIDE)
    expect_nothing_left(revenue)


def test_the_object_has_its_metadata(revenue: World) -> None:
    revenue.answer_exports(GUIDE)
    answer = revenue.run_export("revenue")

    said = metadata(revenue)
    assert json.loads(said["header"]) == ["Country", "Month", "Cost", "Revenue", "Margin"]
    assert (said["rows"], said["sha256"]) == ("4", hashlib.sha256(GUIDE).hexdigest())
    assert (said["job"], said["run"], said["source"]) == ("revenue", answer.receipt["run"], f"view {VIEW}")
    assert said["exported-at"] == "2026-03-01T06:15:00.000Z"


def test_a_later_run_replaces_the_object_and_keeps_its_receipts(revenue: World) -> None:
    for content in (GUIDE, GUIDE + b"DE;Mar 21;20.00;60.00;40.00\n"):
        revenue.answer_exports(content)
        assert revenue.run_export("revenue").status == 200
        revenue.clock.advance(3600)

    assert published(revenue).endswith(b"40.00\n")
    assert [receipt["outcome"] for receipt in revenue.receipts("revenue")] == ["published", "published"]


def test_a_path_with_placeholders_names_each_run(world: World) -> None:
    world.add_export("revenue", path="revenue/dt={date}/{time}-{run}.csv", time_zone="Europe/Paris")
    world.answer_exports(GUIDE)

    run = world.run_export("revenue").receipt["run"]

    assert published(world, f"exports/revenue/dt=2026-03-01/071500-{run}.csv") == GUIDE


def test_an_export_can_use_another_bucket(world: World) -> None:
    world.storage.create_bucket("theirs")
    world.add_export("revenue", bucket="theirs", path="in/revenue.csv")
    world.answer_exports(GUIDE)

    answer = world.run_export("revenue")

    assert answer.receipt["object"] == "gs://theirs/in/revenue.csv"
    assert Bucket("theirs").read("in/revenue.csv") == GUIDE
    expect_nothing_left(world)


def test_gzip_is_published_with_its_content_type(world: World) -> None:
    world.add_export("revenue", compress="gzip", path="revenue.csv.gz")
    world.answer_exports(GUIDE)

    answer = world.run_export("revenue")

    content = published(world, "exports/revenue.csv.gz")
    assert gzip.decompress(content) == GUIDE
    assert answer.receipt["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_preview_shows_and_publishes_nothing(revenue: World) -> None:
    revenue.answer_exports(GUIDE)

    answer = revenue.run_export("revenue", preview=True)

    assert answer.receipt["outcome"] == "previewed"
    assert answer.receipt["preview"]["header"][0] == "Country"
    assert answer.receipt["preview"]["first_rows"][0][1] == "Jan 21"
    assert revenue.objects("exports/") == []
    expect_nothing_left(revenue)


@pytest.mark.parametrize("asked", [None, "Utf8WithBom", "Utf8WithoutBom"])
def test_a_requested_byte_order_mark_is_not_part_of_the_header(world: World, asked: str | None) -> None:
    source: dict[str, Any] = {"list": VIEW, "delimiter": ";", **({"encoding": asked} if asked else {})}
    world.add_export("revenue", source=source)
    world.answer_exports(MARK + GUIDE)

    assert world.run_export("revenue").status == 200

    assert published(world) == (MARK + GUIDE if asked == "Utf8WithBom" else GUIDE)
    assert json.loads(metadata(world)["header"])[0] == "Country"


def test_a_last_record_without_a_line_end_is_accepted_with_a_known_length(revenue: World) -> None:
    revenue.answer_exports(GUIDE.rstrip(b"\n"))

    assert revenue.run_export("revenue").status == 200
    assert published(revenue) == GUIDE


def test_a_last_record_without_a_line_end_is_refused_without_a_known_length(revenue: World) -> None:
    revenue.answer_exports([GUIDE.rstrip(b"\n")])

    assert revenue.run_export("revenue").code == "stream_cut"


def test_a_changed_header_is_a_warning(revenue: World) -> None:
    revenue.answer_exports(GUIDE)
    revenue.run_export("revenue")
    revenue.answer_exports(GUIDE.replace(b"Margin", b"Profit"))

    warnings = revenue.run_export("revenue").receipt["warnings"]

    assert any("Margin" in warning and "Profit" in warning for warning in warnings)


def test_the_options_of_a_block_are_sent_to_pigment(world: World) -> None:
    world.add_export(
        "revenue",
        source={
            "metric": VIEW,
            "scenarios": ["7d1e4b1a-2222-4a2b-8c3d-1a2b3c4d5e6f"],
            "friendly_headers": True,
            "delimiter": ";",
            "decimal_separator": "Comma",
        },
        date_format="Legacy",
    )
    world.answer_exports(GUIDE)
    world.run_export("revenue")

    (asked,) = [each for each in world.pigment_server.exchanges if "/export/" in each.path]
    assert (asked.method, asked.path) == ("POST", f"/api/v1/export/metric/{VIEW}")
    assert json.loads(asked.body) == {
        "scenarios": ["7d1e4b1a-2222-4a2b-8c3d-1a2b3c4d5e6f"],
        "friendlyHeaders": True,
        "fieldDelimiter": "Semicolon",
        "decimalSeparator": "Comma",
        "dateFormat": "Legacy",
    }


def test_a_view_that_is_too_big_is_replaced_by_its_fallback(world: World) -> None:
    world.add_export("revenue", fallback={"table": VIEW, "delimiter": ";"})
    world.answer_exports(GUIDE)
    world.pigment_server.heal()
    world.pigment_server.fault(r"GET /api/export/view/", refuse=Response(413, b"View is too big to be exported."))
    world.pigment_server.fault(
        r"POST /api/v1/export/table/", refuse=Response(200, [GUIDE], {"Content-Type": "text/csv"})
    )

    answer = world.run_export("revenue")

    assert answer.status == 200, answer.body
    assert any("too big" in warning for warning in answer.receipt["warnings"])
    assert published(world) == GUIDE
    assert metadata(world)["source"] == f"table {VIEW}"


REFUSALS = {
    "a wrong key": (Response(401, b""), 502, "pigment_key_refused"),
    "an unknown view": (Response(404, b"{}"), 502, "block_not_found"),
    "a view too big, without a fallback": (Response(413, b""), 502, "view_too_big"),
    "a view of something else": (Response(422, b""), 502, "view_not_supported"),
    "no": (Response(400, b'{"title": "Bad request"}'), 502, "pigment_refused"),
    "a web page": (Response(200, b"<html>Log in</html>", {"Content-Type": "text/html"}), 502, "answer_not_understood"),
    "a web page as CSV": (Response(200, b"<!doctype html>\n"), 502, "answer_not_understood"),
    "JSON": (Response(200, b'{"title": "Error"}\n'), 502, "answer_not_understood"),
    "a redirect": (Response(302, b"", {"Location": "https://example.com/login"}), 502, "answer_not_understood"),
    "a header alone": (Response(200, b"Country;Month\n"), 422, "too_few_rows"),
    "nothing": (Response(200, b""), 502, "stream_cut"),
    "a record of another width": (Response(200, GUIDE + b"DE;Mar 21\n"), 502, "rows_malformed"),
    "a quote that never closes": (Response(200, GUIDE + b'"DE;Mar 21;1;2;3\n'), 502, "stream_cut"),
    "bytes that are no text": (Response(200, GUIDE + b"\xff;Mar 21;1;2;3\n"), 502, "rows_malformed"),
    "too many requests": (Response(429, b"", {"Retry-After": "9999"}), 503, "pigment_busy"),
    "busy": (Response(503, b""), 503, "pigment_busy"),
}


@pytest.mark.parametrize(("response", "status", "code"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refused_export_keeps_the_previous_object(revenue: World, response: Response, status: int, code: str) -> None:
    revenue.answer_exports(GUIDE)
    assert revenue.run_export("revenue").status == 200
    before = revenue.bucket.find("exports/revenue.csv")
    revenue.pigment_server.heal()
    revenue.pigment_server.fault(EXPORTS, times=-1, refuse=response)

    answer = revenue.run_export("revenue")

    assert (answer.status, answer.code) == (status, code), answer.body
    assert answer.error["message"]
    assert answer.error["next_step"]
    assert revenue.bucket.find("exports/revenue.csv") == before
    expect_nothing_left(revenue)
    revenue.answer_exports(GUIDE)
    assert revenue.run_export("revenue").status == 200


def test_a_key_of_the_old_format_is_explained(revenue: World) -> None:
    revenue.secrets.put("pigment-export-key", "11111111-2222-4333-8444-555555555555")
    revenue.pigment_server.fault(EXPORTS, refuse=Response(401, b""))

    answer = revenue.run_export("revenue")

    assert answer.code == "pigment_key_refused"
    assert "old format" in answer.error["next_step"]


def test_max_shrink_refuses_an_export(world: World) -> None:
    world.add_export("revenue", guards={"max_shrink": "50%"})
    world.answer_exports(GUIDE)
    world.run_export("revenue")
    world.answer_exports(GUIDE[: GUIDE.index(b"FR;Feb")])

    assert world.run_export("revenue").code == "shrunk"
    assert published(world) == GUIDE


@pytest.mark.long
@pytest.mark.parametrize("is_chunked", [True, False], ids=["in chunks", "with a length"])
@pytest.mark.parametrize(
    "is_reset", [pytest.param(True, id="reset", marks=pytest.mark.slow), pytest.param(False, id="closed")]
)
def test_a_stream_cut_at_any_byte_publishes_nothing(revenue: World, is_chunked: bool, is_reset: bool) -> None:
    revenue.answer_exports(GUIDE)
    revenue.run_export("revenue")
    before = revenue.bucket.find("exports/revenue.csv")
    longer = GUIDE + b"DE;Mar 21;20.00;60.00;40.00\n"

    for cut_at in range(0, len(longer) - (not is_chunked), 13):
        how = {"reset_after_bytes" if is_reset else "cut_after_bytes": cut_at}
        revenue.answer_exports([longer] if is_chunked else longer, **how)
        answer = revenue.run_export("revenue")
        assert answer.code in ("stream_cut", "pigment_busy"), (cut_at, answer.body)
        assert revenue.bucket.find("exports/revenue.csv") == before
    expect_nothing_left(revenue)

    revenue.answer_exports(longer)
    assert revenue.run_export("revenue").status == 200
    assert published(revenue) == longer


@pytest.mark.parametrize("is_chunked", [True, False], ids=["in chunks", "with a length"])
def test_a_stream_cut_after_many_blocks_publishes_nothing(revenue: World, is_chunked: bool) -> None:
    """In a single column, a part of a record is also a valid record."""
    content = b"Id\n" + b"".join(b"%d\n" % number for number in range(300_000))
    revenue.answer_exports([content] if is_chunked else content, cut_after_bytes=len(content) - 1000)

    assert revenue.run_export("revenue").code == "stream_cut"
    assert revenue.objects("exports/") == revenue.objects("tmp/") == []


def test_a_running_export_refuses_a_second_run(revenue: World) -> None:
    inner = []
    revenue.answer_exports(GUIDE, act=lambda: inner.append(revenue.run_export("revenue")))

    assert revenue.run_export("revenue").status == 200
    assert [(answer.status, answer.code) for answer in inner] == [(409, "configuration_occupied")]


def test_another_writer_is_not_overwritten(revenue: World) -> None:
    def somebody_else_writes() -> None:
        revenue.bucket.write_json("exports/revenue.csv", {"theirs": 1}, over=0)

    revenue.answer_exports(GUIDE, then=somebody_else_writes)

    answer = revenue.run_export("revenue")

    assert (answer.status, answer.code) == (409, "configuration_occupied")
    assert b"theirs" in published(revenue)
    expect_nothing_left(revenue)


def test_files_of_killed_runs_are_deleted_after_a_day(revenue: World) -> None:
    left = "tmp/20260227T061500-00000000"
    revenue.bucket.create(left, b"half", {}, content_type="text/csv")
    revenue.answer_exports(GUIDE)
    revenue.run_export("revenue")
    assert revenue.objects("tmp/") == [left]

    created = next(revenue.bucket.entries("tmp/")).created_at
    revenue.clock.advance((created + timedelta(days=1, seconds=1) - revenue.clock.now()).total_seconds())
    revenue.run_export("revenue")
    assert revenue.objects("tmp/") == []


def test_an_unknown_job_or_a_job_of_another_kind_is_refused(revenue: World) -> None:
    for job in ("nothing", "flights"):
        answer = revenue.run_export(job)
        assert (answer.status, answer.code) == (404, "no_such_job")
        assert "revenue" in answer.error["message"]


def test_parquet_has_typed_columns(world: World) -> None:
    world.add_export("revenue", format="parquet", path="revenue.parquet")
    world.answer_exports(
        b"Country;Day;Cost;Units;Open;Mixed\nFR;2024-11-21;50.00;3;TRUE;1\nDE;2024-11-22;;4;FALSE;n/a\n"
    )

    answer = world.run_export("revenue")

    assert answer.status == 200, answer.body
    content = published(world, "exports/revenue.parquet")
    assert answer.receipt["sha256"] == hashlib.sha256(content).hexdigest()
    table = pq.read_table(io.BytesIO(content))
    assert [str(field.type) for field in table.schema] == [
        "string",
        "date32[day]",
        "double",
        "double",
        "bool",
        "string",
    ]
    assert table.to_pylist()[1] == {
        "Country": "DE",
        "Day": date(2024, 11, 22),
        "Cost": None,
        "Units": 4,
        "Open": False,
        "Mixed": "n/a",
    }
    expect_nothing_left(world)


def test_parquet_keeps_the_types_of_the_last_published_run(world: World) -> None:
    world.add_export("revenue", format="parquet", path="revenue.parquet")
    types = []
    for cells in (b"1;x", b"2.5;7", b"n/a;8", b"3;9"):
        world.answer_exports(b"Cost;Code\n" + cells + b"\n")
        answer = world.run_export("revenue")
        assert answer.status == 200, answer.body
        schema = pq.read_schema(io.BytesIO(published(world, "exports/revenue.parquet")))
        warnings = [each for each in answer.receipt["warnings"] if each.startswith("Column")]
        types.append(([str(field.type) for field in schema], warnings))
        world.clock.advance(3600)

    because = "Column Cost is not a number but text: row 1 has a text of 3 characters."
    number, text = ["double", "string"], ["string", "string"]
    assert types == [(number, []), (number, []), (text, [because]), (text, [])]


def test_a_rotated_key_is_read_again(revenue: World) -> None:
    revenue.answer_exports(GUIDE)
    revenue.run_export("revenue")
    revenue.pigment_server.heal()
    revenue.secrets.put("pigment-export-key", "the-next-export-key")
    revenue.pigment_server.fault(EXPORTS, refuse=Response(401, b""))
    revenue.pigment_server.fault(EXPORTS, refuse=Response(200, GUIDE, {"Content-Type": "text/csv"}))

    assert revenue.run_export("revenue").status == 200
    used = [each.headers["Authorization"] for each in revenue.pigment_server.exchanges if "/export/" in each.path]
    assert used[-1] == "Bearer the-next-export-key"


def test_an_export_longer_than_the_budget_publishes_nothing(revenue: World) -> None:
    def slowly() -> Iterator[bytes]:
        yield GUIDE
        revenue.clock.advance(3600)
        yield b"DE;Mar 21;20.00;60.00;40.00\n"

    revenue.answer_exports(slowly())

    answer = revenue.run_export("revenue")

    assert (answer.status, answer.code) == (503, "out_of_time")
    assert revenue.objects("exports/") == []
    expect_nothing_left(revenue)


def test_a_published_export_is_the_last_one_even_if_its_temporary_file_stays(revenue: World) -> None:
    revenue.answer_exports(GUIDE)
    revenue.storage_server.fault(r"DELETE /storage/v1/b/bucket/o/tmp", times=-1, refuse=Response(403, b"{}"))

    answer = revenue.run_export("revenue")

    assert answer.body["outcome"] == "published"
    last = cursors.read(revenue.bucket, "revenue")
    assert last is not None
    assert last.run == answer.body["run"]


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_a_corrupted_temporary_object_is_not_published(world: World, file_format: str) -> None:
    world.add_export("revenue", format=file_format)
    world.answer_exports(GUIDE)
    other = {"name": "tmp/x", "generation": "1", "size": str(len(GUIDE)), "crc32c": "AAAAAA=="}
    world.storage_server.fault(r"PUT /upload/storage/v1/b/bucket/o", answer_instead=Response.of_json(other))

    answer = world.run_export("revenue")

    assert (answer.status, answer.code) == (503, "storage_busy")
    assert "checksum" in answer.error["message"]
    assert world.objects("exports/") == []
    assert world.run_export("revenue").status == 200


def test_a_corrupted_published_object_is_reported(revenue: World) -> None:
    revenue.answer_exports(GUIDE)
    other = {"name": "exports/revenue.csv", "generation": "1", "size": str(len(GUIDE)), "crc32c": "AAAAAA=="}
    revenue.storage_server.fault(
        r"POST /storage/v1/b/bucket/o/tmp.*rewriteTo",
        answer_instead=Response.of_json(
            {"done": True, "totalBytesRewritten": "1", "objectSize": "1", "resource": other}
        ),
    )

    answer = revenue.run_export("revenue")

    assert answer.code == "storage_refused"
    assert "Do not use the object" in answer.error["next_step"]
    assert answer.receipt["outcome"] == "failed"
