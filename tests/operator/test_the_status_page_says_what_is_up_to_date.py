"""After each run and each sweep, the bucket has pages that say whether the numbers in Pigment are up to date."""

import itertools
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.flows import status as status_flow
from common.flows.status import BucketLinks
from common.runs import receipts
from common.runs.receipts import Outcome, Receipt
from common.status.page import index_page, job_page
from common.status.record import JobRecord, PastRun, StatusRecord, Waiting
from common.status.standing import StandingName, sentence_of, standing_of
from common.storage import paths
from local.sandbox.wire import Response
from tests.support.command_line import run_deployed
from tests.support.read_back import fill_list, read_back
from tests.support.trips import Trip, Trips
from tests.support.world import CONFIGURATION, PUSH, World, delivery

DAY_S = 24 * 3600.0
NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
DAILY: dict[str, Any] = {"schedule": "15 6 * * *", "time_zone": "Europe/Paris", "since": "2026-01-01T00:00:00.000Z"}


def index(world: World) -> str:
    return world.bucket.read(paths.STATUS_PAGE).decode()


def page(world: World, job: str) -> str:
    return world.bucket.read(paths.status_page(job)).decode()


def recorded(world: World) -> StatusRecord:
    stored = world.bucket.read_json(paths.STATUS_RECORD, StatusRecord)
    assert stored is not None
    return stored.value


def past_run(outcome: Outcome = "landed", *, hours_ago: float = 1, **fields: Any) -> PastRun:
    started = NOW - timedelta(hours=hours_ago)
    landed = 5 if outcome in ("landed", "landed_with_skips", "published") else None
    return PastRun(receipts.run_id(started, 0.5), started.isoformat(), outcome, **{"landed": landed, **fields})


def kept_out_by(hours_ago: float) -> str:
    """The cause of a run that found another one of that time open."""
    return f"Run {past_run(hours_ago=hours_ago).run} of flights is not settled."


def landed_now(world: World, job: str = "flights-0", chance: float = 0.5) -> Receipt:
    run = receipts.run_id(world.clock.now(), chance)
    return Receipt(run, job, "pull", "2026-03-01T06:15:00.000Z", "landed", receipts.Rows(read=7, sent=7))


def standing(*runs: PastRun, kind: str = "pull", **fields: Any) -> tuple[StandingName, str]:
    found = standing_of(JobRecord(kind, **{**DAILY, **fields}).with_runs(runs), NOW)
    return found.name, found.reason


def test_a_run_is_on_the_pages_at_once(world: World) -> None:
    world.add_pull("flights", title="Flights, in Sales planning")

    run = world.run_pull("flights").body["run"]

    assert "The only job is up to date as of 2026-03-01 06:15 UTC." in index(world)
    assert "pull: Flights, in Sales planning" in index(world)
    assert run in page(world, "flights")
    assert [each.run for each in recorded(world).jobs["flights"].runs] == [run]


def test_a_block_that_cannot_be_compared_is_not_called_up_to_date(world: World) -> None:
    block = fill_list(world)
    read_back(world, block, {"columns": {"Flights Delay": "Minutes"}})

    assert world.run_pull("flights").receipt["verified"] == "impossible"

    assert "0 of 1 jobs are up to date" in index(world)
    assert "flights landed and cannot be compared" in index(world)
    assert "The block does not have exactly one column Minutes." in index(world)


def test_an_old_number_that_nothing_renews_is_not_called_up_to_date(world: World) -> None:
    world.run_pull("flights")
    world.clock.advance(31 * 24 * 3600)
    world.run_deliver()

    assert "0 of 1 jobs are up to date" in index(world)
    assert "flights has no schedule" in index(world)
    assert "No schedule runs it. Its last run began at 2026-03-01 06:15 UTC." in index(world)


def test_all_times_on_the_page_are_in_one_time_zone(world: World) -> None:
    world.add_pull("flights", schedule="15 6 * * *", time_zone="Europe/Paris")
    world.add_pull("by-hand")
    world.run_pull("flights")
    world.run_pull("by-hand")

    html = index(world)

    assert "Europe/Paris" in html
    assert "UTC" not in html


def test_a_failed_run_shows_why_and_what_to_do(world: World) -> None:
    world.pigment_server.fault(PUSH, times=-1, refuse=Response(403, b"{}"))

    error = world.run_pull("flights").body["error"]

    assert "0 of 1 jobs are up to date" in index(world)
    assert "flights failed" in index(world)
    for words in (error["message"][:40], error["next_step"][:40]):
        assert words in index(world)
        assert words in page(world, "flights")


