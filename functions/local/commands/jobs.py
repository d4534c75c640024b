"""`bridge pull`, `backfill`, `export`, `deliver`, `resend`, `approve` and `reject`: run jobs now."""

import contextlib
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from common.runs import instance
from common.runs.receipts import Receipt
from local import next_steps, output, run_display, terminal
from local.commands.connection import ConfiguredBridge, with_bridge
from local.commands.options import Json


@with_bridge
def pull(
    bridge: ConfiguredBridge,
    job: Annotated[str, typer.Argument(help="The name of a pull in bridge.yaml.")],
    preview: Annotated[
        bool, typer.Option("--preview", help="Read and check all rows and show the first ones. Send nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run a pull now and print its receipt. Exits with 1 unless the run ended well."""
    from werkzeug.datastructures import Headers  # noqa: PLC0415

    import looker_pull  # noqa: PLC0415

    with bridge.open_to_run() as files, run_display.shown(job, "waiting for Looker"):
        receipt = looker_pull.act(looker_pull.PullCall(job, preview), Headers())
    _print_and_exit(receipt, as_json, files)


@with_bridge
def backfill(
    bridge: ConfiguredBridge,
    job: Annotated[str, typer.Argument(help="The name of a pull in bridge.yaml with load: incremental.")],
    begin: Annotated[
        str,
        typer.Option("--from", help="Load again from this day, time or number. Without it, continue at the cursor."),
    ] = "",
    end: Annotated[str, typer.Option("--to", help="Load up to this day, time or number. Without it, load all.")] = "",
    restart: Annotated[
        bool,
        typer.Option(
            "--restart",
            help="With --from: load all windows again, also those that an interrupted backfill of the same range has "
            "landed.",
        ),
    ] = False,
    preview: Annotated[
        bool, typer.Option("--preview", help="Read and check every window and show its number of rows. Send nothing.")
    ] = False,
    function: Annotated[
        str,
        typer.Option(
            help="The address of the deployed function looker_pull, which then reads and sends the rows. Without it, "
            "this machine does."
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Load all windows of an incremental pull, one after the other.

    It can be stopped at any time. Started again, it continues after the last window that landed; with --from, if it
    has the same --from and --to.
    """
    from local import backfill_output  # noqa: PLC0415  # progress bars that no other command needs

    call = backfill_output.call(job, begin, end, restarts=restart)
    with contextlib.nullcontext() if function else bridge.open_to_run():
        pull_function = backfill_output.pull_function(function)
        run = backfill_output.preview if preview else backfill_output.load
        is_complete = run(pull_function, call, as_json)
    raise typer.Exit(0 if is_complete else 1)


@with_bridge
def export(
    bridge: ConfiguredBridge,
    job: Annotated[str, typer.Argument(help="The name of an export in bridge.yaml.")],
    preview: Annotated[
        bool, typer.Option("--preview", help="Read and check all rows and show the first ones. Publish nothing.")
    ] = False,
    day: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="DAY",
            help="The day, or the time in the job's time zone, in the name of the object. Without it, now.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run an export now and print its receipt. Exits with 1 unless the run ended well."""
    from werkzeug.datastructures import Headers  # noqa: PLC0415

    import pigment_export  # noqa: PLC0415

    with bridge.open_to_run() as files, run_display.shown(job, "waiting for Pigment"):
        receipt = pigment_export.act(pigment_export.ExportCall(job, preview, day), Headers())
    _print_and_exit(receipt, as_json, files)


@with_bridge
def deliver(bridge: ConfiguredBridge, as_json: Json = False) -> None:
    """Import the webhook deliveries that are waiting in the inbox, and say why some still wait."""
    from common.flows import deliver as deliver_flow  # noqa: PLC0415

    with bridge.open_to_run(), run_display.shown("deliveries", "waiting for Pigment"):
        counts = deliver_flow.deliver(instance.current, instance.current.config())
    if as_json:
        terminal.print_json(counts)
    else:
        waiting = f"{counts.waiting:,}{'+' if counts.is_capped else ''}"
        terminal.say(f"delivered {counts.delivered}, waiting {waiting}, dead {counts.dead}")
        if counts.error:
            terminal.say(f"{counts.error.code}: {counts.error.message}\n→ {next_steps.of(counts.error)}")
    raise typer.Exit(1 if counts.error else 0)


@with_bridge
def resend(
    bridge: ConfiguredBridge,
    run: Annotated[str, typer.Argument(help="The id of a run that has sent, or was to send, a file to Pigment.")],
    yes: Annotated[
        bool,
        typer.Option(
            "--yes",
            help="Send it although a guard refused it, or the target is not repeatable, where rows may be doubled.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Send the file of an earlier run to Pigment again, byte for byte, and print the new receipt.

    Exits with 1 unless the run ended well. The job's next run continues as if this one had not been.
    """
    from common.flows import resend as resend_flow  # noqa: PLC0415

    with bridge.open_to_run() as files, run_display.shown(run, "waiting for Pigment"):
        receipt = resend_flow.resend(instance.current, instance.current.config(), run, is_confirmed=yes)
    _print_and_exit(receipt, as_json, files)


@with_bridge
def approve(
    bridge: ConfiguredBridge,
    run: Annotated[str, typer.Argument(help="The id of a run whose outcome is `held`.")],
    as_json: Json = False,
) -> None:
    """Send the file of a held run to Pigment, byte for byte, and print the receipt of the run that did so.

    Refused if something newer has landed since. Exits with 1 unless the run ended well.
    """
    from common.flows import approval  # noqa: PLC0415

    with bridge.open_to_run() as files, run_display.shown(run, "waiting for Pigment"):
        receipt = approval.approve(instance.current, instance.current.config(), run)
    _print_and_exit(receipt, as_json, files)


@with_bridge
def reject(
    bridge: ConfiguredBridge,
    run: Annotated[str, typer.Argument(help="The id of a run whose outcome is `held`.")],
    as_json: Json = False,
) -> None:
    """Discard the file of a held run, and print its receipt. A held webhook delivery becomes dead."""
    from common.flows import approval  # noqa: PLC0415

    with bridge.open_to_run() as files:
        receipt = approval.reject(instance.current, instance.current.config(), run)
    output.print_receipt(receipt, as_json, files)
    raise typer.Exit(0 if receipt.outcome == "refused" else 1)


def _print_and_exit(receipt: Receipt, as_json: bool, files: Path | None) -> NoReturn:
    output.print_receipt(receipt, as_json, files)
    raise typer.Exit(0 if receipt.has_ended_well else 1)
