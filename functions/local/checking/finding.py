"""What came of one trial, and how a person is shown it."""

from collections.abc import Iterable
from typing import Literal

import msgspec
from rich.markup import escape
from rich.table import Table

from common.platform.errors import BridgeError

_COLOUR_WIDTH = 6


class Finding(msgspec.Struct, frozen=True):
    """One thing that bridge.yaml names or a run needs, tried."""

    colour: Literal["green", "yellow", "red"]
    "Red: a run will fail. Yellow: it may, or nobody can tell from here."
    subject: str
    "Where it is named, such as `pulls.flights.source.look`."
    what: str
    "What was found, in a sentence."
    next_step: str = ""
    "What to do about it; nothing where all is well."


def green(subject: str, what: str) -> Finding:
    return Finding("green", subject, what)


def yellow(subject: str, what: str, next_step: str) -> Finding:
    return Finding("yellow", subject, what, next_step)


def red(subject: str, what: str, next_step: str) -> Finding:
    return Finding("red", subject, what, next_step)


def refused(subject: str, error: BridgeError) -> Finding:
    """The error a run would end with."""
    return red(subject, error.cause, error.next_step)


def table(findings: Iterable[Finding]) -> Table:
    """A row for each, in the same columns whether they are shown together or one by one."""
    rows = Table.grid(padding=(0, 2, 0, 0))
    rows.add_column(width=_COLOUR_WIDTH)
    rows.add_column()
    for finding in findings:
        next_step = f"\n→ {escape(finding.next_step)}" if finding.next_step else ""
        said = f"[bold]{escape(finding.subject)}[/]  {escape(finding.what)}{next_step}"
        rows.add_row(f"[{finding.colour}]{finding.colour}[/]", said)
    return rows
