"""A bucket that the first version wrote is read: its jobs continue, and its open runs are settled.

`tests/support/earlier_bucket.json` holds the objects of such a bucket, with their metadata. The functions of that
version wrote them: landed jobs, open runs, and a waiting delivery.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from common.runs import receipts, settling
from local.sandbox.pigment import BlockColumn
from tests.support.trips import HEADER as TRIPS_HEADER
from tests.support.trips import Trip, Trips
from tests.support.world import HEADER, ROWS, World, delivery

BUCKET: dict[str, Any] = json.loads((Path(__file__).parents[1] / "support" / "earlier_bucket.json").read_bytes())
CONFIG = "config/bridge.json"
SCHEDULE_EVENT = {"X-CloudScheduler-ScheduleTime": "2026-03-01T06:15:00Z"}
SENT = "again", "importing", "keyed", "lost"


def content_of(stored: dict[str, Any]) -> bytes:
    content = stored["content"]
    return content.encode() if isinstance(content, str) else json.dumps(content).encode()


@pytest.fixture
def earlier(world: World) -> World:
    """Load the bucket, and add the configurations of its bridge.yaml to Pigment."""
    for name, stored in BUCKET.items():
        if name != CONFIG:
            world.bucket.create(name, content_of(stored), stored["metadata"], content_type=stored["content_type"])
    world.raw = json.loads(content_of(BUCKET[CONFIG]))
    world.raw["looker"]["url"], world.raw["pigment"]["url"] = world.looker_server.url, world.pigment_server.url
    application = world.pigment.application("Planning")
    columns = [*(BlockColumn(name) for name in HEADER[:3]), BlockColumn(HEADER[3], "integer")]
    for job in SENT:
        block = world.pigment.block(application, job)
        world.pigment.configuration(block, columns, uuid=world.raw["pulls"][job]["target"]["configuration"])
    sales = world.raw["relays"]["sales"]["target"]["configuration"]
    world.pigment.configuration(world.pigment.block(application, "Sales"), ["Id", "Amount"], uuid=sales)
    world.save_jobs()
    world.clock.advance(3600)
    return world


def rows_of(world: World, job: str) -> int:
    return len(world.pigment.rows(world.raw["pulls"][job]["target"]["configuration"]))


def test_every_receipt_is_read(earlier: World) -> None:
    stored = [name for name in BUCKET if name.startswith("receipts/")]

    outcomes = {}
    for name in stored:
        _, job, _, file = name.split("/")
        receipt = receipts.read(earlier.bucket, job, file.removesuffix(".json"))
        assert receipt is not None
        outcomes[job] = receipt.outcome

    assert outcomes == {
        "again": "unknown",
        "flights": "landed",
        "importing": "importing",
        "keyed": "landed",
        "lost": "unknown",
        "revenue": "unknown",
        "sales": "landed",
        "trips": "landed",
    }


def test_a_call_that_was_answered_is_not_landed_again(earlier: World) -> None:
    answer = earlier.run_pull("flights", headers=SCHEDULE_EVENT)

    assert answer.body["run"] == BUCKET["cursors/flights.json"]["content"]["run"]
    assert len(earlier.imports) == 0


def test_an_incremental_load_continues_from_its_cursor(earlier: World) -> None:
    configuration = earlier.raw["pulls"]["trips"]["target"]["configuration"]
    job = earlier.raw["pulls"]["trips"]
    trips = Trips(earlier, repeatable=True)
    block = earlier.pigment.block(earlier.pigment.application("Planning"), "Trips of the first version")
    earlier.pigment.configuration(
        block, [BlockColumn(TRIPS_HEADER[0]), TRIPS_HEADER[1]], uuid=configuration, unique=TRIPS_HEADER[:1]
    )
    trips.put([Trip(1, datetime(2026, 1, 5)), Trip(2, datetime(2026, 2, 5))])  # noqa: DTZ001  # in the query's zone
    earlier.raw["pulls"]["trips"] = job
    earlier.save_jobs()

    answer = earlier.run_pull("trips")

    assert [receipt["window"][0] for receipt in earlier.receipts("trips")] == [
        "2026-01-01 00:00:00",
        "2026-02-01 00:00:00",
        "2026-03-01 00:00:00",
    ]
    assert answer.body["progress"]["done"]
    assert [row["Trips Id"] for row in earlier.pigment.rows(configuration)] == ["2"]


def test_a_changes_load_compares_with_the_file_that_landed(earlier: World) -> None:
    earlier.put_flights([*ROWS, ["2013-01-04", "UA", "EWR", "1"]])

    answer = earlier.run_pull("keyed")

    assert answer.body["changes"] == {"added": 1, "changed": 0, "gone": 0, "unchanged": len(ROWS)}
    assert rows_of(earlier, "keyed") == 1


@pytest.mark.parametrize("job", ["again", "importing"])
def test_an_open_run_of_a_repeatable_target_is_settled_and_its_rows_are_sent_again(earlier: World, job: str) -> None:
    answer = earlier.run_pull(job)

    assert answer.body["outcome"] == "landed"
    assert [receipt["outcome"] for receipt in earlier.receipts(job)] == ["failed", "landed"]
    assert rows_of(earlier, job) == len(ROWS)


@pytest.mark.parametrize("verdict", ["landed", "not landed"])
def test_an_append_without_an_answer_waits_for_a_person(earlier: World, verdict: Any) -> None:
    open_run = BUCKET["leases/00000001-0000-4000-8000-000000000000.json"]["content"]["receipt"]["run"]
    assert earlier.run_pull("lost").code == "landing_unknown"

    settling.settle_by_hand(earlier.bucket, earlier.clock, open_run, verdict)

    assert (earlier.bucket.read_json("cursors/lost.json", object) is None) == (verdict == "not landed")
    assert earlier.run_pull("lost").body["outcome"] == "landed"
    assert rows_of(earlier, "lost") == len(ROWS)


def test_a_waiting_delivery_is_landed_and_a_known_one_is_recognised(earlier: World) -> None:
    known = earlier.post_delivery("sales", delivery(("1", "10")), X_Looker_Webhook_Id="first")
    counts = earlier.run_deliver().body

    assert "Already received." in known.body["looker"]["message"]
    assert (counts["delivered"], counts["waiting"], counts["dead"]) == (1, 0, 0)
    rows = earlier.pigment.rows(earlier.raw["relays"]["sales"]["target"]["configuration"])
    assert [(row["Id"], row["Amount"]) for row in rows] == [("2", "20")]


def test_an_export_whose_answer_was_lost_is_settled_by_its_object(earlier: World) -> None:
    earlier.answer_exports(b"Country;Month\nFrance;2026-01\nSpain;2026-01\n")

    answer = earlier.run_export("revenue")

    assert answer.body["outcome"] == "published"
    assert [receipt["outcome"] for receipt in earlier.receipts("revenue")] == ["published", "published"]
    assert earlier.objects("tmp/") == []
