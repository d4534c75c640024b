"""Every function gives the body of a request a least rate and a deadline, on the clock of the test."""

import re
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import closing, contextmanager
from socket import socket

import pytest

from common.platform.body import AT_ONCE, LEAST, _watch
from tests.support import slow_callers
from tests.support.world import WEBHOOK_TOKEN, World, delivery

PATHS = {"pull": "", "export": "", "deliver": "", "receive": "/sales"}
_BEGINS_WITHIN_S = 20


@pytest.fixture
def sales(world: World) -> World:
    world.add_relay("sales")
    return world


@contextmanager
def posting(world: World, function: str, body: bytes, missing: int = 1) -> Iterator[socket]:
    """Send a body of which some bytes are missing, and wait until a function reads it."""
    address = urllib.parse.urlsplit(world.addresses[function])
    assert address.port
    head = (
        f"POST {address.path}{PATHS[function]} HTTP/1.1\nHost: x\nX-Looker-Webhook-Token: {WEBHOOK_TOKEN}\n"
        f"Content-Length: {len(body) + missing}"
    )
    with closing(slow_callers.begin(address.port, head, body)) as caller:
        until_s = time.monotonic() + _BEGINS_WITHIN_S
        while not _watch._readings:
            assert time.monotonic() < until_s, "no thread reads the body"
            time.sleep(0.001)
        yield caller


def assert_too_slow(answer: bytes, after_s: int) -> None:
    """The server has a timeout of its own, which is answered in other words."""
    assert slow_callers.status_of(answer) == 408
    assert b"body_too_slow" in answer
    assert re.search(rb"Only [01] bytes of the body arrived in %d s\." % after_s, answer), answer


@pytest.mark.parametrize("function", PATHS)
def test_a_body_that_stalls_is_answered_408(sales: World, function: str) -> None:
    with posting(sales, function, b"{") as caller:
        sales.clock.advance(LEAST.grace_s + 1)
        answer = slow_callers.answer_of(caller)

    assert_too_slow(answer, after_s=31)
    assert b"Connection: close" in answer
    assert sales.objects("inbox/") == []


def test_a_body_that_pauses_is_accepted(sales: World) -> None:
    """Looker can wait for its database between two rows."""
    body = delivery(("1", "1"))
    with posting(sales, "receive", body[:-1]) as caller:
        sales.clock.advance(LEAST.grace_s - 1)
        caller.sendall(body[-1:])
        caller.settimeout(30)
        answer = caller.recv(65_536)

    assert slow_callers.status_of(answer) == 200


def test_no_body_lasts_longer_than_the_function_may(sales: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_DEADLINE_S", str(LEAST.grace_s / 2))
    with posting(sales, "receive", b"{") as caller:
        sales.clock.advance(LEAST.grace_s / 2)
        answer = slow_callers.answer_of(caller)

    assert_too_slow(answer, after_s=15)


def test_a_stranger_is_refused_before_his_body_arrives(sales: World) -> None:
    address = urllib.parse.urlsplit(sales.addresses["receive"])
    assert address.port
    head = f"POST {address.path}/sales HTTP/1.1\nHost: x\nX-Looker-Webhook-Token: wrong\nContent-Length: 1000000"
    with slow_callers.begin(address.port, head, b"{") as caller, slow_callers.dripping([caller]):
        answer = slow_callers.answer_of(caller)

    assert slow_callers.status_of(answer) == 401
    assert b"Connection: close" in answer


def test_the_least_rate_counts_from_the_end_of_the_grace() -> None:
    assert not LEAST.is_missed(30.0, 0)
    assert LEAST.is_missed(30.1, 0)
    assert not LEAST.is_missed(60.0, 30 * 16 * 1024)
    assert LEAST.is_missed(60.1, 30 * 16 * 1024)
    assert AT_ONCE.is_missed(1.1, 0)
    assert not AT_ONCE.is_missed(10.0, 1_000_000)