def test_a_load_with_windows_left_is_not_up_to_date(world: World) -> None:
    trips = Trips(world, repeatable=True, start="2025-01-01")
    trips.put([Trip(month, datetime(2025, month, 5)) for month in range(1, 13)])  # noqa: DTZ001
    world.raw["pulls"] = {"trips": world.raw["pulls"]["trips"]}
    world.save_jobs()

    receipt = world.run_pull("trips", windows=1).receipt

    (shown,) = json.loads(run_deployed("status", "--json", clock=world.clock).output)
    assert receipt["progress"]["done"] is False
    assert (shown["verdict"], shown["up_to_date"]) == ("waiting", False)
    assert shown["reason"].startswith(f"It has loaded up to {receipt['progress']['reached']} of ")


def test_a_preview_is_not_a_run(world: World) -> None:
    assert world.run_pull("flights", preview=True).status == 200

    assert world.objects(paths.STATUS) == []


def test_a_delivery_and_an_export_are_shown(world: World) -> None:
    world.add_relay("sales")
    world.add_export("revenue")
    world.answer_exports(b"Code;Name\na;b\n")
    world.post_delivery("sales", delivery(("1", "10")))
    world.run_deliver(message={"attributes": {"objectId": "inbox/sales/20260301T061500000000-a"}})
    world.run_export("revenue")

    jobs = recorded(world).jobs
    assert [(jobs[name].kind, jobs[name].runs[0].outcome) for name in ("sales", "revenue")] == [
        ("relay", "landed"),
        ("export", "published"),
    ]


def test_a_run_costs_at_most_five_calls_of_storage(world: World) -> None:
    for number in range(3):
        world.add_pull(f"flights-{number}")
    world.run_pull("flights-0")
    bridge, ended = world.instance.config(), landed_now(world)
    calls = world.storage_server.fault(".*", times=-1)

    status_flow.note(world.instance, bridge, [ended])

    assert ended.run in page(world, "flights-0")
    assert calls.seen == 5 + 1  # with the test's own


def test_a_run_that_was_killed_before_it_wrote_the_page_is_shown_by_the_next_sweep(world: World) -> None:
    world.run_deliver()
    run = receipts.run_id(world.clock.now(), 0.5)
    receipts.file(world.bucket, landed_now(world, "flights"))
    assert run not in str(recorded(world))

    world.clock.advance(600)
    world.run_deliver()

    assert recorded(world).jobs["flights"].runs[0].run == run
    assert run in page(world, "flights")
    assert ">7<" in index(world)


def test_a_job_that_has_not_run_has_a_page(world: World) -> None:
    world.run_deliver()

    assert "Not run yet" in page(world, "flights")


def test_the_page_of_a_job_says_that_it_is_late_as_the_page_of_all_jobs_does(world: World) -> None:
    world.add_pull("flights", schedule="15 6 * * *")
    world.run_deliver()
    assert world.run_pull("flights").status == 200
    assert "Landed</b>" in page(world, "flights")

    world.clock.advance(DAY_S + 2 * 3600)
    world.run_deliver()

    assert "flights is late" in index(world)
    assert "Late</b>" in page(world, "flights")
    assert 'data-old-after="2026-03-03T08:15:00.000Z"' in page(world, "flights")


def test_the_page_of_a_job_that_a_killed_run_did_not_write_is_written_by_the_next_sweep(world: World) -> None:
    world.run_deliver()
    ended = landed_now(world, "flights")
    world.storage_server.fault("GET /storage/v1/b/bucket/o$", times=-1, refuse=Response(403, b"{}"))
    status_flow.note(world.instance, world.instance.config(), [ended])
    world.storage_server.heal()
    assert ended.run not in page(world, "flights")

    world.clock.advance(600)
    world.run_deliver()

    assert ended.run in page(world, "flights")


def test_a_sweep_writes_no_page_of_a_job_that_shows_the_same(world: World) -> None:
    world.run_pull("flights")
    world.run_deliver()
    written = world.bucket.find(paths.status_page("flights"))

    world.clock.advance(600)
    world.run_deliver()

    assert world.bucket.find(paths.status_page("flights")) == written


