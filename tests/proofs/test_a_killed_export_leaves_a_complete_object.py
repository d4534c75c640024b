"""An export killed before or after any write: readers see a complete object, and the next run completes the export."""

import hashlib

import pytest

from common.platform.errors import NotFound
from common.runs import settling
from common.runs.leases import LIFETIME_S, Journal
from tests.support.kills import AT_EVERY_WRITE, ProcessCall, Processes, StopPoint, When
from tests.support.world import STORAGE_WRITES, World

pytestmark = pytest.mark.long

EXPORT = ProcessCall.of_job("export", "revenue")


def rows(last: int) -> bytes:
    return b"Id;Amount\n" + b"".join(b"%d;1\n" % number for number in range(last))


@pytest.mark.parametrize("when", AT_EVERY_WRITE)
def test_an_export_killed_at_any_write_is_completed(world: World, processes: Processes, when: When) -> None:
    world.add_export("revenue")
    world.answer_exports(rows(1))
    assert world.run_export("revenue").status == 200
    published = set()
    steps = 0
    while True:
        world.clock.advance(LIFETIME_S + 1)
        world.answer_exports(rows(2 * steps + 2))
        if not processes.dies(world, EXPORT, StopPoint(world.storage_server, STORAGE_WRITES, steps, when)):
            break
        there = world.bucket.find("exports/revenue.csv")
        assert there is not None
        content = world.bucket.read("exports/revenue.csv")
        assert there.metadata["sha256"] == hashlib.sha256(content).hexdigest(), steps
        published.add(there.metadata["run"])

        world.clock.advance(LIFETIME_S + 1)
        world.answer_exports(rows(2 * steps + 3))
        assert world.run_export("revenue").status == 200, steps
        assert world.bucket.read("exports/revenue.csv") == rows(2 * steps + 3)
        assert world.objects("tmp/") == world.objects("leases/") == [], steps
        steps += 1

    # lease, file, intent, object, receipt, cursor, file deleted, lease deleted
    assert steps >= 8
    receipts = {receipt["run"]: receipt["outcome"] for receipt in world.receipts("revenue")}
    assert set(receipts.values()) <= {"published", "failed"}
    assert {receipts[run] for run in published} == {"published"}


def test_a_lost_answer_to_the_publication_is_settled_by_the_next_run(world: World) -> None:
    world.bucket.patience_s = 2
    world.add_export("revenue")
    world.answer_exports(rows(1))
    world.storage_server.fault(r"POST /storage/v1/b/bucket/o/tmp.*rewriteTo", times=-1, reset_after=True)

    answer = world.run_export("revenue")
    assert answer.status in (200, 503), answer.body
    world.storage_server.heal()

    assert world.run_export("revenue").status == 200
    assert [receipt["outcome"] for receipt in world.receipts("revenue")] == ["published", "published"]
    assert world.objects("tmp/") == world.objects("leases/") == []


def test_an_export_cannot_be_settled_by_hand(world: World, processes: Processes) -> None:
    world.add_export("revenue")
    world.answer_exports(rows(1))
    assert processes.dies(world, EXPORT, StopPoint(world.storage_server, r"POST .*rewriteTo", 0, "after"))
    world.clock.advance(LIFETIME_S + 1)
    (path,) = world.objects("leases/")
    flight = world.bucket.read_json(path, Journal)
    assert flight is not None

    with pytest.raises(NotFound, match="is an export"):
        settling.settle_by_hand(world.bucket, world.clock, flight.value.receipt.run, "not landed")
