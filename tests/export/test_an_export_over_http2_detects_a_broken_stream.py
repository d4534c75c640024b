"""Pigment over TLS and HTTP/2, as deployed: a broken stream is detected wherever it breaks."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.sandbox.http2 import Http2Server
from local.sandbox.wire import Response
from tests.support.certificates import trusted_http2_server
from tests.support.world import EXPORT_KEY, EXPORTS, World

ROWS = b"Id;Amount\n" + b"".join(b"%d;%d\n" % (number, number) for number in range(40))


@pytest.fixture
def http2(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Http2Server]:
    with trusted_http2_server(world.pigment, tmp_path, monkeypatch) as server:
        world.raw["pigment"]["url"] = server.url
        world.add_export("revenue")
        yield server


def give(server: Http2Server, content: bytes, **how: int) -> None:
    server.heal()
    server.fault(EXPORTS, times=-1, refuse=Response(200, [content], {"Content-Type": "text/csv"}), **how)


def test_an_export_uses_http2(world: World, http2: Http2Server) -> None:
    give(http2, ROWS)

    answer = world.run_export("revenue")

    assert answer.status == 200, answer.body
    assert answer.receipt["warnings"] == []
    assert world.bucket.read("exports/revenue.csv") == ROWS


def test_a_last_record_without_a_line_end_is_accepted_after_a_complete_stream(world: World, http2: Http2Server) -> None:
    give(http2, ROWS.rstrip(b"\n"))

    assert world.run_export("revenue").status == 200
    assert world.bucket.read("exports/revenue.csv") == ROWS


@pytest.mark.long
@pytest.mark.parametrize("how", ["reset_after_bytes", "cut_after_bytes"])
def test_a_stream_cut_at_any_byte_publishes_nothing(world: World, http2: Http2Server, how: str) -> None:
    give(http2, ROWS)
    assert world.run_export("revenue").status == 200
    before = world.bucket.find("exports/revenue.csv")

    for cut_at in range(0, len(ROWS) + 1, 17):
        give(http2, ROWS, **{how: cut_at})
        answer = world.run_export("revenue")
        assert answer.code in ("stream_cut", "pigment_busy"), (cut_at, answer.body)
        assert world.bucket.find("exports/revenue.csv") == before
    assert world.objects("tmp/") == world.objects("leases/") == []

    give(http2, ROWS)
    assert world.run_export("revenue").status == 200


@pytest.mark.parametrize("how", ["reset_after_bytes", "cut_after_bytes"])
def test_a_stream_cut_after_many_blocks_publishes_nothing(world: World, http2: Http2Server, how: str) -> None:
    """In a single column, a part of a record is also a valid record."""
    content = b"Id\n" + b"".join(b"%d\n" % number for number in range(300_000))
    give(http2, content, **{how: len(content) - 1000})

    assert world.run_export("revenue").code == "stream_cut"
    assert world.objects("exports/") == world.objects("tmp/") == []


def test_the_key_is_in_no_log_line_whatever_the_level(
    world: World, http2: Http2Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Some packages of HTTP/2 log every header at DEBUG."""
    caplog.set_level(logging.DEBUG)
    give(http2, ROWS)

    assert world.run_export("revenue").status == 200
    assert EXPORT_KEY not in caplog.text
    assert "run ended" in caplog.text
