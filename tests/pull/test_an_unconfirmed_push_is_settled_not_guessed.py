"""Pigment has no idempotency key: an unconfirmed push is settled, or repeated for a repeatable target."""

from typing import Literal

import pytest

from common.runs import settling
from common.runs.leases import Journal
from local.sandbox.wire import Response
from tests.support.world import HEADER, PUSH, ROWS, STATUS, World

LOST = {
    "reset after Pigment accepted": {"reset_after": True},
    "500 after Pigment accepted": {"answer_instead": Response(500)},
    "502 after Pigment accepted": {"answer_instead": Response(502)},
    "503 after Pigment accepted": {"answer_instead": Response(503)},
    "200 without an import id": {"answer_instead": Response(200, b"{}")},
}


@pytest.mark.parametrize("how", LOST.values(), ids=LOST.keys())
def test_an_append_is_not_sent_again_but_left_to_a_person(world: World, how: dict[str, object]) -> None:
    world.pigment_server.fault(PUSH, **how)

    first = world.run_pull("flights")
    second = world.run_pull("flights")

    assert (first.status, first.code, first.receipt["outcome"]) == (500, "landing_unknown", "unknown")
    assert "bridge settle" in first.error["next_step"]
    assert (second.status, second.code, second.receipt["outcome"]) == (500, "landing_unknown", "failed")
    assert first.receipt["run"] in second.error["message"]
    assert first.error["message"] in second.error["message"]
    assert len(world.imports) == 1


def test_a_target_that_is_repeatable_since_then_is_sent_the_rows_again(world: World) -> None:
    """As the next step of the error says."""
    world.pigment_server.fault(PUSH, refuse=Response(502))
    unknown = world.run_pull("flights")
    assert "set target.repeatable: true and run the job again" in unknown.error["next_step"]
    world.add_pull("flights", target={"repeatable": True})

    again = world.run_pull("flights")

    assert (again.status, again.receipt["outcome"]) == (200, "landed")
    assert len(world.landed_rows()) == len(ROWS)
    assert world.receipts()[0]["outcome"] == "failed"


def test_a_repeatable_target_of_another_configuration_leaves_it_to_a_person(world: World) -> None:
    world.pigment_server.fault(PUSH, refuse=Response(502))
    unknown = world.run_pull("flights").receipt
    block = world.pigment.block(world.pigment.application("Planning"), "elsewhere")
    other = world.pigment.configuration(block, HEADER)
    world.add_pull("flights", target={"configuration": other, "repeatable": True})

    world.run_pull("flights")

    assert world.receipts()[0]["run"] == unknown["run"]
    assert world.receipts()[0]["outcome"] == "unknown"


def test_a_run_settled_as_landed_lets_the_next_run_land(world: World) -> None:
    world.pigment_server.fault(PUSH, reset_after=True)
    run = world.run_pull("flights").receipt["run"]

    settled = settling.settle_by_hand(world.bucket, world.clock, run, "landed")

    assert settled.outcome == "landed"
    assert world.receipts()[0]["outcome"] == "landed"
    assert world.run_pull("flights").body["outcome"] == "landed"
    assert len(world.landed_rows()) == 2 * len(ROWS)


@pytest.mark.parametrize("verdict", ["landed", "not landed"])
def test_a_run_that_has_a_final_receipt_is_settled_as_that_says(
    world: World, verdict: Literal["landed", "not landed"]
) -> None:
    world.pigment_server.fault(PUSH, reset_after=True)
    run = world.run_pull("flights").receipt["run"]
    (left,) = world.objects("leases/")
    journal = world.bucket.read_json(left, Journal)
    assert journal is not None
    settling.settle_by_hand(world.bucket, world.clock, run, "not landed")
    world.bucket.write_json(left, journal.value, over=0)

    settled = settling.settle_by_hand(world.bucket, world.clock, run, verdict)

    assert settled.outcome == "failed"
    assert world.objects("cursors/") == world.objects("leases/") == []


def test_a_run_settled_as_not_landed_lets_the_next_run_land(world: World) -> None:
    world.pigment_server.fault(PUSH, refuse=Response(502))
    run = world.run_pull("flights").receipt["run"]

    settled = settling.settle_by_hand(world.bucket, world.clock, run, "not landed")

    assert (settled.outcome, settled.error and settled.error.code) == ("failed", "landing_unknown")
    assert world.run_pull("flights").body["outcome"] == "landed"
    assert len(world.landed_rows()) == len(ROWS)


@pytest.mark.parametrize("how", list(LOST.values())[:-1], ids=list(LOST)[:-1])
def test_a_repeatable_target_is_sent_again_in_the_same_run(world: World, how: dict[str, object]) -> None:
    world.add_pull("flights", target={"repeatable": True})
    world.pigment_server.fault(PUSH, **how)

    assert world.run_pull("flights").body["outcome"] == "landed"
    assert len(world.imports) == 2


def test_a_repeatable_target_is_retried_by_the_next_run_after_the_last_attempt(world: World) -> None:
    world.add_pull("flights", target={"repeatable": True})
    world.pigment_server.fault(PUSH, times=-1, answer_instead=Response(503))

    first = world.run_pull("flights")
    world.pigment_server.heal()
    second = world.run_pull("flights")

    assert (first.status, first.code, first.receipt["outcome"]) == (503, "landing_unconfirmed", "unknown")
    assert int(first.headers["Retry-After"]) > 0
    assert second.body["outcome"] == "landed"
    assert [receipt["outcome"] for receipt in world.receipts()] == ["failed", "landed"]


def test_a_refused_connection_is_known_to_have_sent_nothing(world: World) -> None:
    world.pigment_server.stop()

    answer = world.run_pull("flights")

    assert (answer.status, answer.code, answer.receipt["outcome"]) == (503, "pigment_busy", "failed")
    assert world.objects("leases/") == []


def test_an_import_unknown_to_pigment_is_an_unknown_landing(world: World) -> None:
    world.pigment_server.fault(STATUS, times=-1, refuse=Response(404))

    answer = world.run_pull("flights")

    assert (answer.status, answer.code, answer.receipt["outcome"]) == (500, "landing_unknown", "unknown")
    assert answer.receipt["import_id"] == world.imports[0].id


def test_an_import_not_visible_yet_is_polled_again(world: World) -> None:
    world.pigment_server.fault(STATUS, times=3, refuse=Response(404))

    assert world.run_pull("flights").body["outcome"] == "landed"


def test_a_repeated_schedule_event_lands_an_append_once(world: World) -> None:
    event = {"X-CloudScheduler-ScheduleTime": "2026-03-01T06:15:00Z"}
    later = {"X-CloudScheduler-ScheduleTime": "2026-03-02T06:15:00Z"}

    first = world.run_pull("flights", headers=event)
    again = world.run_pull("flights", headers=event)

    assert again.body == first.body
    assert len(world.landed_rows()) == len(ROWS)
    assert world.run_pull("flights", headers=later).body["run"] != first.body["run"]
    assert len(world.landed_rows()) == 2 * len(ROWS)


def test_an_import_id_is_taken_whatever_the_answer_calls_itself(world: World) -> None:
    fault = world.pigment_server.fault(PUSH, headers={"Content-Type": "text/html; charset=utf-8"})

    answer = world.run_pull("flights")

    assert fault.hits == 1
    assert (answer.status, answer.receipt["outcome"]) == (200, "landed")
    assert len(world.imports) == 1
