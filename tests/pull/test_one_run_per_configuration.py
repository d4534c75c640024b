"""Two runs of one configuration never overlap, and a run that exceeds its time is completed by the next."""

import concurrent.futures
import contextlib
import gc
import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from common.runs import instance, leases
from common.runs.instance import Instance
from common.runs.leases import LIFETIME_S
from local.sandbox.wire import Response
from tests.support.clock import ClockOff
from tests.support.world import CONFIGURATION, PULL_RUN, PUSH, ROWS, FunctionAnswer, World

LEASE_WRITE = r"POST /upload/storage/v1/b/bucket/o"


def test_of_two_concurrent_runs_one_lands_and_one_is_answered_409(world: World) -> None:
    reading, may_go_on = threading.Event(), threading.Event()

    def pause() -> None:
        reading.set()
        may_go_on.wait(30)

    world.looker_server.fault(PULL_RUN, act=pause)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(world.run_pull, job="flights")
        assert reading.wait(30)
        second = world.run_pull("flights")
        may_go_on.set()

    assert (second.status, second.code) == (409, "configuration_occupied")
    assert first.result().receipt["run"] in second.error["message"]
    assert first.result().body["outcome"] == "landed"
    assert len(world.imports) == 1
    assert [receipt["outcome"] for receipt in world.receipts()] == ["landed", "occupied"]


def test_sixteen_concurrent_runs_duplicate_no_row(world: World) -> None:
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: world.run_pull("flights"), range(16)))

    landed = [answer for answer in answers if answer.status == 200]
    assert {answer.status for answer in answers} <= {200, 409}
    assert len(landed) >= 1
    assert len(world.imports) == len(landed)
    assert len(world.landed_rows()) == len(landed) * len(ROWS)


def test_an_import_longer_than_the_budget_is_answered_202_and_settled_by_the_next_run(world: World) -> None:
    world.pause_imports()
    first = world.run_pull("flights")
    again = world.run_pull("flights")
    world.resume_imports()
    world.pigment.finished(world.imports[0].id)
    second = world.run_pull("flights")

    assert (first.status, first.body["outcome"]) == (202, "importing")
    assert (again.status, again.code) == (409, "configuration_occupied")
    assert (second.status, second.body["outcome"]) == (200, "landed")
    settled = world.receipts()[0]
    assert (settled["run"], settled["outcome"]) == (first.body["run"], "landed")
    assert settled["rows"]["inserted"] == len(ROWS)
    assert second.body["run"] == first.body["run"]
    assert "nothing was sent again" in second.body["warnings"][-1].lower()
    assert len(world.landed_rows()) == len(ROWS)


@pytest.mark.parametrize(
    ("how", "sent_again"),
    [
        pytest.param({"headers": {"X-CloudScheduler-ScheduleTime": "2026-03-02T06:15:00Z"}}, True, id="a new tick"),
        pytest.param({}, False, id="by hand"),
    ],
)
def test_a_call_that_settles_a_landed_append_sends_it_again_only_for_a_new_tick(
    world: World, how: dict[str, Any], sent_again: bool
) -> None:
    world.pause_imports()
    world.run_pull("flights", headers={"X-CloudScheduler-ScheduleTime": "2026-03-01T06:15:00Z"})
    world.resume_imports()
    world.pigment.finished(world.imports[0].id)

    answer = world.run_pull("flights", **how)

    assert answer.body["outcome"] == "landed"
    assert len(world.landed_rows()) == (2 if sent_again else 1) * len(ROWS)
    assert world.objects("leases/") == []
    world.run_pull("flights")
    assert len(world.landed_rows()) == (3 if sent_again else 2) * len(ROWS)


def test_the_same_tick_is_answered_even_if_the_receipt_is_missing(world: World) -> None:
    tick = {"X-CloudScheduler-ScheduleTime": "2026-03-01T06:15:00Z"}
    first = world.run_pull("flights", headers=tick).body
    world.bucket.delete(world.objects("receipts/")[0])

    again = world.run_pull("flights", headers=tick).body

    assert (again["run"], again["outcome"]) == (first["run"], "landed")
    assert "is not stored" in again["warnings"][0]
    assert len(world.landed_rows()) == len(ROWS)


def test_a_202_whose_import_fails_later_is_recorded_as_failed(world: World) -> None:
    world.pigment.fail_next(CONFIGURATION, "Late", "It failed after all")
    world.pause_imports()
    run = world.run_pull("flights").body["run"]
    world.resume_imports()
    world.pigment.finished(world.imports[0].id)

    assert world.run_pull("flights").body["outcome"] == "landed"
    first = world.receipts()[0]
    assert (first["run"], first["outcome"], first["error"]["code"]) == (run, "failed", "import_failed")


def test_an_expired_lease_is_detected_before_the_push(world: World) -> None:
    def another_run_takes_over() -> None:
        world.clock.advance(LIFETIME_S + 1)
        world.looker_server.heal()
        answers.append(world.run_pull("flights"))

    answers: list[object] = []
    world.looker_server.fault(PULL_RUN, act=another_run_takes_over)

    first = world.run_pull("flights")

    # The second run has already written the first one's receipt, and a receipt is written once.
    assert (first.status, first.code) == (500, "run_interrupted")
    assert len(world.imports) == 1
    assert len(world.landed_rows()) == len(ROWS)