def test_a_run_that_began_before_the_last_sweep_and_was_killed_after_it_is_shown(world: World) -> None:
    begun = receipts.run_id(world.clock.now(), 0.5)
    world.clock.advance(50 * 60)
    world.run_deliver()
    assert recorded(world).jobs["flights"].runs == []
    receipts.file(world.bucket, Receipt(begun, "flights", "pull", "2026-03-01T06:15:00.000Z", "failed"))

    world.clock.advance(600)
    world.run_deliver()

    assert [each.run for each in recorded(world).jobs["flights"].runs] == [begun]


def test_an_outcome_that_was_settled_later_is_shown_by_the_next_sweep(world: World) -> None:
    run = receipts.run_id(world.clock.now(), 0.5)
    begun = Receipt(run, "flights", "pull", "2026-03-01T06:15:00.000Z", "importing", receipts.Rows(read=7, sent=7))
    receipts.file(world.bucket, begun)
    world.run_deliver()
    assert "● </span>" not in index(world)
    assert standing_of(recorded(world).jobs["flights"], world.clock.now()).name == "waiting"

    for _ in range(2):
        world.clock.advance(5 * 3600)
        world.run_deliver()
    receipts.file(world.bucket, Receipt(run, "flights", "pull", begun.started_at, "landed", begun.rows))
    world.run_deliver()

    assert standing_of(recorded(world).jobs["flights"], world.clock.now()).name == "landed"


def test_what_a_sweep_has_read_is_not_replaced_by_what_the_record_had_before(world: World) -> None:
    run = receipts.run_id(world.clock.now(), 0.5)
    begun = Receipt(run, "flights", "pull", "2026-03-01T06:15:00.000Z", "importing", receipts.Rows(read=7, sent=7))
    receipts.file(world.bucket, begun)
    world.run_deliver()
    landed = msgspec.structs.replace(begun, outcome="landed", verified="not_yet")
    receipts.file(world.bucket, landed)

    world.clock.advance(600)
    world.run_deliver()

    assert standing_of(recorded(world).jobs["flights"], world.clock.now()).name == "landed"


def test_a_held_run_that_was_approved_is_no_longer_held(world: World) -> None:
    run = receipts.run_id(world.clock.now(), 0.5)
    held = Receipt(run, "flights", "pull", "2026-03-01T06:15:00.000Z", "held", receipts.Rows(read=7))
    receipts.file(world.bucket, held)
    world.run_deliver()
    receipts.decide(world.bucket, msgspec.structs.replace(held, outcome="approved"))

    world.clock.advance(600)
    world.run_deliver()

    job = recorded(world).jobs["flights"]
    assert [each.outcome for each in job.runs] == ["approved"]
    assert job.open_runs() == []
    assert "held" not in page(world, "flights")
    assert "without success" not in index(world)


def test_of_several_runs_in_one_second_the_last_counts(world: World) -> None:
    second = "20260301T061500"
    first = Receipt(f"{second}-ffffffff", "flights", "pull", "2026-03-01T06:15:00.100Z", "landed")
    last = Receipt(f"{second}-00000000", "flights", "pull", "2026-03-01T06:15:00.900Z", "failed")

    status_flow.note(world.instance, world.instance.config(), [first, last])

    assert recorded(world).jobs["flights"].runs[0].run == last.run
    assert "flights failed" in index(world)


def test_the_runs_of_an_earlier_job_of_another_kind_are_not_those_of_a_job(world: World) -> None:
    assert world.run_pull("flights").body["outcome"] == "landed"
    world.run_deliver()
    del world.raw["pulls"]["flights"]
    world.add_export("flights")

    world.clock.advance(600)
    world.run_deliver()

    assert recorded(world).jobs["flights"].runs == []
    assert "flights has not run yet" in index(world)


def test_only_the_last_of_several_windows_is_read_again() -> None:
    runs = [past_run(verified="not_yet", hours_ago=hours) for hours in range(3)]

    assert JobRecord("pull").with_runs(runs).open_runs() == [runs[0].run]
    assert JobRecord("pull").with_runs([past_run("nothing_new", hours_ago=-1), *runs]).open_runs() == [runs[0].run]
    importing = past_run("importing", hours_ago=9)
    assert JobRecord("pull").with_runs([*runs, importing]).open_runs() == [runs[0].run, importing.run]


