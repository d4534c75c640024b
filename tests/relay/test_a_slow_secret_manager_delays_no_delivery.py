"""While Secret Manager is slow or fails, deliveries with a token that is in memory are accepted at once."""

import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager

import pytest

from local.sandbox.wire import Response
from tests.support.world import World, delivery

LISTING = "GET .*/secrets/looker-webhook-token/versions$"
ALL = "GET .*/secrets/looker-webhook-token/versions"
WRONG_TOKENS = 6
PATIENCE_S = 20


@pytest.fixture
def sales(world: World) -> World:
    """A relay whose token is in memory and may be read again."""
    world.add_relay("sales")
    assert world.post_delivery("sales", delivery(("1", "1"))).status == 200
    world.clock.advance(60)
    return world


@contextmanager
def hanging(sales: World) -> Iterator[threading.Event]:
    """Let Secret Manager answer nothing inside the block; the event says that it was asked."""
    asked, released = threading.Event(), threading.Event()

    def hang() -> None:
        asked.set()
        released.wait(PATIENCE_S)

    sales.secrets_server.fault(ALL, times=-1, act=hang)
    try:
        yield asked
    finally:
        released.set()


def test_a_known_token_is_accepted_while_secret_manager_hangs(sales: World) -> None:
    listings = sales.secrets_server.fault(LISTING, times=0)
    with ThreadPoolExecutor(WRONG_TOKENS + 1) as pool:
        with hanging(sales) as asked:
            wrong = [pool.submit(sales.post_delivery, "sales", b"", token=f"wrong-{i}") for i in range(WRONG_TOKENS)]
            assert asked.wait(PATIENCE_S)
            good = pool.submit(sales.post_delivery, "sales", delivery(("2", "2")))
            assert good.result(PATIENCE_S / 2).status == 200

            # Few wait for Secret Manager: the others leave their threads free.
            assert wait(wrong, PATIENCE_S, FIRST_COMPLETED).done
        assert {each.result(PATIENCE_S).code for each in wrong} <= {"token_refused", "secret_unreadable"}

    assert listings.seen == 1


def test_a_stranger_learns_nothing_new_after_a_slow_reading(sales: World) -> None:
    """The time of a reading is when it ended: a slow one is not followed by another at once."""
    listings = sales.secrets_server.fault(LISTING, act=lambda: sales.clock.advance(19))

    assert sales.post_delivery("sales", b"", token="wrong").status == 401
    assert sales.post_delivery("sales", b"", token="wrong").status == 401
    assert listings.seen == 1

    sales.clock.advance(5)
    assert sales.post_delivery("sales", b"", token="wrong").status == 401
    assert listings.seen == 2


def test_a_failing_secret_manager_is_not_asked_again_at_once(sales: World) -> None:
    sales.secrets.deny("looker-webhook-token")
    listings = sales.secrets_server.fault(LISTING, times=0)

    codes = [sales.post_delivery("sales", b"", token="wrong").code for _ in range(3)]

    assert codes == ["secret_unreadable"] * 3
    assert listings.seen == 1
    assert sales.post_delivery("sales", delivery(("2", "2"))).status == 200

    sales.clock.advance(5)
    assert sales.post_delivery("sales", b"", token="wrong").code == "secret_unreadable"
    assert listings.seen == 2


def test_calls_of_a_cold_start_share_one_reading(world: World) -> None:
    world.add_relay("sales")
    listings = world.secrets_server.fault(LISTING, times=0)
    with ThreadPoolExecutor(4) as pool:
        with hanging(world) as asked:
            posted = [pool.submit(world.post_delivery, "sales", delivery(("2", str(i)))) for i in range(4)]
            assert asked.wait(PATIENCE_S)
        assert [each.result(PATIENCE_S).status for each in posted] == [200] * 4

    assert listings.seen == 1


def test_all_deliveries_with_a_new_token_wait_for_one_reading(sales: World) -> None:
    sales.secrets.put("looker-webhook-token", "the-next-token")
    listings = sales.secrets_server.fault(LISTING, times=0)
    with ThreadPoolExecutor(6) as pool:
        with hanging(sales) as asked:
            bodies = [delivery(("2", str(i))) for i in range(6)]
            posted = [pool.submit(sales.post_delivery, "sales", body, token="the-next-token") for body in bodies]
            assert asked.wait(PATIENCE_S)
        assert [each.result(PATIENCE_S).status for each in posted] == [200] * 6

    assert listings.seen == 1


def test_deliveries_wait_for_secret_manager_after_it_failed_at_a_cold_start(world: World) -> None:
    world.add_relay("sales")
    failing = world.secrets_server.fault(LISTING, refuse=Response(403))
    assert world.post_delivery("sales", delivery(("1", "1"))).code == "secret_unreadable"
    assert failing.hits == 1
    world.clock.advance(5)

    with ThreadPoolExecutor(6) as pool:
        with hanging(world) as asked:
            posted = [pool.submit(world.post_delivery, "sales", delivery(("2", str(i)))) for i in range(6)]
            assert asked.wait(PATIENCE_S)
            assert not wait(posted, 1.2, FIRST_COMPLETED).done
        assert [each.result(PATIENCE_S).status for each in posted] == [200] * 6
