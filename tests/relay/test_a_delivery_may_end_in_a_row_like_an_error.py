"""A delivery whose last row reads like an error text: the guards of its relay decide, not its receipt."""

import pytest

from tests.support.world import World, delivery


@pytest.mark.parametrize("accepts", [False, True])
def test_the_relays_guards_decide(world: World, accepts: bool) -> None:
    world.add_relay("sales", guards={"accept_error_text": accepts})
    rows = [("A", "fine"), ("Query was killed", "by hand")]

    assert world.post_delivery("sales", delivery(*rows)).status == 200
    assert world.run_deliver().status == 200

    assert len(world.imports) == accepts
    assert len(world.objects("dead/sales/")) == (not accepts)


def test_a_last_row_like_those_before_lands(world: World) -> None:
    world.add_relay("sales")

    world.post_delivery("sales", delivery(("A", "1"), ("Error: none", "2")))

    assert world.run_deliver().body["delivered"] == 1
