"""Callers that send slowly, behind the server that Cloud Run starts: gunicorn with eight threads."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

import webhook_receive
from common.platform.body import _DISCARD_S
from tests.bench import served
from tests.support import slow_callers
from tests.support.world import WEBHOOK_TOKEN, Servers, World, delivery, open_world

pytestmark = pytest.mark.long

THREADS = 8
ACKNOWLEDGED_WITHIN_S = 2.0
TOKEN = f"X-Looker-Webhook-Token: {WEBHOOK_TOKEN}"
WRONG = "X-Looker-Webhook-Token: wrong"
LENGTH = "Content-Length: 1000000"
CHUNKED = "Transfer-Encoding: chunked"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, servers: Servers, addresses: dict[str, str]) -> Iterator[World]:
    """One world for all tests of this file, so that they can share the process that serves it."""
    with (
        pytest.MonkeyPatch.context() as environment,
        open_world(tmp_path_factory.mktemp("world"), servers, addresses, environment) as world,
    ):
        world.add_relay("sales")
        world.add_relay("ready", start="flights")
        yield world


@contextlib.contextmanager
def serving(world: World) -> Iterator[served.ServedFunction]:
    """`webhook_receive` behind functions-framework, in a process of its own, with the token in memory."""
    with served.process_of(Path(webhook_receive.__file__), world.environment()) as receive:
        assert post(receive.port, "1").status_code == 200
        yield receive


@pytest.fixture(scope="module")
def port(shared: World) -> Iterator[int]:
    with serving(shared) as receive:
        yield receive.port


@pytest.fixture
def fresh(shared: World) -> Iterator[served.ServedFunction]:
    """A process whose peak of memory no other test has raised."""
    with serving(shared) as receive:
        yield receive


def post(port: int, amount: str) -> requests.Response:
    headers = {"X-Looker-Webhook-Token": WEBHOOK_TOKEN}
    return requests.post(f"http://127.0.0.1:{port}/sales", delivery(("1", amount)), headers=headers, timeout=20)


def head(*lines: str, method: str = "POST", relay: str = "sales") -> str:
    return "\n".join([f"{method} /{relay} HTTP/1.1", "Host: x", *lines])


def assert_acknowledged_at_once(port: int) -> None:
    began_s = time.monotonic()
    assert post(port, "2").status_code == 200
    assert time.monotonic() - began_s < ACKNOWLEDGED_WITHIN_S


@pytest.mark.parametrize(
    ("token", "path"),
    [
        ("X-Looker-Webhook-Token: wrong", "sales"),
        (TOKEN, "sales"),
        pytest.param(TOKEN, "robots.txt", marks=pytest.mark.slow),
    ],
    ids=["strangers", "with the token", "at a path that functions-framework answers"],
)
def test_a_delivery_is_acknowledged_beside_eight_slow_bodies(port: int, token: str, path: str) -> None:
    for framing, first in ((LENGTH, b"{"), (CHUNKED, b"f4240\r\n{")):
        request_head = head(token, framing, relay=path)
        callers = [slow_callers.begin(port, request_head, first) for _ in range(THREADS)]
        with slow_callers.dripping(callers):
            assert_acknowledged_at_once(port)


def test_a_stranger_is_refused_before_his_body_arrives(port: int) -> None:
    caller = slow_callers.begin(port, head("X-Looker-Webhook-Token: wrong", LENGTH), b"{")
    with slow_callers.dripping([caller]):
        answer = slow_callers.answer_of(caller)

    assert slow_callers.status_of(answer) == 401
    assert b"Connection: close" in answer


def test_a_refused_caller_can_send_all_before_it_reads_the_answer(port: int) -> None:
    """Most clients send the whole body first, and report a reset instead of the answer."""
    body = bytes(10_000_000)
    with slow_callers.begin(port, head(WRONG, f"Content-Length: {len(body)}"), body) as caller:
        answer = slow_callers.whole_answer_of(caller)

    assert_whole(answer, 401)


def test_a_refused_caller_does_not_wait_until_the_rest_is_discarded(port: int) -> None:
    assert min(seconds_to_the_end_of_a_refusal(port) for _ in range(5)) < _DISCARD_S * 0.8


def seconds_to_the_end_of_a_refusal(port: int) -> float:
    with slow_callers.begin(port, head(WRONG, LENGTH), b"{") as caller:
        began_s = time.monotonic()
        assert_whole(slow_callers.whole_answer_of(caller), 401)
        return time.monotonic() - began_s


def assert_whole(answer: bytes, status: int) -> None:
    lines, _, body = answer.partition(b"\r\n\r\n")
    assert slow_callers.status_of(answer) == status
    assert f"Content-Length: {len(body)}".encode() in lines


def test_a_slow_body_is_refused_while_too_many_are_slow(port: int) -> None:
    callers = [slow_callers.begin(port, head(TOKEN, LENGTH), b"{") for _ in range(THREADS)]
    with slow_callers.dripping(callers):
        refused = slow_callers.first_answer(callers)

    assert slow_callers.status_of(refused) == 408
    assert b"body_too_slow" in refused
    assert b"Connection: close" in refused


def test_300_megabytes_without_a_token_need_no_memory(fresh: served.ServedFunction) -> None:
    before = fresh.peak_bytes()

    answer = slow_callers.flood(fresh.port, head("X-Looker-Webhook-Token: wrong", CHUNKED), 300_000_000)

    assert slow_callers.status_of(answer) == 401
    assert fresh.peak_bytes() - before < 8_000_000
    assert_acknowledged_at_once(fresh.port)


def test_the_rest_of_a_delivery_that_is_too_long_needs_no_memory(fresh: served.ServedFunction) -> None:
    before = fresh.peak_bytes()

    answer = slow_callers.flood(fresh.port, head(TOKEN, CHUNKED), 300_000_000)

    assert slow_callers.status_of(answer) == 413
    assert fresh.peak_bytes() - before < 80_000_000
    assert_acknowledged_at_once(fresh.port)


BODY = delivery(("9", "9"))
GOOD = (TOKEN, f"Content-Length: {len(BODY)}")
AS_CHUNK = b"%x\r\n%s\r\n" % (len(BODY), BODY)

UNUSUAL = {
    "a length that is too long": (head(TOKEN, f"Content-Length: {len(BODY) + 1}"), BODY, [400], 0),
    "a signal that is cut": (head(TOKEN, f"Content-Length: {len(BODY) + 1}", relay="ready"), BODY, [400], 0),
    "a signal that is cut between two chunks": (head(TOKEN, CHUNKED, relay="ready"), AS_CHUNK, [400], 0),
    "a length that is too short": (head(TOKEN, f"Content-Length: {len(BODY) - 1}"), BODY, [400], 0),
    "a length that is no number": (head(TOKEN, "Content-Length: -1"), BODY, [400], 0),
    "two lengths": (head(*GOOD, "Content-Length: 5"), BODY, [400], 0),
    "chunks without an end": (head(TOKEN, CHUNKED), AS_CHUNK, [400], 0),
    "a chunk that is cut": (head(TOKEN, CHUNKED), AS_CHUNK[:-9], [400], 0),
    "a chunk without a size": (head(TOKEN, CHUNKED), b"x\r\n" + BODY + b"\r\n0\r\n\r\n", [400], 0),
    "a chunk of an endless size line": (head(TOKEN, CHUNKED), b"1" * 20_000, [400], 0),
    "an endless trailer": (head(TOKEN, CHUNKED), AS_CHUNK + b"0\r\n" + b"X-A: b\r\n" * 200_000, [400], 0),
    "chunks as they should be": (head(TOKEN, CHUNKED), AS_CHUNK + b"0\r\n\r\n", [200], 1),
    "a stranger who expects 100-continue": (head(WRONG, LENGTH, "Expect: 100-continue"), b"", [100, 401], 0),
    "Looker expecting 100-continue": (head(*GOOD, "Expect: 100-continue"), BODY, [100, 200], 1),
    "GET with a body": (head(*GOOD, method="GET"), BODY, [400], 0),
    "HEAD with a body": (head(*GOOD, method="HEAD"), BODY, [400], 0),
    "two deliveries in one write": (
        head(*GOOD),
        BODY + head(*GOOD).replace("\n", "\r\n").encode() + b"\r\n\r\n" + delivery(("8", "8")),
        [200, 200],
        2,
    ),
    "a delivery behind a stranger's": (
        head(WRONG, f"Content-Length: {len(BODY)}"),
        BODY + head(*GOOD).replace("\n", "\r\n").encode() + b"\r\n\r\n" + BODY,
        [401],
        0,
    ),
}


def test_unusual_requests_are_answered_and_store_whole_deliveries_or_nothing(port: int, shared: World) -> None:
    seen = {}
    for number, (name, (request_head, body, _, _)) in enumerate(UNUSUAL.items()):
        before = len(shared.objects("inbox/"))
        answers = slow_callers.exchange(port, f"{request_head}\nX-Looker-Webhook-Id: {number}", body)
        assert b"internal" not in answers
        seen[name] = (slow_callers.statuses_of(answers), len(shared.objects("inbox/")) - before)

    assert seen == {name: (statuses, deliveries) for name, (_, _, statuses, deliveries) in UNUSUAL.items()}
