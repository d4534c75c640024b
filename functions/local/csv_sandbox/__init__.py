"""Looker and Pigment on this machine over CSV files of the user: `bridge sandbox`."""

import contextlib
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
from rich.table import Table

from common.platform.errors import OurFault
from local import foreground, terminal
from local.csv_sandbox import faults, files, looks
from local.csv_sandbox.files import FilesState
from local.csv_sandbox.looks import LookFile, SandboxLook
from local.fault_names import MEANINGS, FaultName
from local.sandbox import vendors
from local.sandbox.vendors import SandboxVendors, VendorAccess

__all__ = ["LookFile", "RunningSandbox", "run", "start"]

FOLDER = Path(".sandbox")
"Stores what Pigment has imported and received."


class RunningSandbox(NamedTuple):
    """Looker and Pigment with the files of a user."""

    vendors: SandboxVendors
    looks: Sequence[SandboxLook]
    faults: Sequence[FaultName]
    files: FilesState


def run(look_files: Sequence[LookFile], fault_names: Collection[FaultName]) -> None:
    """Serve the files until Ctrl-C.

    Raises:
        MalformedRequest: a file cannot be read, or two have the same number.
        OurFault: a port is in use, or another sandbox uses the folder.
    """
    with start(look_files, fault_names) as sandbox:
        foreground.run_until_signal(lambda: _announce(sandbox))
    if sys.stdout.isatty():
        terminal.say("The sandbox is stopped. Started again in this folder, it has the same addresses, keys and rows.")


@contextlib.contextmanager
def start(look_files: Sequence[LookFile], fault_names: Collection[FaultName] = ()) -> Iterator[RunningSandbox]:
    """Start the vendors, and write bridge.yaml and .env into the current folder if neither exists."""
    looks.expect_different(look_files)
    access = files.access_of_earlier()
    with _started(access) as sites:
        shown = looks.put(look_files, sites)
        state = "known" if access else files.write(sites, shown)
        faults.impose(fault_names, sites, shown)
        yield RunningSandbox(sites, shown, list(dict.fromkeys(fault_names)), state)


@contextlib.contextmanager
def _started(access: VendorAccess | None) -> Iterator[SandboxVendors]:
    with contextlib.ExitStack() as stack:
        try:
            sites = stack.enter_context(vendors.start(FOLDER / "pigment", access))
        except duckdb.IOException as error:
            if "lock" not in str(error):
                raise OurFault(f"The folder {FOLDER} cannot be used: {error}", next_step="Delete it.") from None
            raise OurFault(
                f"Another sandbox uses the folder {FOLDER}.", next_step="Stop it, or start in another folder."
            ) from None
        except OSError as error:
            if access is None or error.filename is not None:
                raise
            ports = f"{access.looker_port} or {access.pigment_port}"
            raise OurFault(
                f"The port {ports}, which bridge.yaml names, cannot be used: {error.strerror}.",
                next_step="Stop the program that uses it, or start in another folder.",
            ) from None
        yield sites


def _announce(sandbox: RunningSandbox) -> None:
    """Print addresses, keys and Looks: tables at a terminal, otherwise one line of JSON."""
    if not sys.stdout.isatty():
        terminal.print_json(_as_data(sandbox), indent=-1)
        return
    out = terminal.console()
    out.print(_addresses_table(sandbox))
    out.print()
    out.print(_looks_table(sandbox))
    for look in sandbox.looks:
        if look.repeated_rows:
            repeated = f"{look.repeated_rows:,} of {look.rows:,} rows of {look.file} repeat another one."
            out.print(f"{repeated} As Looker does, the Look shows equal rows once.", highlight=False)
    for name in sandbox.faults:
        out.print(f"Fault {name}: {MEANINGS[name]}", highlight=False)
    out.print()
    out.print(_next_steps(sandbox), highlight=False)


def _as_data(sandbox: RunningSandbox) -> dict[str, Any]:
    sites = sandbox.vendors
    return {
        "looker": sites.looker_server.url,
        "pigment": sites.pigment_server.url,
        "secrets": sites.secrets,
        "looks": {look.look: {"job": look.job, "configuration": look.configuration} for look in sandbox.looks},
        "faults": sandbox.faults,
        "files": sandbox.files,
    }


def _addresses_table(sandbox: RunningSandbox) -> Table:
    sites = sandbox.vendors
    table = Table(
        show_header=False, title="The sandbox is running. Press Ctrl-C to stop it.", title_justify="left", box=None
    )
    table.add_column()
    table.add_column(overflow="fold")
    table.add_row("Looker", sites.looker_server.url)
    table.add_row("Pigment", sites.pigment_server.url)
    for name, value in sites.secrets.items():
        table.add_row(name, value)
    return table


def _looks_table(sandbox: RunningSandbox) -> Table:
    table = Table("Look", "file", "rows", "columns in Pigment", "job", box=None)
    for look in sandbox.looks:
        columns = ", ".join(f"{name} ({kind})" for name, kind in look.columns.items())
        table.add_row(look.look, str(look.file), f"{look.rows:,}", columns, look.job)
    return table


def _next_steps(sandbox: RunningSandbox) -> str:
    if sandbox.files == "left":
        return (
            "This folder has a bridge.yaml or .env already, which stays as it is. To use the sandbox, start it in an "
            "empty folder, or give its addresses and keys to `bridge init` in one."
        )
    jobs = files.jobs_by_look()
    commands = ["check", *(f"pull {job}{option}" for job in list(jobs.values())[:1] for option in (" --preview", ""))]
    begin = "were written" if sandbox.files == "written" else "of an earlier sandbox work with it"
    lines = [
        f"bridge.yaml and .env {begin}. In another terminal, in this folder:",
        *(f"  bridge {command}" for command in [*commands, "runs"]),
    ]
    missing = [look.look for look in sandbox.looks if look.look not in jobs]
    return "\n".join(
        [*lines, *(f"No job reads Look {look}: `bridge add pull --look {look}` adds one." for look in missing)]
    )
