"""Ctrl-C at the command line: what was left, in one line."""

import contextlib
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup

from common.platform.clock import stamp
from common.platform.errors import BridgeError
from common.runs import instance, receipts
from common.runs.receipts import Receipt
from common.runs.stopped import Stopped, is_ctrl_c
from local import open_runs, output, terminal

STATUS = 130
"Of a process that Ctrl-C ended (128 and the number of SIGINT)."
NOTHING_SENT = "Stopped. Nothing was sent."
MAY_HAVE_IT = "Stopped. Pigment may have it; the next run asks."
MAY_BE_PUBLISHED = "Stopped. The object may be published; the next run looks."


class _StoppedBetweenRuns(KeyboardInterrupt):
    """Ctrl-C while no run had a lease."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


class StoppableGroup(TyperGroup):
    """The commands of `bridge`."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Stopped as stop:
            output.print_form_of(stop.receipt, errors=True)
            words = words_of(stop.receipt)
        except _StoppedBetweenRuns as stop:
            words = stop.words
        except (KeyboardInterrupt, RuntimeError) as error:
            if not is_ctrl_c(error):
                raise
            words = "Stopped."
        terminal.say(words, errors=True)
        raise typer.Exit(STATUS)


def words_of(receipt: Receipt) -> str:
    """Return what a run has left that a person stopped."""
    if receipt.is_final and (receipt.error is None or receipt.rows.sent is not None):
        return f"Stopped. The run had ended: {receipt.outcome.replace('_', ' ')}."
    if receipt.is_final:
        return NOTHING_SENT
    return MAY_BE_PUBLISHED if receipt.kind == "export" else MAY_HAVE_IT


@contextlib.contextmanager
def between_runs() -> Iterator[None]:
    """Say of Ctrl-C before the first run, between two or after the last one what the runs of this command have left."""
    began = stamp(instance.current.clock.now())
    try:
        yield
    except Stopped:
        raise
    except KeyboardInterrupt:
        raise _StoppedBetweenRuns(_left_since(began)) from None


def _left_since(began: str) -> str:
    """Look at the runs that began since a moment: those of this command, or of others at the same time."""
    bucket = instance.current.bucket
    try:
        is_open = any(each.receipt.started_at >= began for each in open_runs.every(bucket))
        newest = receipts.newest(bucket, "", 1)
    except BridgeError:
        return "Stopped. `bridge runs` shows what was sent."
    if is_open:
        return MAY_HAVE_IT
    if newest and newest[0].started_at >= began and newest[0].error is None:
        return words_of(newest[0])
    return NOTHING_SENT
