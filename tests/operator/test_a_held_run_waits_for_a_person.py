"""`guards.approve` holds what differs too much from the last landing; `bridge approve` and `bridge reject` decide."""

from typing import Any

import msgspec
import pytest

from common.runs import cursors, holds
from common.runs.receipts import Receipt
from local.sandbox.wire import Response
from tests.support.command_line import CommandResult, run_deployed
from tests.support.world import HEADER, PULL_RUN, PUSH, ROWS, FunctionAnswer, World, delivery

KEY = ["Flights Day", "Flights Carrier"]
CALL = {"X-CloudScheduler-ScheduleTime": "2026-03-02T06:15:00Z"}
LIMITS = {"max_changed": "30%", "max_deleted": 0}
FEWER = ROWS[2:]
LATE = [[*row[:3], "99"] for row in ROWS]


def decide(command: str, run: str) -> Receipt:
    answer = run_deployed(command, run, "--json")
    assert answer.output, answer.errors
    return msgspec.json.decode(answer.output, type=Receipt)


def refusal(command: str, run: str) -> str:
    """The error of a command that did nothing."""
    answer = run_deployed(command, run)
    assert (answer.status, answer.output) == (1, "")
    return answer.errors


def pushed(world: World) -> list[bytes]:
    return [each.body for each in world.pigment_server.exchanges if each.path.endswith("/import/push/csv")]


def stored(world: World, run: str, job: str = "flights") -> dict[str, Any]:
    return next(each for each in world.receipts(job) if each["run"] == run)


def next_run(world: World, rows: list[list[str]] | None = None, **how: Any) -> FunctionAnswer:
    """Run the pull a minute later, with other rows in Looker."""
    world.clock.advance(60)
    if rows is not None:
        world.put_flights(rows)
    return world.run_pull("flights", **how)


def keyed(world: World, **fields: Any) -> World:
    block = world.pigment.block(world.pigment.application("Planning"), "Keyed flights")
    configuration = world.pigment.configuration(block, HEADER, unique=KEY)
    target = {"configuration": configuration, "repeatable": True}
    world.add_pull("flights", target=target, guards={"approve": LIMITS}, **fields)
    assert world.run_pull("flights").receipt["outcome"] == "landed"
    return world


@pytest.fixture
def full(world: World) -> World:
    """A pull of all rows that has landed once."""
    return keyed(world)


@pytest.fixture
def changes(world: World) -> World:
    """A pull of changed rows that has landed once."""
    return keyed(world, load={"changes": {"key": KEY}})


@pytest.fixture
def relay(world: World) -> World:
    """A relay that has landed one delivery of ten rows."""
    world.add_relay("sales", guards={"approve": {"max_deleted": 1}})
    post(world, 10)
    assert world.run_deliver().body["delivered"] == 1
    return world


def post(world: World, rows: int) -> None:
    world.clock.advance(60)
    assert world.post_delivery("sales", delivery(*((str(n), "1") for n in range(rows)))).status == 200


def test_a_file_that_differs_too_much_is_held_with_the_numbers(full: World) -> None:
    answer = next_run(full, LATE)

    assert (answer.status, answer.code, answer.receipt["outcome"]) == (422, "awaiting_approval", "held")
    assert answer.error["message"] == (
        "5 of the 5 rows that landed last have changed or are gone (100.0%), guards.approve.max_changed allows 30%."
    )
    assert f"`bridge approve {answer.receipt['run']}`" in answer.error["next_step"]
    assert answer.receipt["rows"]["sent"] is None
    assert len(pushed(full)) == 1


def test_gone_rows_are_counted_and_new_rows_are_not(full: World) -> None:
    assert next_run(full, [*ROWS, ["2013-01-09", "WN", "MDW", "5"]]).receipt["outcome"] == "landed"

    message = next_run(full, ROWS[:5]).error["message"]

    assert message == "1 rows are gone, guards.approve.max_deleted allows 0."


def test_approving_lands_exactly_those_bytes_and_moves_the_cursor(full: World) -> None:
    held = next_run(full, LATE, headers=CALL).receipt
    full.clock.advance(3600)
    full.put_flights(ROWS)

    landed = decide("approve", held["run"])

    assert (landed.outcome, landed.sha256, landed.rows.read, landed.rows.sent) == ("landed", held["sha256"], 5, 5)
    assert landed.warnings == [f"Approved by hand: this run sent the file of run {held['run']}."]
    assert b"99" in pushed(full)[1]
    cursor = cursors.read(full.bucket, "flights")
    assert cursor is not None
    assert (cursor.run, cursor.staged) == (landed.run, f"staged/flights/{held['run']}.csv")
    decided = stored(full, held["run"])
    assert (decided["outcome"], decided["error"]) == ("approved", None)
    assert decided["warnings"] == [f"Approved by hand: run {landed.run} has landed the file."]


