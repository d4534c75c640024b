"""Rows that landed in part have landed: nothing waits for them, and no older rows follow them."""

from tests.support.world import CONFIGURATION, World, delivery


def test_a_signal_whose_append_landed_in_part_is_closed_as_dead(world: World) -> None:
    world.add_relay("ready", start="flights")
    world.post_delivery("ready", b"new data")
    world.pigment.skip_next(CONFIGURATION, 1)

    answers = [world.run_deliver() for _ in range(3)]

    assert [(each.body["dead"], each.body["waiting"]) for each in answers] == [(1, 0), (0, 0), (0, 0)]
    assert len(world.imports) == 1
    (dead,) = world.bucket.entries("dead/ready/")
    assert dead.metadata["code"] == "too_many_skipped"


def test_no_older_delivery_follows_the_newest_that_landed_in_part(world: World) -> None:
    world.add_relay("sales", keep="latest", target={"repeatable": True})
    configuration = world.raw["relays"]["sales"]["target"]["configuration"]
    for number in (1, 2):
        world.post_delivery("sales", delivery((str(number), "0"), (str(number), "1")))
        world.clock.advance(1)
    world.pigment.skip_next(configuration, 1)

    world.run_deliver()

    assert {row["Id"] for row in world.pigment.rows(configuration)} == {"2"}
