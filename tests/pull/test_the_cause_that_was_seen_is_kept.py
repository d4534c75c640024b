"""A run that saw why it ended is not said to have been killed: its own cause stays, whoever ends it."""

import msgspec

from common.platform.errors import ErrorReport
from common.runs import leases, receipts
from common.runs.leases import Journal
from local.sandbox.wire import Response
from tests.support.command_line import run_deployed
from tests.support.world import CONFIGURATION, PUSH, World

RESET = "The connection to Pigment broke after the file was sent: "


def words(*command: str) -> str:
    return " ".join(run_deployed(*command).output.split())


def test_a_reset_after_the_push_is_the_cause_wherever_it_is_shown(world: World) -> None:
    for repeatable in (False, True):
        world.add_pull("flights", target={"repeatable": repeatable})
        world.pigment_server.fault(PUSH, reset_after=True, times=-1)
        run_id = world.run_pull("flights").receipt["run"]
        world.heal()

        for shown in (words("runs"), words("runs", run_id), words("runs", "flights")):
            assert RESET in shown
            assert "kill" not in shown

        world.run_pull("flights")
        stored = receipts.find(world.bucket, run_id)
        assert stored.error
        assert RESET in stored.error.message
        settled = run_deployed("settle", run_id, "--not-landed")
        assert (settled.status == 0) == (not repeatable)


def test_a_run_whose_receipt_could_not_be_stored_keeps_its_error(world: World) -> None:
    run_id = "20260301T060000-00000001"
    begun = receipts.begin(run_id, "flights", "pull", world.clock.now())
    error = ErrorReport("stream_cut", "Looker's answer broke off: the connection was reset.", "Run again.")
    journal = Journal("reading", msgspec.structs.replace(begun, error=error), repeatable=False, max_skipped=0)
    leases.take(world.bucket, CONFIGURATION, world.clock, journal).leave_open(journal)

    assert world.run_pull("flights").status == 200

    assert receipts.find(world.bucket, run_id).error == error


def test_a_run_whose_lease_could_not_be_freed_either_keeps_its_error(world: World) -> None:
    world.add_pull("flights", guards={"min_rows": 1_000_000})
    refused = Response(403, b"{}")
    # The lease and the staged file are written, and the receipt is not.
    world.storage_server.fault("POST /upload/", after=2, refuse=refused)
    world.storage_server.fault("DELETE .*leases", refuse=refused)
    failed = world.run_pull("flights").receipt
    world.heal()
    assert world.objects("leases/")

    world.run_pull("flights")

    stored = receipts.find(world.bucket, failed["run"])
    assert stored.error
    assert stored.error.code == failed["error"]["code"] == "too_few_rows"
