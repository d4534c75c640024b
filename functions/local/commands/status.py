"""`bridge status`: whether the numbers in Pigment are up to date."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from common.flows.status import BucketLinks, catch_up, licence_use, show, unread
from common.platform.clock import Deadline
from common.runs import instance
from common.storage import paths
from local import state_folder, status_table, terminal
from local.commands.connection import ConfiguredBridge, with_bridge
from local.commands.options import Json

_AT_MOST_S = 120.0


@with_bridge
def status(
    bridge: ConfiguredBridge,
    opens: Annotated[bool, typer.Option("--open", help="Open the status page in a browser.")] = False,
    as_json: Json = False,
) -> None:
    """Show for each job whether its rows are up to date, when they last landed, and what to do if they are not."""
    with bridge.open(create=False) as files:
        here = instance.current
        jobs = bridge.known_jobs(files)
        now = here.clock.now()
        known = catch_up(here, jobs, Deadline.after(here.clock, _AT_MOST_S))
        standing = status_table.standing_jobs({name: known[name] for name in sorted(known)}, now)
        left_out = unread(jobs, known)
        if left_out:
            terminal.say(f"These jobs could not be read, and are not shown: {', '.join(left_out)}.", errors=True)
        if as_json:
            terminal.print_json([each.to_builtins() for each in standing])
        else:
            terminal.say_in_words(status_table.sentence(standing, now, left_out))
            terminal.console().print(status_table.table(standing, now))
            for reason in status_table.reasons(standing):
                terminal.say_in_words(f"\n{reason}")
            if used := licence_use(here, jobs):
                terminal.say_in_words(f"\n{used.in_words()}")
        if opens:
            if files is not None:
                show(here, jobs, known)
            _open(files, here.bucket.name)


def _open(files: Path | None, bucket: str) -> None:
    if files is None:
        address = BucketLinks(bucket).index()
    else:
        address = (files / state_folder.BUCKET / paths.STATUS_PAGE).resolve().as_uri()
    if not webbrowser.open(address):
        terminal.say_in_words(f"There is no browser to open. The page is {address}", errors=True)
