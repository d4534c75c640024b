"""An export changes nothing in Pigment: while nothing is published, it is asked for again within the time budget."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.platform.retry import ATTEMPTS
from local.sandbox.wire import Response, Server
from tests.support.certificates import trusted_http2_server
from tests.support.world import EXPORTS, VIEW, World

ROWS = b"Id;Amount\n" + b"".join(b"%d;%d\n" % (number, number) for number in range(40))
CSV = Response(200, ROWS, {"Content-Type": "text/csv"})
PAGE = Response(502, b"<html><h1>Bad Gateway</h1></html>", {"Content-Type": "text/html"})

STATUSES = (408, 425, 429, 500, 501, 502, 503, 504, 507, 520, 599)
BROKEN = {
    "a reset connection": {"reset_before": True},
    "a server that stops before it answers": {"go_away": True},
    "an answer without a status line or a frame": {"refuse": CSV, "garble_after_bytes": 0},
    "rows that are cut": {"refuse": CSV, "cut_after_bytes": 100},
    "rows that are reset": {"refuse": CSV, "reset_after_bytes": 100},
    "a server that stops in the middle": {"refuse": CSV, "go_away_after_bytes": 64, "block_bytes": 32},
    "bytes that are not of the protocol": {"refuse": CSV, "garble_after_bytes": 100},
}


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
def server(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Server]:
    world.add_export("revenue")
    if request.param == "HTTP/1.1":
        yield world.pigment_server
        return
    with trusted_http2_server(world.pigment, tmp_path, monkeypatch) as http2:
        world.raw["pigment"]["url"] = http2.url
        world.save_jobs()
        yield http2


def expect_published(world: World) -> None:
    answer = world.run_export("revenue")
    assert answer.status == 200, answer.body
    assert world.bucket.read("exports/revenue.csv") == ROWS
    assert world.objects("tmp/") == world.objects("leases/") == []


@pytest.mark.parametrize("how", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_answer_is_followed_by_a_whole_one(world: World, server: Server, how: dict[str, object]) -> None:
    server.fault(EXPORTS, times=2, **how)
    server.fault(EXPORTS, times=-1, refuse=CSV)

    expect_published(world)


@pytest.mark.parametrize("how", BROKEN.values(), ids=BROKEN.keys())
def test_an_answer_that_always_breaks_publishes_nothing(world: World, server: Server, how: dict[str, object]) -> None:
    fault = server.fault(EXPORTS, times=-1, **how)

    answer = world.run_export("revenue")

    if "go_away_after_bytes" in how:
        # A server that stops ends the answers that it has begun (RFC 9113, 6.8).
        assert world.bucket.read("exports/revenue.csv") == ROWS
    else:
        assert answer.code in ("stream_cut", "pigment_busy"), answer.body
        assert fault.hits == ATTEMPTS
        assert world.objects("exports/") == []
    assert world.objects("tmp/") == world.objects("leases/") == []


@pytest.mark.parametrize("source", [{"view": VIEW}, {"table": VIEW}], ids=["a view", "a block"])
def test_every_temporary_status_is_followed_by_another_attempt(world: World, source: dict[str, str]) -> None:
    world.add_export("revenue", source={**source, "delimiter": ";"})
    for status in STATUSES:
        world.pigment_server.heal()
        world.pigment_server.fault(EXPORTS, times=2, refuse=Response(status, PAGE.body, PAGE.headers))
        world.pigment_server.fault(EXPORTS, times=-1, refuse=CSV)
        expect_published(world)


def test_rows_are_not_asked_for_again_after_the_time_budget(world: World) -> None:
    world.add_export("revenue")
    late = {"act": lambda: world.clock.advance(100_000), "refuse": CSV, "cut_after_bytes": 100}
    fault = world.pigment_server.fault(EXPORTS, times=-1, **late)

    assert world.run_export("revenue").code in ("stream_cut", "out_of_time")
    assert fault.hits == 1
