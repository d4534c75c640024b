"""`bridge runs` and `bridge settle`: the receipts of earlier runs."""

from typing import Annotated, Literal

import typer

from common.platform.errors import MalformedRequest
from common.runs import instance, receipts, settling
from local import output, terminal
from local.commands.connection import SelectedBridge, with_bridge
from local.commands.options import Json


@with_bridge
def runs(
    bridge: SelectedBridge,
    job: Annotated[str, typer.Argument(help="The name of a job, to list only its runs.")] = "",
    last: Annotated[int, typer.Option(min=1, help="The largest number of runs to list.")] = 20,
    as_json: Json = False,
) -> None:
    """List runs and their outcomes, newest first. With --json, print their whole receipts."""
    with bridge.open():
        found = receipts.newest(instance.current.bucket, job, last)
    if as_json:
        terminal.print_json(found)
    elif found:
        terminal.console().print(output.runs_table(found))
    else:
        terminal.say(f"There are no runs of {job}." if job else "There are no runs.")


@with_bridge
def settle(
    bridge: SelectedBridge,
    run: Annotated[str, typer.Argument(help="The id of a run whose outcome is `unknown`.")],
    landed: Annotated[
        bool | None,
        typer.Option(
            "--landed/--not-landed", help="Whether Pigment's import history shows that the file was imported."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Record whether the file of a run whose outcome is `unknown` has landed, and print the new receipt.

    Pigment may have accepted this file without confirming it, so the bridge sends nothing else to its import
    configuration until a person has compared the run with the import history in Pigment.
    """
    if landed is None:
        raise MalformedRequest(
            "It is not specified whether the file of this run has landed.",
            next_step="Open the import history of its block in Pigment, then add --landed or --not-landed.",
        )
    verdict: Literal["landed", "not landed"] = "landed" if landed else "not landed"
    with bridge.open() as files:
        receipt = settling.settle_by_hand(instance.current.bucket, instance.current.clock, run, verdict)
    output.print_receipt(receipt, as_json, files)