def test_deliveries_that_wait_are_shown_with_the_oldest(world: World) -> None:
    world.add_relay("sales")
    world.pigment_server.fault(PUSH, times=-1, refuse=Response(503, b"{}", {"Retry-After": "900"}))
    world.post_delivery("sales", delivery(("1", "10")))
    world.clock.advance(60)
    world.post_delivery("sales", delivery(("2", "20")))

    world.run_deliver()

    waiting = recorded(world).jobs["sales"].waiting
    assert waiting == Waiting(2, "2026-03-01T06:15:00.000Z")


def test_a_run_keeps_its_outcome_when_the_page_cannot_be_written(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.storage_server.fault("GET .*status.*", times=-1, refuse=Response(403, b"{}"))

    answer = world.run_pull("flights")

    assert (answer.status, answer.body["outcome"]) == (200, "landed")
    lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    assert [line["code"] for line in lines if line["event"] == "status page not written"] == ["storage_refused"]


def test_no_failure_of_storage_is_raised_to_a_run(world: World) -> None:
    bridge, ended = world.instance.config(), landed_now(world, "flights")
    for request in range(5):
        world.storage_server.fault(".*", after=request, times=1, refuse=Response(403, b"{}"))
        status_flow.note(world.instance, bridge, [ended])
        world.storage_server.heal()

    status_flow.note(world.instance, bridge, [ended])
    assert ended.run in page(world, "flights")


def test_a_run_soon_gives_up_a_page_that_storage_does_not_take(world: World) -> None:
    world.bucket.retry = world.bucket.retry.with_delay(initial=0.001, maximum=0.002)
    world.bucket.patience_s = 0.2
    busy = world.storage_server.fault("GET .*status.*", times=-1, refuse=Response(503, b"{}"))

    assert world.run_pull("flights").body["outcome"] == "landed"

    assert 1 < busy.seen < 200


def test_two_writers_at_the_same_moment_both_are_shown(world: World) -> None:
    world.add_pull("other")
    world.run_deliver()
    bridge = world.instance.config()
    ended = [landed_now(world, "flights", 0.2), landed_now(world, "other", 0.3)]
    second = iter([ended[1]])

    def write_between() -> None:
        for receipt in second:
            status_flow.note(world.instance, bridge, [receipt])

    world.storage_server.fault("POST /upload/.*", act=write_between)
    status_flow.note(world.instance, bridge, [ended[0]])

    assert {name: len(job.runs) for name, job in recorded(world).jobs.items()} == {"flights": 1, "other": 1}
    assert {receipt.run in page(world, receipt.job) for receipt in ended} == {True}
    assert index(world).count("Landed</b>") == 2


def test_a_slower_writer_does_not_replace_a_newer_page(world: World) -> None:
    world.run_deliver()
    bridge = world.instance.config()
    older, newer = (landed_now(world, "flights", chance) for chance in (0.2, 0.3))
    later = iter([newer])

    def write_between() -> None:
        for receipt in later:
            status_flow.note(world.instance, bridge, [receipt])

    # Between its record and its pages, another run writes both.
    world.storage_server.fault("GET /storage/v1/b/bucket/o$", act=write_between)
    status_flow.note(world.instance, bridge, [older])

    assert [each.run for each in recorded(world).jobs["flights"].runs] == [newer.run, older.run]
    assert newer.run in page(world, "flights")


def test_a_record_that_cannot_be_read_is_made_again(world: World) -> None:
    run = world.run_pull("flights").body["run"]
    world.bucket.write_json(paths.STATUS_RECORD, ["not", "a", "record"], over=None)

    world.run_deliver()

    assert [each.run for each in recorded(world).jobs["flights"].runs] == [run]
    assert recorded(world).jobs["flights"].landing is not None


def test_a_job_that_is_no_longer_in_bridge_yaml_is_not_shown(world: World) -> None:
    world.add_pull("other")
    world.run_pull("other")
    del world.raw["pulls"]["other"]
    world.save_jobs()

    world.run_deliver()

    assert list(recorded(world).jobs) == ["flights"]


def test_names_and_messages_are_text_on_the_page() -> None:
    title, cause = "<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>"
    failed = past_run("failed", code="our_fault", cause=cause, next_step="<b>")
    job = JobRecord("pull", [failed], title=title)
    pages = [
        index_page(StatusRecord("", {"flights": job}), NOW, BucketLinks("b")),
        job_page("flights", job, NOW, BucketLinks("b")),
    ]

    for html in pages:
        assert "&lt;script&gt;alert(1)" in html
        assert "<img" not in html
        assert html.count("<script>") == 1


def test_links_are_addresses_that_a_browser_with_a_google_login_opens() -> None:
    html = index_page(StatusRecord("", {"flights": JobRecord("pull")}), NOW, BucketLinks("acme-bridge"))

    assert 'href="https://storage.cloud.google.com/acme-bridge/status/jobs/flights.html"' in html


def test_fifty_jobs_with_thirty_runs_are_at_most_100_kilobytes() -> None:
    chance = random.Random(1)
    long = {"code": "pigment_busy", "cause": "Pigment answered 503. " * 20, "next_step": "Wait. " * 40}
    jobs = {
        f"job-with-a-long-name-{number}": JobRecord("pull", title=f"Cost centres by month {number}", **DAILY).with_runs(
            past_run(
                "failed" if chance.random() < 0.2 else "landed",
                hours_ago=place * 24,
                **({"landed": None, **long} if place == 0 else {"landed": chance.randrange(10**6)}),
            )
            for place in range(30)
        )
        for number in range(50)
    }

    assert len(index_page(StatusRecord("", jobs), NOW, BucketLinks("acme-planning-bridge")).encode()) <= 100_000


@pytest.mark.parametrize(
    ("runs", "fields", "expected"),
    [
        ([], {"schedule": ""}, "new"),
        ([past_run()], {}, "landed"),
        ([past_run(verified="equal")], {}, "equal"),
        ([past_run(verified="not_yet")], {}, "landed"),
        ([past_run(verified="impossible", cause="The block was not compared.")], {}, "not_compared"),
        ([past_run("published")], {"kind": "export"}, "published"),
        ([past_run("published", hours_ago=25)], {"kind": "export", "schedule": ""}, "on_demand"),
        ([past_run(hours_ago=25, verified="equal")], {"schedule": ""}, "on_demand"),
        ([past_run(hours_ago=23, verified="equal")], {"schedule": ""}, "equal"),
        ([past_run("nothing_new"), past_run(hours_ago=25)], {"schedule": ""}, "landed"),
        ([past_run(hours_ago=800)], {"kind": "relay", "schedule": ""}, "landed"),
        ([past_run("landed_with_skips", skipped=3)], {}, "skipped"),
        ([past_run("landed_with_skips", held=2)], {}, "skipped"),
        ([past_run("nothing_new"), past_run(hours_ago=30, verified="equal")], {}, "equal"),
        ([past_run("nothing_new"), past_run("landed_with_skips", hours_ago=30, skipped=3)], {}, "skipped"),
        ([past_run("importing")], {"schedule": ""}, "waiting"),
        ([past_run("occupied", code="configuration_occupied")], {"schedule": ""}, "waiting"),
        ([past_run("landed")], {"waiting": Waiting(1, "2026-03-02T07:00:00Z"), "schedule": ""}, "waiting"),
        ([past_run(hours_ago=5)], {}, "late"),
        ([past_run("importing", hours_ago=5)], {}, "late"),
        ([past_run("failed", code="pigment_busy")], {}, "failed"),
        ([past_run("failed", code="pigment_busy", hours_ago=5)], {}, "failed"),
        ([past_run("unknown", code="landing_unknown")], {}, "unknown"),
        ([past_run("failed", code="landing_unknown", read=3)], {}, "failed"),
        (
            [
                past_run("failed", code="landing_unknown", cause=kept_out_by(2)),
                past_run("unknown", code="landing_unknown", hours_ago=2, read=3),
            ],
            {},
            "unknown",
        ),
        ([past_run("failed", code="landing_unknown", cause=kept_out_by(2)), past_run(hours_ago=2)], {}, "landed"),
        ([past_run("failed", code="landing_unknown", cause=kept_out_by(3)), past_run(hours_ago=2)], {}, "failed"),
        ([past_run("failed", code="landing_unknown")], {}, "failed"),
        ([past_run("refused", code="too_few_rows")], {}, "failed"),
        ([past_run("held", code="awaiting_approval")], {}, "held"),
        ([past_run("failed", code="not_equal", cause="3 rows differ.")], {}, "not_equal"),
        ([past_run(), past_run("failed", code="pigment_busy", hours_ago=2)], {}, "landed"),
        (
            [past_run("nothing_new"), past_run("failed", code="pigment_busy", hours_ago=2), past_run(hours_ago=3)],
            {},
            "landed",
        ),
        (
            [
                past_run("nothing_new"),
                past_run("failed", code="not_equal", cause="3 rows differ.", hours_ago=2),
                past_run(hours_ago=3),
            ],
            {},
            "not_equal",
        ),
        ([past_run("nothing_new"), past_run("failed", code="too_many_skipped", hours_ago=2)], {}, "failed"),
        (
            [
                past_run("nothing_new"),
                past_run("failed", code="looker_login_refused", hours_ago=2),
                past_run("failed", code="too_many_skipped", hours_ago=3),
                past_run(hours_ago=4, verified="equal"),
            ],
            {},
            "failed",
        ),
        ([past_run(left="up to 2025-02-01 of 2026-03-01")], {}, "waiting"),
        ([past_run(), past_run(hours_ago=2, left="up to 2025-02-01 of 2026-03-01")], {}, "landed"),
        ([past_run(), past_run("failed", code="not_equal", hours_ago=2)], {}, "landed"),
    ],
)
def test_a_job_stands_as_its_last_runs_say(runs: list[PastRun], fields: dict[str, Any], expected: StandingName) -> None:
    name, reason = standing(*runs, **fields)

    assert name == expected
    assert bool(reason) == (expected not in ("landed", "equal", "published"))


def test_the_sentence_on_top_names_what_is_not_up_to_date() -> None:
    good, late = (
        standing_of(JobRecord("pull").with_runs([past_run()]), NOW),
        standing_of(JobRecord("pull", **DAILY), NOW),
    )

    assert sentence_of([], "noon") == "bridge.yaml has no jobs."
    assert sentence_of([("a", good)], "noon") == "The only job is up to date as of noon."
    assert sentence_of([("a", good), ("b", good)], "noon") == "All 2 jobs are up to date as of noon."
    assert sentence_of([("a", good), ("b", late)], "noon") == "1 of 2 jobs is up to date as of noon: b is late."
    many = [(f"j{number}", late) for number in range(7)]
    assert sentence_of(many, "noon").endswith("j3 is late, j4 is late, and 2 more.")


def runs_of_a_job() -> Iterator[PastRun]:
    for hours in range(4):
        yield past_run("importing", hours_ago=hours)
        yield past_run("landed", hours_ago=hours, verified="not_yet")
        yield past_run("landed", hours_ago=hours, verified="equal")


@given(st.permutations(list(itertools.islice(runs_of_a_job(), 12))))
def test_the_order_in_which_writers_add_runs_does_not_matter(runs: list[PastRun]) -> None:
    one_by_one = JobRecord("pull")
    for run in runs:
        one_by_one = one_by_one.with_runs([run])

    assert [(run.outcome, run.verified) for run in one_by_one.runs] == [("landed", "equal")] * 4
    assert one_by_one == JobRecord("pull").with_runs(one_by_one.runs)


def test_the_record_has_no_row_values_and_no_secrets(world: World) -> None:
    world.run_pull("flights")
    world.run_deliver()

    text = " ".join(world.bucket.read(path).decode() for path in world.objects(paths.STATUS))
    assert "Newark" not in text
    assert "pigment-import-key" not in text
    assert CONFIGURATION in json.dumps(text)


def test_a_sweep_shows_what_is_left_of_lookers_licence(world: World) -> None:
    world.raw["looker"]["licence"] = "standard"
    world.add_pull("flights", schedule="15 6 * * *", target={"repeatable": True})
    for _ in range(3):
        assert world.run_pull("flights").status == 200
    assert "licence" not in index(world)

    world.run_deliver()

    # Three of March 1st, and one on each of the thirty days that follow.
    words = "3 of 1,000 query-based calls used, 33 by the end of the month, 997 left"
    assert f"Looker&#x27;s licence in 2026-03: {words}" in index(world)
    world.run_pull("flights")
    assert words in index(world), "a run keeps what the sweep knew"
    del world.raw["looker"]["licence"]
    world.save_jobs()
    world.run_pull("flights")
    assert "licence" not in index(world)


def test_without_a_licence_a_sweep_lists_no_calls(world: World) -> None:
    world.storage_server.keep_bytes = 1
    world.run_pull("flights")
    world.run_deliver()
    world.bucket.exists("anything")

    listed = [exchange.query.get("prefix", [""])[0] for exchange in world.storage_server.exchanges]
    assert not [prefix for prefix in listed if prefix.startswith("usage/")]
