"""The protocol of the three loads, and the batch that a load hands to the pull."""

from typing import Protocol

import msgspec

from common import bridge_yaml
from common.runs.cursors import LastLanding
from common.runs.receipts import Progress
from common.runs.run import Run
from common.tables.staging import Staged

FOR_LANDING_S = 30.0
"The part of the time budget that reading leaves for landing."


class Batch(msgspec.Struct, frozen=True):
    staged: Staged
    landed: LastLanding
    "What the job's cursor stores once the file has landed."
    rows_before: int = 0
    "How many rows of a range that is being loaded again have landed before this batch."
    moves_without_rows: bool = False
    "The cursor moves even if the file has no rows to land."
    scratch: tuple[str, ...] = ()
    "Paths of other files that a preview deletes."


class Loader(Protocol):
    """A load: which rows of its source a job sends to Pigment."""

    def stage(self, run: Run, previous: LastLanding | None, *, preview: bool) -> Batch | None:
        """Read, check and stage the next batch; None if there is nothing to send. A preview has no lease."""

    def progress(self) -> Progress | None:
        """Return how far a load of several batches has come."""
        return None

    def begins_again(self) -> bool:
        """Tell if a person asked to load rows again that had landed before."""
        return False

    def may_go_on(self) -> bool:
        """Tell if this call may stage another batch."""
        return False


def note_header(run: Run, job: bridge_yaml.Pull, previous: LastLanding | None, header: list[str]) -> None:
    """Warn of a changed header. With `target.columns`, the contract refuses it instead."""
    if not job.target.columns:
        run.warn_of_changed_header(previous, header)
