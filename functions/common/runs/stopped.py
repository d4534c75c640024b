"""A run that a person stopped with Ctrl-C at the command line. In the cloud, nobody can.

It ends as after an error at the same step: by a receipt that says what Pigment may have, and without its lease.
"""

from typing import assert_never

from common.platform.errors import BridgeError, LandingUnconfirmed, RunInterrupted
from common.runs.leases import JournalStep
from common.runs.receipts import Receipt


class Stopped(KeyboardInterrupt):
    """It ends the command too, so that nothing after the run is begun."""

    def __init__(self, receipt: Receipt) -> None:
        super().__init__("stopped")
        self.receipt = receipt


def is_ctrl_c(error: BaseException) -> bool:
    """Whether an error stands for Ctrl-C: DuckDB raises a RuntimeError if it comes during a query."""
    return isinstance(error, KeyboardInterrupt) or (
        isinstance(error, RuntimeError) and error.args == ("Query interrupted",)
    )


def error_at(step: JournalStep) -> BridgeError:
    """Return the error with which a run ends that was stopped at this step of its journal."""
    match step:
        case "reading":
            return RunInterrupted("A person stopped the run (Ctrl-C) before it sent anything.")
        case "pushing" | "unknown":
            return LandingUnconfirmed("A person stopped the run (Ctrl-C) while it sent its file.")
        case "importing":
            asks = "No action needed: Pigment has the file, and the next run asks how the import ended."
            return RunInterrupted("A person stopped the run (Ctrl-C) while Pigment imported its file.", next_step=asks)
        case "publishing":
            looks = "No action needed: the next run looks whether the object was published."
            return RunInterrupted("A person stopped the run (Ctrl-C) while it published its object.", next_step=looks)
        case _:
            assert_never(step)
