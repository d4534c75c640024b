"""`bridge resend` sends the staged file of a run again, and the job's next run continues as if it had not."""

from datetime import datetime
from typing import Any

import msgspec
import pytest

from common.runs import cursors
from common.runs.receipts import Receipt
from local.sandbox.wire import Response
from tests.support.command_line import run_deployed
from tests.support.trips import Trip, Trips, told
from tests.support.world import CONFIGURATION, EXPORTS, HEADER, PUSH, ROWS, World, delivery

KEY = ["Flights Day", "Flights Carrier"]
JANUARY, FEBRUARY = (Trip(month, datetime(2026, month, 2)) for month in (1, 2))  # noqa: DTZ001  # as Looker sends it


def resend(run: str, *options: str) -> Receipt:
    answer = run_deployed("resend", run, "--json", *options)
    return msgspec.json.decode(answer.output, type=Receipt)


def refusal(run: str, *options: str) -> str:
    """The error of a command that sent nothing."""
    answer = run_deployed("resend", run, *options)
    assert (answer.status, answer.output) == (1, "")
    return answer.errors


def pushed(world: World) -> list[bytes]:
    return [each.body for each in world.pigment_server.exchanges if each.path.endswith("/import/push/csv")]


@pytest.fixture
def keyed(world: World) -> World:
    """The pull `flights` into a list with a key."""
    block = world.pigment.block(world.pigment.application("Planning"), "Keyed flights")
    configuration = world.pigment.configuration(block, HEADER, unique=KEY)
    world.add_pull("flights", target={"configuration": configuration, "repeatable": True})
    return world


def test_the_same_bytes_land_under_a_receipt_of_their_own(keyed: World) -> None:
    first = keyed.run_pull("flights").receipt
    keyed.put_flights([*ROWS, ["2013-01-04", "WN", "MDW", "5"]])

    again = resend(first["run"])

    assert (again.outcome, again.sha256, again.rows.sent) == ("landed", first["sha256"], len(ROWS))
    assert again.run != first["run"]
    assert again.warnings == [f"This run sent the file of run {first['run']} once more."]
    assert pushed(keyed)[0] == pushed(keyed)[1]
    assert [each["run"] for each in keyed.receipts()] == [first["run"], again.run]


def test_an_older_file_warns_that_a_newer_one_had_landed(keyed: World) -> None:
    first = keyed.run_pull("flights").receipt
    keyed.clock.advance(60)
    second = keyed.run_pull("flights").receipt

    again = resend(first["run"])

    assert f"Run {second['run']} had landed later" in again.warnings[1]


def test_what_pigment_refused_lands_later(keyed: World) -> None:
    keyed.pigment_server.fault(PUSH, refuse=Response(400, b'{"title": "No"}'))
    refused = keyed.run_pull("flights")

    again = resend(refused.receipt["run"])

    assert (refused.code, again.outcome) == ("file_refused", "landed")


def test_an_append_needs_a_yes(world: World) -> None:
    run = world.run_pull("flights").receipt["run"]

    assert "would be doubled" in refusal(run)
    assert len(world.imports) == 1
    assert resend(run, "--yes").outcome == "landed"
    assert len(world.landed_rows()) == 2 * len(ROWS)


def test_what_a_guard_refused_needs_a_yes(keyed: World) -> None:
    target = keyed.raw["pulls"]["flights"]["target"]
    keyed.add_pull("flights", guards={"max_shrink": "20%"}, target=target)
    keyed.run_pull("flights")
    keyed.clock.advance(60)
    keyed.put_flights(ROWS[:1])
    refused = keyed.run_pull("flights").receipt
    keyed.clock.advance(60)

    assert "was refused (shrunk), and not sent" in refusal(refused["run"])
    assert keyed.run_pull("flights").code == "shrunk"
    keyed.clock.advance(60)
    again = resend(refused["run"], "--yes")

    assert again.outcome == "landed"
    assert again.warnings == [f"A person sent the file of run {refused['run']}, which was refused (shrunk)."]


def test_a_held_file_that_was_superseded_needs_a_yes(keyed: World) -> None:
    target = keyed.raw["pulls"]["flights"]["target"]
    keyed.add_pull("flights", guards={"approve": {"max_changed": "10%"}}, target=target)
    keyed.run_pull("flights")
    keyed.clock.advance(60)
    keyed.put_flights(ROWS[:1])
    held = keyed.run_pull("flights").receipt["run"]
    keyed.clock.advance(60)
    keyed.put_flights(ROWS)
    keyed.run_pull("flights")

    assert "was refused (not_approved), and not sent" in refusal(held)


def test_a_file_with_another_delimiter_is_not_sent(keyed: World) -> None:
    run = keyed.run_pull("flights").receipt["run"]
    keyed.raw["pulls"]["flights"]["target"]["delimiter"] = ";"
    keyed.save_jobs()

    assert "has another delimiter than target.delimiter says now" in refusal(run)


