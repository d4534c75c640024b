"""`bridge check`: try what bridge.yaml names."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from common.runs import instance
from local import terminal
from local.commands.connection import ConfiguredBridge, with_bridge
from local.commands.options import Json


@with_bridge
def check(
    bridge: ConfiguredBridge,
    offline: Annotated[
        bool, typer.Option("--offline", help="Check only bridge.yaml itself. Read no secret and send no request.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="With --offline: write what Terraform reads, if nothing is red. `make check` does this."
        ),
    ] = None,
    deep: Annotated[
        str | None,
        typer.Option(
            "--deep",
            metavar="LOOK",
            help="Run this Look with 5 rows, up to five times, and show what Looker's documents leave open: totals, "
            "empty answers, errors. Nothing else is checked, and no cell is shown.",
        ),
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(
            "--overlay", help="Check another environment: what its file, such as bridge.dev.yaml, makes of bridge.yaml."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Try every credential, permission, id and bucket that bridge.yaml names.

    Green: it works. Yellow: it may fail, or it cannot be checked from here. Red: it fails. Exits with 1 if anything is
    red. Nothing is loaded, exported or changed.
    """
    from local import checks, looker_request  # noqa: PLC0415

    faults = {
        "--out needs --offline.": out and not offline,
        "--deep sends requests, so it cannot be used with --offline.": deep and offline,
        "--deep asks the Looker of bridge.yaml, so it cannot be used with --overlay.": deep and overlay,
    }
    for fault in (words for words, is_present in faults.items() if is_present):
        raise typer.BadParameter(fault)
    console = terminal.console()
    findings: list[checks.Finding] = []
    with contextlib.ExitStack() as stack:
        made: Iterator[checks.Finding]
        # The file comes first: its faults are shown without secrets, and without a bridge.
        can_try = not offline and (bridge.is_deployed or checks.is_valid(bridge.config, overlay))
        if can_try:
            stack.enter_context(bridge.open(needs_secrets=True))
        if not as_json:
            stack.enter_context(console.spinner("checking"))
        if not can_try:
            made = checks.findings_offline(bridge.config, out, overlay)
        elif deep:
            made = checks.observations(looker_request.read_settings(bridge.config), deep, instance.current)
        else:
            made = checks.findings(bridge.config, instance.current, overlay)
        for finding in made:
            findings.append(finding)
            if not as_json:
                console.print(checks.table([finding]))
    if as_json:
        terminal.print_json(findings)
    raise typer.Exit(1 if any(finding.colour == "red" for finding in findings) else 0)
