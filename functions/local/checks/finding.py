"""The result of one check, and the table that shows results."""

import difflib
from collections.abc import Collection, Iterable
from typing import Literal

import msgspec
from rich.table import Table
from rich.text import Text

from common.platform import lookalikes
from common.platform.errors import BridgeError
from local import next_steps

_COLOUR_WIDTH = 6


class _Placed(msgspec.Struct, frozen=True, kw_only=True):
    line: int | None = None
    "The line of bridge.yaml, if the finding is about one."


class Finding(_Placed, frozen=True):
    """The result of one check."""

    colour: Literal["green", "yellow", "red"]
    "Red: a run will fail, or rows are open to others. Yellow: a run may fail, or the check is not possible from here."
    subject: str
    "The key of bridge.yaml that was checked, such as `pulls.flights.source.look`."
    what: str
    "The result as a sentence."
    next_step: str = ""
    "How to fix it; empty for green."


def green(subject: str, what: str) -> Finding:
    return Finding("green", subject, what)


def yellow(subject: str, what: str, next_step: str) -> Finding:
    return Finding("yellow", subject, what, next_step)


def red(subject: str, what: str, next_step: str) -> Finding:
    return Finding("red", subject, what, next_step)


def from_error(subject: str, error: BridgeError) -> Finding:
    """A red finding with the error that a run would end with."""
    return red(subject, error.cause, next_steps.of(error))


def nearest(name: str, known: Collection[str], otherwise: str) -> tuple[str, str]:
    """Return what tells a name from a known one that looks the same, if there is one, and what to write instead."""
    if alike := lookalikes.of([name], list(known)):
        return lookalikes.differences(alike), f"Write {lookalikes.advice(alike)}."
    similar = difflib.get_close_matches(name, known, n=1)
    return "", f"Did you mean {similar[0]}?" if similar else otherwise


def table(findings: Iterable[Finding]) -> Table:
    """One row per finding. The columns have the same width in every table, so findings can be shown one by one."""
    rows = Table.grid(padding=(0, 2, 0, 0))
    rows.add_column(width=_COLOUR_WIDTH)
    rows.add_column()
    for finding in findings:
        next_step = f"\n→ {finding.next_step}" if finding.next_step else ""
        line = f" (line {finding.line})" if finding.line else ""
        text = Text.assemble((finding.subject, "bold"), line, f"  {finding.what}{next_step}")
        rows.add_row(Text(finding.colour, finding.colour), text)
    return rows
