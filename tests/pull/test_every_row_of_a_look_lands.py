"""The main job: every row of a Look is in Pigment afterwards, and the receipt reports it."""

import hashlib

from tests.support.world import CONFIGURATION, ROWS, World


def test_every_row_of_the_look_is_read_sent_and_landed(world: World) -> None:
    answer = world.run_pull("flights")

    assert answer.status == 200, answer.body
    assert answer.body["outcome"] == "landed"
    counts = {"read": 5, "sent": 5, "inserted": 5, "updated": 0, "deleted": 0, "skipped": 0, "held": None}
    assert answer.body["rows"] == counts
    assert sorted(world.landed_rows()) == sorted(ROWS)


def test_pigment_received_the_staged_file_byte_for_byte(world: World) -> None:
    receipt = world.run_pull("flights").body

    staged = (world.folder / f"state/bucket/staged/flights/{receipt['run']}.csv").read_bytes()
    received = world.pigment.received(world.imports[0].id).read_bytes()
    assert staged == received
    assert hashlib.sha256(received).hexdigest() == receipt["sha256"]
    assert receipt["bytes"] == len(received)
    assert receipt["configuration"] == CONFIGURATION
    assert receipt["import_id"] == world.imports[0].id
