"""A sweep says which scheduled jobs are overdue and how long deliveries wait, whatever else goes wrong."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from common.flows import watch as watching
from common.runs import cursors, receipts
from common.runs.instance import Instance
from common.runs.receipts import Outcome, Receipt
from common.storage import paths
from local.sandbox.wire import Response
from tests.support.world import PUSH, FakeClock, World, delivery

DAILY = "15 6 * * *"
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S

Lines = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """The log lines with a message since this was last asked, as fields."""

    def take(message: str) -> list[dict[str, Any]]:
        said = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
        caplog.clear()
        return [line for line in said if line["event"] == message]

    return take


@pytest.fixture
def watched(world: World) -> World:
    """At 6:20: a daily pull at 6:15, known to the watch since yesterday at that time."""
    world.pull("flights", schedule=DAILY)
    world.call("deliver")
    world.clock.advance(DAY_S + 5 * 60)
    return world


def ran(world: World, outcome: Outcome, *, job: str = "flights", kind: str = "pull") -> Receipt:
    """A receipt as a run leaves it that began now."""
    run = receipts.run_id(world.clock.now(), world.instance.chance.random())
    begun = receipts.begin(run, job, kind, world.clock.now())
    return receipts.file(world.store, Receipt(run, job, kind, begun.started_at, outcome))


def overdue(world: World, lines: Lines) -> list[str]:
    assert world.call("deliver").status == 200
    return [line["job"] for line in lines("landing overdue")]


def test_a_schedule_that_came_round_without_a_landing_is_told_after_an_hour(watched: World, lines: Lines) -> None:
    watched.clock.advance(54 * 60)
    assert overdue(watched, lines) == []

    watched.clock.advance(60)
    watched.call("deliver")

    (line,) = lines("landing overdue")
    assert (line["level"], line["job"], line["kind"]) == ("error", "flights", "pull")
    assert (line["due_at"], line["last_good_at"]) == ("2026-03-02T06:15:00.000Z", None)


def test_it_is_told_until_the_job_has_landed(watched: World, lines: Lines) -> None:
    watched.clock.advance(2 * HOUR_S)
    assert overdue(watched, lines) == ["flights"]
    watched.clock.advance(600)
    assert overdue(watched, lines) == ["flights"]

    assert watched.call(job="flights").body["outcome"] == "landed"
    assert overdue(watched, lines) == []

    landed_at = cursors.read(watched.store, "flights")
    watched.clock.advance(DAY_S)
    watched.call("deliver")
    (line,) = lines("landing overdue")
    assert landed_at is not None
    assert (line["due_at"], line["last_good_at"]) == ("2026-03-03T06:15:00.000Z", landed_at.landed_at)


def test_an_export_is_watched_as_well_until_it_is_published(world: World, lines: Lines) -> None:
    world.export("revenue", schedule="0 7 * * MON", time_zone="Europe/Paris")
    world.call("deliver")
    world.clock.advance(DAY_S + HOUR_S)
    assert overdue(world, lines) == ["revenue"]

    world.pigment_gives(b"Code;Name\na;b\n")
    assert world.call("export", job="revenue").body["outcome"] == "published"
    assert overdue(world, lines) == []


@pytest.mark.parametrize("outcome", ["landed", "landed_with_skips", "nothing_new", "published"])
def test_a_run_that_ended_well_is_enough(watched: World, lines: Lines, outcome: Outcome) -> None:
    ran(watched, outcome)
    watched.clock.advance(2 * HOUR_S)

    assert overdue(watched, lines) == []


@pytest.mark.parametrize("outcome", ["previewed", "importing", "refused", "failed", "unknown"])
def test_any_other_end_is_not(watched: World, lines: Lines, outcome: Outcome) -> None:
    ran(watched, outcome)
    watched.clock.advance(2 * HOUR_S)

    assert overdue(watched, lines) == ["flights"]


def test_what_failed_and_was_tried_again_is_judged_by_its_best_end(watched: World, lines: Lines) -> None:
    for outcome in ("failed", "nothing_new", "previewed", "failed"):
        ran(watched, outcome)
        watched.clock.advance(60)
    watched.clock.advance(2 * HOUR_S)

    assert overdue(watched, lines) == []


def test_rows_that_landed_in_a_run_that_failed_are_no_good_end(watched: World, lines: Lines) -> None:
    receipt = ran(watched, "failed")
    cursors.move(watched.store, "flights", cursors.LastLanding(receipt.run, receipt.started_at, 5, "", [], ""))
    watched.clock.advance(2 * HOUR_S)

    assert overdue(watched, lines) == ["flights"]


def test_a_run_of_the_day_before_is_none_of_today_but_one_a_moment_early_is(watched: World, lines: Lines) -> None:
    watched.clock.advance(-5 * 60 - 62)
    ran(watched, "nothing_new")
    watched.clock.advance(2 * HOUR_S)
    assert overdue(watched, lines) == ["flights"]

    watched.clock.advance(-2 * HOUR_S + 32)
    ran(watched, "nothing_new")
    watched.clock.advance(2 * HOUR_S)
    assert overdue(watched, lines) == []


def test_a_run_after_midnight_answers_for_the_evening(world: World, lines: Lines) -> None:
    world.pull("flights", schedule="50 23 * * *")
    world.call("deliver")
    world.clock.advance(18 * HOUR_S)
    ran(world, "nothing_new")
    world.clock.advance(HOUR_S)

    assert world.clock.now() == datetime(2026, 3, 2, 1, 15, tzinfo=UTC)
    assert overdue(world, lines) == []


def test_a_job_every_five_minutes_is_told_of_well_within_two_hours(world: World, lines: Lines) -> None:
    world.pull("flights", schedule="*/5 * * * *")
    world.call("deliver")
    told = []
    for _ in range(9):
        world.clock.advance(600)
        told.append(bool(overdue(world, lines)))

    assert told == [False] * 6 + [True] * 3


def test_a_monthly_job_that_had_nothing_to_land_is_not_told_of_all_month(world: World, lines: Lines) -> None:
    world.pull("flights", schedule="0 7 1 * *")
    world.call("deliver")
    world.clock.advance(HOUR_S)
    ran(world, "nothing_new")
    for _ in range(28):
        world.clock.advance(DAY_S)
        ran(world, "previewed")

    assert overdue(world, lines) == []
    world.clock.advance(4 * DAY_S)
    assert overdue(world, lines) == ["flights"]


def test_a_landing_is_found_however_many_previews_came_after_it(watched: World, lines: Lines) -> None:
    assert watched.call(job="flights").body["outcome"] == "landed"
    for _ in range(25):
        watched.clock.advance(1)
        ran(watched, "previewed")
    watched.clock.advance(2 * HOUR_S)

    assert overdue(watched, lines) == []


def test_a_new_job_is_due_no_earlier_than_its_first_time(world: World, lines: Lines) -> None:
    world.pull("flights", schedule="0 6 * * *")
    for _ in range(4):
        assert overdue(world, lines) == []
        world.clock.advance(6 * HOUR_S)

    assert overdue(world, lines) == []
    world.clock.advance(HOUR_S)
    assert overdue(world, lines) == ["flights"]


@pytest.mark.parametrize("change", [{"schedule": "0 8 1 * *"}, {"time_zone": "Asia/Tokyo"}])
def test_a_schedule_that_changed_counts_from_then_on(watched: World, lines: Lines, change: dict[str, str]) -> None:
    watched.clock.advance(2 * HOUR_S)
    assert overdue(watched, lines) == ["flights"]

    watched.pull("flights", **{"schedule": DAILY, **change})
    assert overdue(watched, lines) == []


def test_another_change_of_bridge_yaml_hides_nothing(watched: World, lines: Lines) -> None:
    watched.clock.advance(2 * HOUR_S)
    assert overdue(watched, lines) == ["flights"]

    watched.pull("flights", schedule=DAILY, guards={"min_rows": 2})
    watched.pull("another", schedule=DAILY)
    assert overdue(watched, lines) == ["flights"]


def test_a_job_that_was_away_for_a_while_is_new_when_it_is_back(watched: World, lines: Lines) -> None:
    watched.pull("flights")
    assert overdue(watched, lines) == []
    watched.clock.advance(2 * HOUR_S)

    watched.pull("flights", schedule=DAILY)
    assert overdue(watched, lines) == []


def test_a_job_without_a_schedule_and_a_relay_are_not_waited_for(world: World, lines: Lines) -> None:
    world.relay("sales")
    world.call("deliver")
    world.clock.advance(30 * DAY_S)

    assert overdue(world, lines) == []
    assert world.objects("watch/") == []


def test_a_push_of_pub_sub_looks_for_no_landing(watched: World, lines: Lines) -> None:
    watched.clock.advance(2 * HOUR_S)
    reads = watched.storage_server.fault(".*", times=-1)
    watched.call("deliver", message={"attributes": {"objectId": "inbox/sales/20260301T061500000000-a"}})

    assert lines("landing overdue") == []
    assert reads.seen == 1 + 1  # bridge.yaml, the inbox


def test_a_sweep_costs_two_small_reads_for_each_job_that_landed(world: World, lines: Lines) -> None:
    for number in range(3):
        world.pull(f"flights-{number}", schedule=DAILY)
    world.call("deliver")
    world.clock.advance(DAY_S)
    for number in range(3):
        assert world.call(job=f"flights-{number}").body["outcome"] == "landed"
    world.clock.advance(2 * HOUR_S)
    reads = world.storage_server.fault(".*", times=-1)

    assert overdue(world, lines) == []
    assert reads.seen == 2 + 1 + 2 * 3  # bridge.yaml and the inbox, the schedules, the jobs


@pytest.mark.parametrize("path", [paths.SCHEDULES, "cursors/flights.json"])
def test_a_watch_that_fails_says_so_and_the_deliveries_are_answered(watched: World, lines: Lines, path: str) -> None:
    watched.relay("sales")
    watched.post("sales", delivery(("1", "10")))
    watched.clock.advance(2 * HOUR_S)
    refuse = Response(403, b"{}", {"Content-Type": "application/json"})
    watched.storage_server.fault(f"GET /.*{path}", times=-1, refuse=refuse)

    answer = watched.call("deliver")

    assert (answer.status, answer.body["delivered"]) == (200, 1)
    (line,) = lines("overdue check failed")
    assert (line["level"], line["code"]) == ("error", "storage_refused")


def test_a_job_whose_records_cannot_be_read_hides_no_other(watched: World, lines: Lines) -> None:
    watched.pull("another", schedule=DAILY)
    assert overdue(watched, lines) == []
    watched.store.write_json("cursors/another.json", ["not", "a", "cursor"], over=None)
    watched.clock.advance(DAY_S + 2 * HOUR_S)

    # In any order: this often, the one comes before the other.
    assert [overdue(watched, lines) for _ in range(8)] == [["flights"]] * 8


class _HurriedClock(FakeClock):
    """Each look at it takes three seconds."""

    def monotonic_s(self) -> float:
        self.advance(3)
        return super().monotonic_s()


def test_a_watch_that_takes_long_stops_and_begins_elsewhere_next_time(world: World, lines: Lines) -> None:
    for number in range(8):
        world.pull(f"flights-{number}", schedule=DAILY)
    bridge = world.instance.config()
    watching.watch(world.instance, bridge)
    world.clock.advance(DAY_S + 2 * HOUR_S)
    world.clock.__class__ = _HurriedClock
    told: set[str] = set()

    for _ in range(100):
        watching.watch(world.instance, bridge)
        said = {line["job"] for line in lines("landing overdue")}
        assert len(said) < 8
        told |= said
        if len(told) == 8:
            return
    pytest.fail(f"only {told} were ever looked for")


def test_a_fault_of_our_own_is_logged_and_goes_no_further(world: World, lines: Lines) -> None:
    class Broken(Instance):
        @property
        def store(self) -> Any:
            raise ZeroDivisionError

    watching.watch(Broken(world.clock), world.instance.config())

    (line,) = lines("overdue check failed")
    assert line["code"] == "internal"


def test_how_long_the_oldest_delivery_has_waited_is_told(world: World, lines: Lines) -> None:
    world.relay("sales")
    world.relay("costs")
    world.post("sales", delivery(("1", "10")))
    world.clock.advance(100)
    world.post("costs", delivery(("2", "20")))
    world.clock.advance(100)
    world.pigment_server.fault(PUSH, times=-1, refuse=Response(429, b"{}", {"Retry-After": "9999"}))
    world.call("deliver")
    (line,) = lines("inbox processed")
    assert (line["waiting"], line["delivered"], line["sweep"]) == (2, 0, True)
    assert line["oldest_waiting_s"] == 200

    world.pigment_server.heal()
    world.call("deliver")
    (line,) = lines("inbox processed")
    assert (line["waiting"], line["delivered"], line["dead"], line["oldest_waiting_s"]) == (0, 2, 0, 0)


def test_what_somebody_else_put_into_the_inbox_has_no_age(world: World, lines: Lines) -> None:
    world.store.create("inbox/gone/notes.txt", b"hello", {}, content_type="text/plain")

    world.call("deliver")

    (line,) = lines("inbox processed")
    assert (line["waiting"], line["oldest_waiting_s"]) == (1, 0)


def test_an_age_that_cannot_be_told_leaves_the_answer_as_it_is(world: World, lines: Lines) -> None:
    world.store.create("inbox/gone/20260301T061500000000-a", b"{}", {}, content_type="application/json")
    answer = world.call("deliver")
    refuse = Response(403, b"{}", {"Content-Type": "application/json"})
    world.storage_server.fault("GET /storage/v1/b/bucket/o$", after=1, times=-1, refuse=refuse)

    assert world.call("deliver").body == answer.body
    assert [line["oldest_waiting_s"] for line in lines("inbox processed")] == [0, None]


def test_the_line_of_a_call_names_no_run_of_it(watched: World, lines: Lines) -> None:
    watched.relay("sales")
    watched.post("sales", delivery(("1", "10")))
    watched.clock.advance(2 * HOUR_S)
    watched.call("deliver", message={"attributes": {"objectId": "inbox/sales/x"}})

    (line,) = lines("inbox processed")
    assert (line["delivered"], line["sweep"]) == (1, False)
    assert "run" not in line
    assert "job" not in line