def test_a_file_that_no_guard_has_judged_is_not_there(keyed: World) -> None:
    carriers = keyed.pigment.block(keyed.pigment.application("Planning"), "Carriers", "DimensionList", {"Code": "text"})
    target = keyed.raw["pulls"]["flights"]["target"]
    known = {"columns": {"Flights Carrier": {"list": carriers, "property": "Code"}}}
    keyed.add_pull("flights", target=target, known=known)
    keyed.pigment_server.fault(EXPORTS, times=-1, refuse=Response(503))

    failed = keyed.run_pull("flights")

    assert failed.code == "pigment_busy"
    assert "has sent no file that is still in the bucket" in refusal(failed.receipt["run"])


SCHEDULED = {"X-CloudScheduler-ScheduleTime": "2026-03-01T06:15:00Z"}


def test_a_repeated_call_finds_that_its_rows_have_landed(world: World) -> None:
    """Cloud Scheduler repeats a call that failed."""
    world.pigment_server.fault(PUSH, refuse=Response(502))
    unknown = world.run_pull("flights", headers=SCHEDULED).receipt
    assert unknown["call"] == SCHEDULED["X-CloudScheduler-ScheduleTime"]
    assert run_deployed("settle", unknown["run"], "--not-landed", clock=world.clock).status == 0
    world.clock.advance(60)
    resend(unknown["run"], "--yes")
    world.clock.advance(240)

    again = world.run_pull("flights", headers=SCHEDULED)

    assert (again.status, again.receipt["outcome"]) == (200, "landed")
    assert len(world.landed_rows()) == len(ROWS)


def test_an_older_file_does_not_answer_for_the_call_that_landed_later(world: World) -> None:
    first = world.run_pull("flights", headers={"X-CloudScheduler-ScheduleTime": "2026-03-01T05:15:00Z"}).receipt
    world.clock.advance(60)
    world.run_pull("flights", headers=SCHEDULED)
    resend(first["run"], "--yes")

    world.run_pull("flights", headers=SCHEDULED)

    assert len(world.landed_rows()) == 3 * len(ROWS)


def test_an_incremental_load_continues_where_it_was(world: World) -> None:
    trips = Trips(world, repeatable=True)
    trips.put([JANUARY, FEBRUARY])
    world.run_pull("trips")
    window = world.receipts("trips")[0]["run"]
    before = cursors.read(world.bucket, "trips")
    world.clock.advance(60)

    again = resend(window)

    after = cursors.read(world.bucket, "trips")
    assert again.outcome == "landed"
    assert before
    assert after
    assert (after.value, after.column, after.run) == (before.value, before.column, again.run)
    assert world.run_pull("trips").receipt["outcome"] == "nothing_new"
    assert trips.landed() == told([JANUARY, FEBRUARY])


def test_the_rows_of_a_window_that_has_not_landed_are_left_to_the_job(world: World) -> None:
    trips = Trips(world, repeatable=True)
    trips.put([JANUARY])
    world.pigment_server.fault(PUSH, refuse=Response(400))
    failed = world.run_pull("trips").receipt["run"]

    assert "have not landed yet" in refusal(failed)
    assert trips.landed() == told([])


def test_of_a_changes_load_only_the_last_file_is_sent_again(keyed: World) -> None:
    target = keyed.raw["pulls"]["flights"]["target"]
    keyed.add_pull("flights", load={"changes": {"key": KEY}}, target=target)
    first = keyed.run_pull("flights").receipt["run"]
    keyed.clock.advance(60)
    keyed.put_flights([*ROWS, ["2013-01-04", "WN", "MDW", "5"]])
    second = keyed.run_pull("flights").receipt["run"]

    assert "Only the file of the last landing" in refusal(first)
    assert resend(second).rows.sent == 1
    keyed.clock.advance(60)
    assert resend(second).rows.sent == 1
    assert keyed.run_pull("flights").receipt["outcome"] == "nothing_new"


def test_the_rows_of_a_delivery_are_sent_again(world: World) -> None:
    world.add_relay("sales", keep="latest", target={"repeatable": True})
    configuration = world.raw["relays"]["sales"]["target"]["configuration"]
    world.post_delivery("sales", delivery(("a", "1")))
    world.run_deliver()
    before = cursors.read(world.bucket, "sales")
    (run,) = (each["run"] for each in world.receipts("sales"))

    again = resend(run)

    after = cursors.read(world.bucket, "sales")
    assert (again.outcome, again.kind) == ("landed", "relay")
    assert before
    assert after
    assert after.tick == before.tick
    assert [row["Id"] for row in world.pigment.rows(configuration)] == ["a", "a"]


def test_a_run_without_a_file_says_what_to_do(world: World) -> None:
    run = world.run_pull("flights").receipt["run"]
    world.bucket.delete(f"staged/flights/{run}.csv")

    assert "Staged files are deleted after retention_days.staged" in refusal(run, "--yes")
    assert "There is no receipt of a run 20260301T061500-00000000" in refusal("20260301T061500-00000000")
    assert len(world.imports) == 1


def test_nothing_is_sent_while_a_landing_is_unknown(world: World) -> None:
    landed = world.run_pull("flights").receipt["run"]
    world.clock.advance(60)
    world.pigment_server.fault(PUSH, reset_after=True)
    world.run_pull("flights")

    answer: dict[str, Any] = msgspec.json.decode(run_deployed("resend", landed, "--yes", "--json").output)

    assert (answer["outcome"], answer["error"]["code"]) == ("failed", "landing_unknown")
    assert len(world.imports) == 2
    assert CONFIGURATION in answer["configuration"]
