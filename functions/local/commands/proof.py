"""`bridge verify` and `bridge reconcile`: whether Pigment has what was sent, and what Looker has now."""

import difflib
from typing import Annotated

import typer

from common import bridge_yaml
from common.platform.errors import BridgeError, MalformedRequest, NoSuchJob
from common.runs import instance
from local import next_steps, output, run_display, terminal
from local.commands.connection import ConfiguredBridge, with_bridge
from local.commands.options import Json

_NOT_COMPARED = 2


@with_bridge
def verify(
    bridge: ConfiguredBridge,
    job: Annotated[str, typer.Argument(help="The name of a pull or relay with `verify` in bridge.yaml.")],
    as_json: Json = False,
) -> None:
    """Compare a job's block in Pigment with what was sent last, and print that receipt. Exits with 0 if it is equal."""
    from common.flows import status as status_flow  # noqa: PLC0415
    from common.flows import verify as verify_flow  # noqa: PLC0415

    with bridge.open_to_run() as files, run_display.shown(job, "waiting for Pigment"):
        here, jobs = instance.current, instance.current.config()
        receipt = verify_flow.verify(here, jobs, _landing_job(jobs, job))
        status_flow.note_comparison(here, jobs, receipt)
    output.print_receipt(receipt, as_json, files)
    raise typer.Exit(0 if receipt.verified == "equal" else 1)


@with_bridge
def reconcile(
    bridge: ConfiguredBridge,
    job: Annotated[str, typer.Argument(help="The name of a pull with `verify` in bridge.yaml.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Reconcile all pulls with `verify`.")] = False,
    as_json: Json = False,
) -> None:
    """Compare a pull's block in Pigment with Looker as it is now: rows, sums of numbers, and each cell by key.

    Sends nothing. Exits with 0 if all are equal, with 1 if one differs, and with 2 if one could not be compared.
    """
    try:
        exit_code = _reconcile(bridge, job, as_json=as_json, every=every)
    except BridgeError as error:
        # 1 says that a block differs.
        next_steps.tell(error)
        exit_code = _NOT_COMPARED
    raise typer.Exit(exit_code)


def _reconcile(bridge: ConfiguredBridge, job: str, *, as_json: bool, every: bool) -> int:
    from local import reconciliation  # noqa: PLC0415  # DuckDB and Arrow

    if bool(job) == every:
        raise MalformedRequest("It is not clear what to reconcile.", next_step="Name a pull, or add --all.")
    with bridge.open_to_run():
        here, jobs = instance.current, instance.current.config()
        pulls = [pull for pull in jobs.pulls.values() if pull.verify] if every else [jobs.find(bridge_yaml.Pull, job)]
        if not pulls:
            raise NoSuchJob("No pull in bridge.yaml has `verify`.", next_step="Add it: see functions/docs/verify.md.")
        found = []
        for pull in pulls:
            with run_display.shown(pull.name, "waiting for Looker"):
                found.append(reconciliation.reconcile(here, jobs, pull))
    if as_json:
        terminal.print_json(found)
    else:
        terminal.console().print(reconciliation.table(found))
        for each in found:
            if rows := reconciliation.rows_table(each):
                terminal.console().print(f"\n{each.job}", rows)
    return reconciliation.exit_code(found)


def _landing_job(jobs: bridge_yaml.Bridge, name: str) -> bridge_yaml.AnyImport:
    found = jobs.job(name)
    if isinstance(found, bridge_yaml.AnyImport):
        return found
    names = [job.name for job in jobs.jobs() if isinstance(job, bridge_yaml.AnyImport)]
    alike = difflib.get_close_matches(name, names, 1)
    next_step = f"Did you mean {alike[0]}?" if alike else f"Pulls and relays: {', '.join(names) or 'none'}."
    raise NoSuchJob(f"There is no pull or relay {name}.", next_step=next_step)