def test_approving_twice_lands_once(full: World) -> None:
    held = next_run(full, LATE).receipt["run"]
    decide("approve", held)

    again = decide("approve", held)

    assert (again.run, again.outcome) == (held, "approved")
    assert len(pushed(full)) == 2
    # It does not touch what a later run holds.
    later = next_run(full, ROWS).receipt["run"]
    decide("approve", held)
    assert decide("approve", later).outcome == "landed"


def test_an_approval_that_was_killed_after_the_landing_is_completed(full: World) -> None:
    """The receipt of the held run is the last that is written."""
    answer = next_run(full, LATE).receipt
    hold, held = holds.read(full.bucket, "flights"), stored(full, answer["run"])
    assert hold
    landed = decide("approve", answer["run"])
    holds.place(full.bucket, hold)
    full.bucket.write_json(f"receipts/flights/2026-03-01/{answer['run']}.json", held, over=None)

    again = decide("approve", answer["run"])

    assert (again.outcome, again.warnings) == (
        "approved",
        [f"Approved by hand: run {landed.run} has landed the file."],
    )
    assert len(pushed(full)) == 2
    assert full.objects("staged/_held/") == []


def test_an_approval_that_fails_can_be_repeated(full: World) -> None:
    held = next_run(full, LATE).receipt["run"]
    full.pigment_server.fault(PUSH, refuse=Response(400, b'{"title": "No"}'))
    assert decide("approve", held).outcome == "failed"

    assert stored(full, held)["outcome"] == "held"
    assert decide("approve", held).outcome == "landed"


def test_rejecting_ends_the_run_and_deletes_its_file(changes: World) -> None:
    held = next_run(changes, LATE).receipt["run"]

    rejected = decide("reject", held)

    assert (rejected.run, rejected.outcome) == (held, "refused")
    assert rejected.error
    assert (rejected.error.code, rejected.error.message[:17]) == ("not_approved", "Rejected by hand.")
    assert held not in " ".join([*changes.objects("staged/"), *changes.objects("bases/")])
    assert f"Run {held} is not held" in refusal("approve", held)
    assert f"Run {held} is not held" in refusal("reject", held)
    assert len(pushed(changes)) == 1
    # Nothing was forgotten: the same rows are compared with the same landing.
    assert next_run(changes).code == "awaiting_approval"


def test_of_a_changes_load_the_base_moves_with_the_approval(changes: World) -> None:
    held = next_run(changes, LATE).receipt
    assert held["changes"] == {"added": 0, "changed": 5, "gone": 0, "unchanged": 0}

    landed = decide("approve", held["run"])

    assert (landed.outcome, landed.rows.sent, landed.changes and landed.changes.changed) == ("landed", 5, 5)
    assert next_run(changes).receipt["outcome"] == "nothing_new"


def test_a_later_run_supersedes_the_held_one(changes: World) -> None:
    first = next_run(changes, LATE).receipt["run"]
    second = next_run(changes, LATE[2:]).receipt["run"]

    message = stored(changes, first)["error"]["message"]
    assert message.startswith(f"Run {second} read the source again and superseded this run.")
    assert f"Run {first} is not held" in refusal("approve", first)
    assert next_run(changes, ROWS).receipt["outcome"] == "nothing_new"
    assert stored(changes, second)["outcome"] == "refused"
    assert len(pushed(changes)) == 1


def test_a_later_run_that_fails_leaves_the_held_one(changes: World) -> None:
    held = next_run(changes, LATE).receipt["run"]
    changes.looker_server.fault(PULL_RUN, refuse=Response(404))
    assert next_run(changes).receipt["outcome"] == "failed"

    assert decide("approve", held).outcome == "landed"
    assert next_run(changes).receipt["outcome"] == "nothing_new"


def test_what_landed_since_forbids_an_approval(full: World) -> None:
    first = full.receipts()[0]["run"]
    held = next_run(full, LATE).receipt["run"]
    full.clock.advance(60)
    again = run_deployed("resend", first, "--json")
    newer = msgspec.json.decode(again.output, type=Receipt).run

    assert f"Run {newer} has landed since run {held} was held" in refusal("approve", held)
    assert len(pushed(full)) == 2


