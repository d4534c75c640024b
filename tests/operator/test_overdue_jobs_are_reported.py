"""A sweep logs which scheduled jobs are overdue and how long deliveries have been waiting."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from common.flows import watch as watch_flow
from common.runs import cursors, receipts
from common.runs.instance import Instance
from common.runs.receipts import Outcome, Receipt
from common.storage import paths
from local.sandbox.wire import Response
from tests.support.world import PUSH, FakeClock, World, delivery

DAILY = "15 6 * * *"
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S

TakeLogLines = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> TakeLogLines:
    """Return the fields of the log lines with a message since the previous call."""

    def take(message: str) -> list[dict[str, Any]]:
        logged = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
        caplog.clear()
        return [line for line in logged if line["event"] == message]

    return take


@pytest.fixture
def watched(world: World) -> World:
    """Add a daily pull at 6:15, whose schedule has been in force for a day. The time is 6:20."""
    world.add_pull("flights", schedule=DAILY)
    world.run_deliver()
    world.clock.advance(DAY_S + 5 * 60)
    return world


def record_run(world: World, outcome: Outcome, *, job: str = "flights", kind: str = "pull") -> Receipt:
    """Store the receipt of a run that began now."""
    run = receipts.run_id(world.clock.now(), world.instance.chance.random())
    begun = receipts.begin(run, job, kind, world.clock.now())
    return receipts.file(world.bucket, Receipt(run, job, kind, begun.started_at, outcome))


def overdue(world: World, lines: TakeLogLines) -> list[str]:
    assert world.run_deliver().status == 200
    return [line["job"] for line in lines("landing overdue")]


def test_a_job_that_has_not_landed_an_hour_after_its_schedule_is_overdue(watched: World, lines: TakeLogLines) -> None:
    watched.clock.advance(54 * 60)
    assert overdue(watched, lines) == []

    watched.clock.advance(60)
    watched.run_deliver()

    (line,) = lines("landing overdue")
    assert (line["severity"], line["job"], line["kind"]) == ("ERROR", "flights", "pull")
    assert (line["due_at"], line["last_good_at"]) == ("2026-03-02T06:15:00.000Z", None)


def test_a_job_stays_overdue_until_it_has_landed(watched: World, lines: TakeLogLines) -> None:
    watched.clock.advance(2 * HOUR_S)
    assert overdue(watched, lines) == ["flights"]
    watched.clock.advance(600)
    assert overdue(watched, lines) == ["flights"]

    assert watched.run_pull("flights").body["outcome"] == "landed"
    assert overdue(watched, lines) == []

    landed_at = cursors.read(watched.bucket, "flights")
    watched.clock.advance(DAY_S)
    watched.run_deliver()
    (line,) = lines("landing overdue")
    assert landed_at is not None
    assert (line["due_at"], line["last_good_at"]) == ("2026-03-03T06:15:00.000Z", landed_at.landed_at)


def test_an_export_is_overdue_until_it_is_published(world: World, lines: TakeLogLines) -> None:
    world.add_export("revenue", schedule="0 7 * * MON", time_zone="Europe/Paris")
    world.run_deliver()
    world.clock.advance(DAY_S + HOUR_S)
    assert overdue(world, lines) == ["revenue"]

    world.answer_exports(b"Code;Name\na;b\n")
    assert world.run_export("revenue").body["outcome"] == "published"
    assert overdue(world, lines) == []


@pytest.mark.parametrize("outcome", ["landed", "landed_with_skips", "nothing_new", "published"])
def test_after_a_run_that_ended_well_the_job_is_not_overdue(
    watched: World, lines: TakeLogLines, outcome: Outcome
) -> None:
    record_run(watched, outcome)
    watched.clock.advance(2 * HOUR_S)

    assert overdue(watched, lines) == []


@pytest.mark.parametrize("outcome", ["previewed", "importing", "held", "approved", "refused", "failed", "unknown"])
def test_after_any_other_outcome_the_job_is_overdue(watched: World, lines: TakeLogLines, outcome: Outcome) -> None:
    record_run(watched, outcome)
    watched.clock.advance(2 * HOUR_S)

    assert overdue(watched, lines) == ["flights"]


def test_the_best_outcome_of_several_runs_counts(watched: World, lines: TakeLogLines) -> None:
    for outcome in ("failed", "nothing_new", "previewed", "failed"):
        record_run(watched, outcome)
        watched.clock.advance(60)
    watched.clock.advance(2 * HOUR_S)

    assert overdue(watched, lines) == []


def test_a_failed_run_that_landed_rows_does_not_count(watched: World, lines: TakeLogLines) -> None:
    receipt = record_run(watched, "failed")
    cursors.move(watched.bucket, "flights", cursors.LastLanding(receipt.run, receipt.started_at, 5, "", [], ""))
    watched.clock.advance(2 * HOUR_S)

    assert overdue(watched, lines) == ["flights"]


def test_a_landing_counts_although_its_receipt_could_not_be_stored(watched: World, lines: TakeLogLines) -> None:
    run = receipts.run_id(watched.clock.now(), 0.5)
    cursors.move(watched.bucket, "flights", cursors.LastLanding(run, "2026-03-02T06:20:00.000Z", 5, "", [], ""))
    watched.clock.advance(2 * HOUR_S)

    assert overdue(watched, lines) == []


def test_a_landing_counts_although_its_receipt_was_deleted_after_its_time(world: World, lines: TakeLogLines) -> None:
    world.add_pull("flights", schedule="15 6 1 3 *")
    world.run_deliver()
    world.clock.advance(365 * DAY_S)
    assert world.run_pull("flights").body["outcome"] == "landed"
    world.clock.advance(300 * DAY_S)
    for path in world.objects("receipts/"):
        world.bucket.delete(path)

    assert overdue(world, lines) == []


def test_a_run_a_minute_before_its_time_does_not_count_but_one_half_a_minute_before_does(
    watched: World, lines: TakeLogLines
) -> None:
    watched.clock.advance(-5 * 60 - 62)
    record_run(watched, "nothing_new")
    watched.clock.advance(2 * HOUR_S)
    assert overdue(watched, lines) == ["flights"]

    watched.clock.advance(-2 * HOUR_S + 32)
    record_run(watched, "nothing_new")
    watched.clock.advance(2 * HOUR_S)
    assert overdue(watched, lines) == []


def test_a_run_after_midnight_counts_for_the_schedule_of_the_evening(world: World, lines: TakeLogLines) -> None:
    world.add_pull("flights", schedule="50 23 * * *")
    world.run_deliver()
    world.clock.advance(18 * HOUR_S)
    record_run(world, "nothing_new")
    world.clock.advance(HOUR_S)

    assert world.clock.now() == datetime(2026, 3, 2, 1, 15, tzinfo=UTC)
    assert overdue(world, lines) == []


def test_a_job_every_five_minutes_is_overdue_after_an_hour(world: World, lines: TakeLogLines) -> None:
    world.add_pull("flights", schedule="*/5 * * * *")
    world.run_deliver()
    is_overdue = []
    for _ in range(9):
        world.clock.advance(600)
        is_overdue.append(bool(overdue(world, lines)))

    assert is_overdue == [False] * 6 + [True] * 3


def test_a_monthly_job_with_nothing_to_land_is_not_overdue_until_the_next_month(
    world: World, lines: TakeLogLines
) -> None:
    world.add_pull("flights", schedule="0 7 1 * *")
    world.run_deliver()
    world.clock.advance(HOUR_S)
    record_run(world, "nothing_new")
    for _ in range(28):
        world.clock.advance(DAY_S)
        record_run(world, "previewed")

    assert overdue(world, lines) == []
    world.clock.advance(4 * DAY_S)
    assert overdue(world, lines) == ["flights"]


def test_a_landing_is_found_behind_many_previews(watched: World, lines: TakeLogLines) -> None:
    assert watched.run_pull("flights").body["outcome"] == "landed"
    for _ in range(25):
        watched.clock.advance(1)
        record_run(watched, "previewed")
    watched.clock.advance(2 * HOUR_S)

    assert overdue(watched, lines) == []


def test_a_new_job_is_due_from_its_first_scheduled_time(world: World, lines: TakeLogLines) -> None:
    world.add_pull("flights", schedule="0 6 * * *")
    for _ in range(4):
        assert overdue(world, lines) == []
        world.clock.advance(6 * HOUR_S)

    assert overdue(world, lines) == []
    world.clock.advance(HOUR_S)
    assert overdue(world, lines) == ["flights"]


@pytest.mark.parametrize("change", [{"schedule": "0 8 1 * *"}, {"time_zone": "Asia/Tokyo"}])
def test_a_changed_schedule_starts_again(watched: World, lines: TakeLogLines, change: dict[str, str]) -> None:
    watched.clock.advance(2 * HOUR_S)
    assert overdue(watched, lines) == ["flights"]

    watched.add_pull("flights", **{"schedule": DAILY, **change})
    assert overdue(watched, lines) == []


def test_other_changes_of_bridge_yaml_do_not_start_a_schedule_again(watched: World, lines: TakeLogLines) -> None:
    watched.clock.advance(2 * HOUR_S)
    assert overdue(watched, lines) == ["flights"]

    watched.add_pull("flights", schedule=DAILY, guards={"min_rows": 2})
    watched.add_pull("another", schedule=DAILY)
    assert overdue(watched, lines) == ["flights"]


def test_a_schedule_that_was_removed_and_added_again_starts_again(watched: World, lines: TakeLogLines) -> None:
    watched.add_pull("flights")
    assert overdue(watched, lines) == []
    watched.clock.advance(2 * HOUR_S)

    watched.add_pull("flights", schedule=DAILY)
    assert overdue(watched, lines) == []


def test_a_job_stays_overdue_although_the_record_of_its_schedule_is_lost(watched: World, lines: TakeLogLines) -> None:
    assert watched.run_pull("flights").body["outcome"] == "landed"
    watched.run_deliver()
    watched.clock.advance(DAY_S + 2 * HOUR_S)
    assert overdue(watched, lines) == ["flights"]

    watched.bucket.delete(paths.STATUS_RECORD)
    assert overdue(watched, lines) == ["flights"]
    watched.add_pull("flights", schedule="15 5 * * *")
    assert overdue(watched, lines) == []


def test_jobs_without_a_schedule_are_never_overdue(world: World, lines: TakeLogLines) -> None:
    world.add_relay("sales")
    world.run_deliver()
    world.clock.advance(30 * DAY_S)

    assert overdue(world, lines) == []
    assert world.objects("watch/") == []


def test_a_notification_of_pub_sub_does_not_check_for_overdue_jobs(watched: World, lines: TakeLogLines) -> None:
    watched.clock.advance(2 * HOUR_S)
    reads = watched.storage_server.fault(".*", times=-1)
    watched.run_deliver(message={"attributes": {"objectId": "inbox/sales/20260301T061500000000-a"}})

    assert lines("landing overdue") == []
    assert reads.seen == 1 + 1  # bridge.yaml, the inbox


def test_a_sweep_makes_one_request_for_each_job_that_landed(world: World, lines: TakeLogLines) -> None:
    for number in range(3):
        world.add_pull(f"flights-{number}", schedule=DAILY)
    world.run_deliver()
    world.clock.advance(DAY_S)
    for number in range(3):
        assert world.run_pull(f"flights-{number}").body["outcome"] == "landed"
    world.clock.advance(2 * HOUR_S)
    reads = world.storage_server.fault(".*", times=-1)

    assert overdue(world, lines) == []
    # bridge.yaml and the inbox; the jobs, of which one never ran; the record twice, its new version, a list of the
    # pages, and the page of all jobs
    assert reads.seen == 2 + 4 + 5


@pytest.mark.parametrize("path", [paths.STATUS_RECORD, "cursors/flights.json"])
def test_a_failed_check_is_logged_and_deliveries_still_land(watched: World, lines: TakeLogLines, path: str) -> None:
    watched.add_relay("sales")
    watched.post_delivery("sales", delivery(("1", "10")))
    watched.clock.advance(2 * HOUR_S)
    refuse = Response(403, b"{}", {"Content-Type": "application/json"})
    watched.storage_server.fault(f"GET /.*{path}", times=-1, refuse=refuse)

    answer = watched.run_deliver()

    assert (answer.status, answer.body["delivered"]) == (200, 1)
    (line,) = lines("overdue check failed")
    assert (line["severity"], line["code"]) == ("ERROR", "storage_refused")


def test_a_job_with_unreadable_records_does_not_hide_others(watched: World, lines: TakeLogLines) -> None:
    watched.add_pull("another", schedule=DAILY)
    assert overdue(watched, lines) == []
    watched.bucket.write_json("cursors/another.json", ["not", "a", "cursor"], over=None)
    watched.clock.advance(DAY_S + 2 * HOUR_S)

    # The order of jobs is random, so eight sweeps cover both orders.
    assert [overdue(watched, lines) for _ in range(8)] == [["flights"]] * 8


class _SlowClock(FakeClock):
    """A clock on which every reading takes three seconds."""

    def monotonic_s(self) -> float:
        self.advance(3)
        return super().monotonic_s()


def test_a_slow_check_stops_early_and_starts_with_other_jobs_next_time(world: World, lines: TakeLogLines) -> None:
    for number in range(8):
        world.add_pull(f"flights-{number}", schedule=DAILY)
    bridge = world.instance.config()
    watch_flow.watch(world.instance, bridge)
    world.clock.advance(DAY_S + 2 * HOUR_S)
    world.clock.__class__ = _SlowClock
    reported: set[str] = set()

    for _ in range(100):
        watch_flow.watch(world.instance, bridge)
        jobs = {line["job"] for line in lines("landing overdue")}
        assert len(jobs) < 8
        reported |= jobs
        if len(reported) == 8:
            return
    pytest.fail(f"only {reported} were ever reported")


def test_an_unexpected_exception_is_logged_and_not_raised(world: World, lines: TakeLogLines) -> None:
    class Broken(Instance):
        @property
        def bucket(self) -> Any:
            raise ZeroDivisionError

    watch_flow.watch(Broken(world.clock), world.instance.config())

    (line,) = lines("overdue check failed")
    assert line["code"] == "internal"


def test_the_age_of_the_oldest_waiting_delivery_is_logged(world: World, lines: TakeLogLines) -> None:
    world.add_relay("sales")
    world.add_relay("costs")
    world.post_delivery("sales", delivery(("1", "10")))
    world.clock.advance(100)
    world.post_delivery("costs", delivery(("2", "20")))
    world.clock.advance(100)
    world.pigment_server.fault(PUSH, times=-1, refuse=Response(429, b"{}", {"Retry-After": "9999"}))
    world.run_deliver()
    (line,) = lines("inbox processed")
    assert (line["waiting"], line["delivered"], line["sweep"]) == (2, 0, True)
    assert line["oldest_waiting_s"] == 200

    world.pigment_server.heal()
    world.clock.advance(HOUR_S + 1)
    world.run_deliver()
    (line,) = lines("inbox processed")
    assert (line["waiting"], line["delivered"], line["dead"], line["oldest_waiting_s"]) == (0, 2, 0, 0)


def test_a_foreign_object_in_the_inbox_has_no_age(world: World, lines: TakeLogLines) -> None:
    world.bucket.create("inbox/gone/notes.txt", b"hello", {}, content_type="text/plain")

    world.run_deliver()

    (line,) = lines("inbox processed")
    assert (line["waiting"], line["oldest_waiting_s"]) == (1, 0)


def test_an_age_that_cannot_be_read_does_not_change_the_answer(world: World, lines: TakeLogLines) -> None:
    world.bucket.create("inbox/gone/20260301T061500000000-a", b"{}", {}, content_type="application/json")
    answer = world.run_deliver()
    refuse = Response(403, b"{}", {"Content-Type": "application/json"})
    world.storage_server.fault("GET /storage/v1/b/bucket/o$", after=2, times=-1, refuse=refuse)

    assert world.run_deliver().body == answer.body
    assert [line["oldest_waiting_s"] for line in lines("inbox processed")] == [0, None]


def test_the_log_line_of_a_call_does_not_name_one_of_its_runs(watched: World, lines: TakeLogLines) -> None:
    watched.add_relay("sales")
    watched.post_delivery("sales", delivery(("1", "10")))
    watched.clock.advance(2 * HOUR_S)
    watched.run_deliver(message={"attributes": {"objectId": "inbox/sales/x"}})

    (line,) = lines("inbox processed")
    assert (line["delivered"], line["sweep"]) == (1, False)
    assert "run" not in line
    assert "job" not in line
