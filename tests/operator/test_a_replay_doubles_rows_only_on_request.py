"""`bridge deliveries replay` lands rows twice only if a person says so."""

import pytest

from tests.support.command_line import run_deployed
from tests.support.world import World, delivery

ROWS = [("1", "5"), ("2", "6"), ("3", "7")]


def deliver(world: World, *, repeatable: bool, skipped: int = 0) -> str:
    """Let a delivery land, all of it or in part, and return its id."""
    world.add_relay("sales", target={"repeatable": repeatable})
    if skipped:
        world.pigment.skip_next(configuration(world), skipped)
    world.post_delivery("sales", delivery(*ROWS))
    world.run_deliver()
    world.clock.advance(60)
    (path,) = world.objects("dead/" if skipped else "delivered/")
    return path.partition("/")[2]


def configuration(world: World) -> str:
    return str(world.raw["relays"]["sales"]["target"]["configuration"])


def landed(world: World) -> list[str]:
    world.run_deliver()
    return sorted(row["Id"] for row in world.pigment.rows(configuration(world)))


@pytest.mark.parametrize("skipped", [0, 1])
def test_rows_that_have_landed_in_an_append_need_a_yes(world: World, skipped: int) -> None:
    identifier = deliver(world, repeatable=False, skipped=skipped)
    before = landed(world)

    refused = run_deployed("deliveries", "replay", identifier, clock=world.clock)

    assert (refused.status, refused.output) == (1, "")
    assert "would be doubled" in refused.errors
    assert "add --yes" in refused.errors
    assert landed(world) == before
    assert run_deployed("deliveries", "replay", identifier, "--yes", clock=world.clock).status == 0
    assert len(landed(world)) == len(before) + len(ROWS)


@pytest.mark.parametrize("skipped", [0, 1])
def test_a_repeatable_target_needs_none(world: World, skipped: int) -> None:
    identifier = deliver(world, repeatable=True, skipped=skipped)

    assert run_deployed("deliveries", "replay", identifier, clock=world.clock).status == 0
    assert world.run_deliver().body["delivered"] == 1


def test_all_leaves_what_has_landed_in_part(world: World) -> None:
    identifier = deliver(world, repeatable=False, skipped=1)
    before = landed(world)

    done = run_deployed("deliveries", "replay", "--all", clock=world.clock)

    assert done.status == 0
    assert "rows of it have landed" in " ".join(done.output.split())
    assert world.objects("dead/") == [f"dead/{identifier}"]
    assert landed(world) == before


def test_all_needs_no_yes(world: World) -> None:
    world.add_relay("sales")

    assert run_deployed("deliveries", "replay", "--all", "--yes", clock=world.clock).status == 2


@pytest.mark.parametrize(
    ("repeatable", "words"),
    [(True, "Then import it again: `bridge deliveries replay {}`."), (False, "No run sends the")],
)
def test_the_reason_of_a_dead_delivery_names_the_right_way(world: World, words: str, *, repeatable: bool) -> None:
    identifier = deliver(world, repeatable=repeatable, skipped=1)

    (receipt,) = world.receipts("sales")

    assert words.format(identifier) in receipt["error"]["next_step"]


def test_a_pull_into_an_append_is_not_told_to_run_again(world: World) -> None:
    world.pigment.skip_next(str(world.raw["pulls"]["flights"]["target"]["configuration"]), 1)

    answer = world.run_pull("flights")

    assert answer.code == "too_many_skipped"
    assert "No run sends the skipped rows again" in answer.error["next_step"]
    assert "un again" not in answer.error["next_step"]


def die_once(world: World) -> str:
    """Let a guard refuse a delivery into an append, allow it then, and return its id."""
    world.add_relay("sales", guards={"min_rows": 9})
    world.post_delivery("sales", delivery(*ROWS))
    world.run_deliver()
    world.add_relay("sales")
    world.clock.advance(60)
    (path,) = world.objects("dead/")
    return path.removeprefix("dead/")


@pytest.mark.parametrize("imported_between", [True, False])
def test_a_second_replay_of_the_same_delivery_needs_a_yes(world: World, *, imported_between: bool) -> None:
    identifier = die_once(world)
    assert run_deployed("deliveries", "replay", identifier, clock=world.clock).status == 0
    if imported_between:
        world.run_deliver()
        world.clock.advance(7200)

    again = run_deployed("deliveries", "replay", identifier, clock=world.clock)

    assert (again.status, again.output) == (1, "")
    assert len(landed(world)) == len(ROWS)
    assert run_deployed("deliveries", "replay", identifier, "--yes", clock=world.clock).status == 0
    assert len(landed(world)) == 2 * len(ROWS)


@pytest.mark.parametrize("which", ["--all", "id"])
def test_what_was_resent_is_not_replayed(world: World, which: str) -> None:
    identifier = die_once(world)
    (receipt,) = world.receipts("sales")
    assert run_deployed("resend", receipt["run"], "--yes", clock=world.clock).status == 0

    done = run_deployed("deliveries", "replay", identifier if which == "id" else which, clock=world.clock)

    assert done.status == (1 if which == "id" else 0)
    assert len(landed(world)) == len(ROWS)


def test_a_copy_that_was_refused_as_well_needs_none(world: World) -> None:
    identifier = die_once(world)
    world.add_relay("sales", guards={"min_rows": 9})
    run_deployed("deliveries", "replay", identifier, clock=world.clock)
    world.run_deliver()
    world.add_relay("sales")
    world.clock.advance(60)

    assert run_deployed("deliveries", "replay", identifier, clock=world.clock).status == 0
    assert len(landed(world)) == len(ROWS)
