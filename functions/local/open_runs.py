"""Runs that have not ended: in progress, interrupted or unsettled, as their journals in `leases/` say, and held."""

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from common.runs import holds, leases
from common.runs.leases import Journal
from common.runs.receipts import Receipt
from common.storage.bucket import Bucket
from common.storage.objects import Dated
from local import next_steps

OpenState = Literal["running", "interrupted", "importing", "unknown", "held"]

_IN_PROGRESS = {
    "reading": "It is reading rows.",
    "pushing": "It is sending its file to Pigment.",
    "importing": "Pigment is importing its file.",
    "publishing": "It is publishing its object.",
}
_INTERRUPTED = {
    "reading": "It sent nothing. The next run begins again.",
    "pushing": "Pigment may have its file. The next run finds out, or says what to do.",
    "importing": "Pigment has its file. The next run asks how the import ended.",
    "publishing": "Its object may be published. The next run looks.",
}


class OpenRun(msgspec.Struct, frozen=True):
    receipt: Receipt
    "As far as it was written."
    state: OpenState
    details: str

    def to_builtins(self) -> dict[str, Any]:
        """Return the receipt with the state as its outcome."""
        return {**msgspec.to_builtins(self.receipt), "outcome": self.state, "details": self.details}


def every(bucket: Bucket, job: str = "") -> Iterator[OpenRun]:
    """Yield the open runs of a job, or of all jobs."""
    for _, stored in leases.every(bucket):
        if job in ("", stored.value.receipt.job):
            yield _described(stored)
    for hold, receipt in holds.every(bucket):
        if job in ("", hold.job):
            yield OpenRun(receipt, "held", f"{hold.error.message} {next_steps.of(hold.error)}")


def find(bucket: Bucket, run: str) -> OpenRun | None:
    return next((each for each in every(bucket) if each.receipt.run == run), None)


def _described(stored: Dated[Journal]) -> OpenRun:
    journal = stored.value
    receipt, left_s = journal.receipt, stored.left_s(journal.lifetime_s)
    if left_s > 0 and journal.holder not in ("", receipt.run):
        return OpenRun(receipt, "interrupted", f"Run {journal.holder} is settling it.")
    if left_s > 0 and journal.step in _IN_PROGRESS:
        return OpenRun(receipt, "running", _IN_PROGRESS[journal.step])
    if receipt.error is not None:
        # The run itself wrote why it ended so: it was not killed.
        state: OpenState = "importing" if receipt.outcome == "importing" else "unknown"
        return OpenRun(receipt, state, f"{receipt.error.message} {next_steps.of(receipt.error)}")
    if journal.step == "unknown":
        settle = f"`bridge settle {receipt.run} --landed` or `--not-landed`"
        return OpenRun(receipt, "unknown", f"Look at the import history of its block in Pigment, then run {settle}.")
    return OpenRun(receipt, "importing" if journal.step == "importing" else "interrupted", _INTERRUPTED[journal.step])
