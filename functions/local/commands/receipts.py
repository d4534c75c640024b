"""`bridge runs` and `bridge settle`: runs and their receipts."""

import contextlib
import difflib
import getpass
import os
import platform
from pathlib import Path
from typing import Annotated, Literal

import typer

from common.platform.errors import NoSuchJob, StorageRefused
from common.runs import instance, receipts, settling
from common.storage.bucket import Bucket
from local import next_steps, output, terminal
from local import open_runs as open_runs_of
from local.commands.connection import SelectedBridge, with_bridge
from local.commands.options import Json


@with_bridge
def runs(
    bridge: SelectedBridge,
    which: Annotated[
        str,
        typer.Argument(metavar="[JOB|RUN]", help="The name of a job, to list only its runs; or the id of one run."),
    ] = "",
    last: Annotated[int, typer.Option(min=1, help="The largest number of runs to list.")] = 20,
    as_json: Json = False,
) -> None:
    """List runs and their outcomes, newest first, or show one run. With --json, print whole receipts.

    Runs that have not ended come first: in progress, interrupted, or with an outcome that a person has to settle.
    """
    with bridge.open(create=False) as files:
        bucket = instance.current.bucket
        if receipts.RUN_ID.fullmatch(which):
            _show_run(bucket, which, as_json, files)
            return
        open_runs = list(open_runs_of.every(bucket, which))
        unsettled = {each.receipt.run for each in open_runs}
        found = [each for each in receipts.newest(bucket, which, last) if each.run not in unsettled]
        if which and not (open_runs or found):
            _expect_job(which)
    if as_json:
        terminal.print_json([*(each.to_builtins() for each in open_runs), *map(next_steps.fitted, found)])
    elif open_runs or found:
        output.print_runs(open_runs, found)
    else:
        terminal.say(f"There are no runs of {which}." if which else "There are no runs.")


def _show_run(bucket: Bucket, run: str, as_json: bool, files: Path | None) -> None:
    """Raise NotFound if there is no run with this id."""
    begun = open_runs_of.find(bucket, run)
    stored = receipts.read(bucket, begun.receipt.job, run) if begun else receipts.find(bucket, run)
    if stored is not None:
        output.print_receipt(stored, as_json, files, is_whole=True)
    elif begun is not None and as_json:
        terminal.print_json(begun.to_builtins())
    elif begun is not None:
        output.print_runs([begun], [])


def _expect_job(name: str) -> None:
    """Raise NoSuchJob if bridge.yaml has no job of this name, or is not in the bucket."""
    names: list[str] = []
    with contextlib.suppress(StorageRefused):
        names = [job.name for job in instance.current.config().jobs()]
    if name not in names:
        alike = difflib.get_close_matches(name, names, 1)
        next_step = f"Did you mean {alike[0]}?" if alike else "`bridge runs` lists the runs of all jobs."
        raise NoSuchJob(f"There is no job {name}, and no run of it.", next_step=next_step)


@with_bridge
def settle(
    bridge: SelectedBridge,
    run: Annotated[str, typer.Argument(help="The id of a run whose outcome is `unknown`.")],
    landed: Annotated[
        bool | None,
        typer.Option(
            "--landed/--not-landed",
            help="Whether Pigment's import history shows that the file was imported. Without it, Pigment is asked.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Record whether the file of a run whose outcome is `unknown` has landed, and print the new receipt.

    Pigment may have accepted this file without confirming it, so the bridge sends nothing else to its import
    configuration until the run is settled. Without an option, Pigment is asked, and the block is read back if the job
    has `verify`: this settles the run, or shows what was found.
    """
    with bridge.open(create=False, needs_secrets=landed is None) as files:
        here = instance.current
        before = open_runs_of.find(here.bucket, run)
        if landed is None:
            from common.flows.verify import settle_by_reading  # noqa: PLC0415

            receipt = settle_by_reading(here, here.config(), run)
        else:
            verdict: Literal["landed", "not landed"] = "landed" if landed else "not landed"
            receipt = settling.settle_by_hand(here.bucket, here.clock, run, verdict, _person())
    output.print_receipt(receipt, as_json, files, is_whole=True)
    if before is not None and not as_json:
        by = "what Pigment says" if landed is None else _person()
        begun = f"Run {run} of {receipt.job}, which began at {output.time_of(receipt)}"
        ended = receipt.outcome.replace("_", " ")
        terminal.say_in_words(f"{begun}, was {before.state} and is {ended} now, settled by {by}.")


def _person() -> str:
    """Return who uses this machine."""
    try:
        return f"{getpass.getuser()} on {platform.node()}"
    except (OSError, KeyError):  # a user id without a name
        return f"user {os.getuid()} on {platform.node()}"