def test_an_active_run_renews_its_lease(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEWAL_S", 0.01)
    expiries: list[str] = []
    renewed = threading.Event()

    def watch(notice: object) -> None:
        if getattr(notice, "name", "").startswith("leases/"):
            expiries.append(getattr(notice, "generation", ""))
            world.clock.advance(1)
            if len(expiries) > 3:
                renewed.set()

    world.storage.on_finalize.append(watch)
    world.looker_server.fault(PULL_RUN, act=lambda: renewed.wait(30) or None)

    assert world.run_pull("flights").body["outcome"] == "landed"
    assert len(expiries) > 3


def test_jobs_of_different_configurations_do_not_wait_for_each_other(world: World) -> None:
    block = world.pigment.block(world.pigment.application("Planning"), "Other flights")
    other = world.pigment.configuration(block, learn=True)
    world.add_pull("others", target={"configuration": other})
    statuses: list[int] = []
    world.pigment_server.fault(PUSH, act=lambda: statuses.append(world.run_pull("others").status))

    assert world.run_pull("flights").status == 200
    assert statuses == [200]


@contextlib.contextmanager
def on_another_instance(world: World, off_s: float) -> Iterator[None]:
    instance.current = Instance(ClockOff(world.clock, off_s), random.Random(2))
    yield
    instance.current = world.instance


@pytest.mark.parametrize("off_s", [-3600, -300, 300, 3600])
def test_an_instance_with_a_wrong_clock_takes_no_lease_of_a_healthy_run(world: World, off_s: float) -> None:
    answers: list[FunctionAnswer] = []

    def run_elsewhere() -> None:
        with on_another_instance(world, off_s):
            answers.append(world.run_pull("flights"))

    world.pigment_server.fault(PUSH, then=run_elsewhere)

    assert world.run_pull("flights").body["outcome"] == "landed"
    assert [answer.code for answer in answers] == ["configuration_occupied"]
    assert len(world.imports) == 1


@pytest.mark.parametrize("off_s", [-3600, 0, 3600])
def test_an_instance_with_a_wrong_clock_waits_as_long_as_every_other_one(world: World, off_s: float) -> None:
    world.pigment_server.fault(PUSH, reset_before=True, times=-1)
    world.storage_server.fault("(POST|PUT|DELETE) /.*", after=2, times=-1, refuse=Response(403, b"{}"))
    world.run_pull("flights")
    world.heal()
    (left,) = world.objects("leases/")

    with on_another_instance(world, off_s):
        early = world.run_pull("flights")
        world.clock.advance(LIFETIME_S + 1)
        late = world.run_pull("flights")

    assert (early.code, late.body["outcome"]) == ("configuration_occupied", "landed"), left


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_renewal_whose_answer_was_lost_costs_no_lease(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEWAL_S", 0.01)
    lost = threading.Event()

    def renew_no_more() -> None:
        monkeypatch.setattr(leases, "RENEWAL_S", 30)
        lost.set()

    # It is applied, its answer is lost, and so is the answer that the repeated request would have got.
    applied = world.storage_server.fault(LEASE_WRITE, after=1, answer_instead=Response(503))
    world.storage_server.fault(LEASE_WRITE, after=1, refuse=Response(403, b"{}"), then=renew_no_more)
    world.looker_server.fault(PULL_RUN, act=lambda: lost.wait(30) or None)

    assert world.run_pull("flights").body["outcome"] == "landed"
    assert applied.hits == 1
    assert world.objects("leases/") == []
    gc.collect()


def test_a_step_whose_answer_was_lost_leaves_no_lease(world: World) -> None:
    # After the lease and the staged file.
    applied = world.storage_server.fault(LEASE_WRITE, after=2, answer_instead=Response(503))
    world.storage_server.fault(LEASE_WRITE, after=2, refuse=Response(403, b"{}"))

    first = world.run_pull("flights")

    assert applied.hits == 1
    assert (first.code, first.receipt["outcome"], first.receipt["rows"]["sent"]) == ("storage_refused", "failed", None)
    assert world.objects("leases/") == []
    assert world.run_pull("flights").body["outcome"] == "landed"
    assert len(world.imports) == 1


def test_an_import_id_on_a_receipt_settles_a_run_whose_lease_was_taken(world: World) -> None:
    answers: list[FunctionAnswer] = []

    def another_run_takes_over() -> None:
        world.clock.advance(LIFETIME_S + 1)
        answers.append(world.run_pull("flights"))

    world.pigment_server.fault(PUSH, then=another_run_takes_over)

    first = world.run_pull("flights")
    second = world.run_pull("flights")

    assert answers[0].code == "landing_unknown"
    assert (first.code, first.receipt["import_id"]) == ("lease_lost", world.imports[0].id)
    assert (second.body["outcome"], second.body["run"]) == ("landed", first.receipt["run"])
    assert len(world.imports) == 1
    assert world.objects("leases/") == []