def test_a_held_file_is_not_sent_in_another_way(full: World) -> None:
    held = next_run(full, LATE).receipt["run"]

    assert f"`bridge approve {held}`" in refusal("resend", held)
    assert len(pushed(full)) == 1


def test_the_same_call_is_answered_by_the_held_run(full: World) -> None:
    first = next_run(full, LATE, headers=CALL)
    again = next_run(full, headers=CALL)

    assert (again.status, again.receipt) == (422, first.receipt)
    assert len(full.receipts()) == 2


def test_a_preview_says_that_a_run_would_be_held(full: World) -> None:
    answer = next_run(full, LATE, preview=True)

    (warning,) = answer.receipt["warnings"]
    assert answer.receipt["outcome"] == "previewed"
    assert warning.startswith("A run would be held until a person approves it. 5 of the 5 rows")
    assert full.objects("staged/_held/") == []


def test_without_the_last_file_the_numbers_of_rows_are_compared(full: World) -> None:
    full.bucket.delete(f"staged/flights/{full.receipts()[0]['run']}.csv")

    answer = next_run(full, FEWER)

    assert answer.error["message"].startswith("2 of the 5 rows that landed last")
    assert answer.receipt["warnings"][0].startswith("guards.approve compared only the numbers of rows")


def test_a_held_file_that_was_deleted_is_read_again_by_the_job(full: World) -> None:
    held = next_run(full, LATE).receipt["run"]
    full.bucket.delete(f"staged/flights/{held}.csv")
    assert "no file that is still in the bucket" in refusal("approve", held)

    full.bucket.delete("staged/_held/flights.json")
    assert f"The file of run {held} is no longer stored" in refusal("approve", held)


def test_held_runs_are_shown_until_somebody_decides(full: World) -> None:
    held = next_run(full, LATE).receipt["run"]

    assert shown(run_deployed("runs", "--json"))[0] == (held, "held")
    assert f"bridge approve {held}" in shown(run_deployed("runs", "--json"), "details")[0][1]
    decide("reject", held)
    assert (held, "refused") in shown(run_deployed("runs", "--json"))


def shown(answer: CommandResult, field: str = "outcome") -> list[tuple[str, Any]]:
    return [(each["run"], each.get(field)) for each in msgspec.json.decode(answer.output)]


def test_a_held_delivery_waits_and_is_not_read_again(relay: World) -> None:
    post(relay, 5)
    first, again = relay.run_deliver(), relay.run_deliver()

    assert (first.body["error"]["code"], first.body["waiting"]) == ("awaiting_approval", 1)
    assert again.body == first.body
    (_, held) = relay.receipts("sales")
    assert held["outcome"] == "held"
    assert f"Run {held['run']} of sales is held" in run_deployed("deliveries", "--json").output

    assert decide("approve", held["run"]).outcome == "landed"
    assert relay.run_deliver().body == {"delivered": 0, "waiting": 0, "dead": 0, "error": None}
    assert len(relay.objects("delivered/sales/")) == 2


def test_a_rejected_delivery_is_dead(relay: World) -> None:
    post(relay, 5)
    relay.run_deliver()

    decide("reject", relay.receipts("sales")[1]["run"])

    (dead,) = relay.bucket.entries("dead/sales/")
    assert dead.metadata["code"] == "not_approved"
    post(relay, 11)
    assert relay.run_deliver().body["delivered"] == 1


def test_a_newer_delivery_supersedes_the_held_one(relay: World) -> None:
    relay.raw["relays"]["sales"]["keep"] = "latest"
    relay.save_jobs()
    post(relay, 5)
    relay.run_deliver()
    post(relay, 12)

    assert relay.run_deliver().body["waiting"] == 0
    (_, superseded, landed) = relay.receipts("sales")
    assert (superseded["outcome"], landed["outcome"]) == ("refused", "landed")


def test_a_signal_has_done_its_work_once_the_pull_is_held(full: World) -> None:
    full.add_relay("ready", start="flights")
    full.put_flights(LATE)
    full.clock.advance(60)
    assert full.post_delivery("ready", delivery(("1", "2"))).status == 200

    assert full.run_deliver().body == {"delivered": 1, "waiting": 0, "dead": 0, "error": None}
    assert full.receipts()[1]["outcome"] == "held"
    assert decide("approve", full.receipts()[1]["run"]).outcome == "landed"
