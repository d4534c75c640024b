"""What one flight carries, and what a load is to the flow that flies it."""

from typing import Protocol

import msgspec

from common import bridge_yaml
from common.runs.cursors import LastLanding
from common.runs.receipts import Progress
from common.runs.run import Run
from common.tables.staging import Staged

FOR_LANDING_S = 30.0
"Kept back from the reading, for what comes after it."


class Batch(msgspec.Struct, frozen=True):
    """A file for Pigment, and what is known once it has landed."""

    staged: Staged
    landed: LastLanding
    moves_without_rows: bool = False
    "Whether the cursor moves as well where there is no row to land."
    scratch: tuple[str, ...] = ()
    "Other files that were written for it, which are of no use unless it lands."


class Loader(Protocol):
    """How much of its source a job takes in one flight."""

    def stage(self, run: Run, previous: LastLanding | None, *, preview: bool) -> Batch | None:
        """The next flight's file; None where there is nothing to read.

        Args:
            preview: nothing will be landed, and the configuration is not held.
        """
        ...

    def progress(self) -> Progress | None:
        """How far it has come, if it may take several flights."""
        ...

    def may_go_on(self) -> bool:
        """Whether another flight is left, of those that this call may take."""
        ...


def note_header(run: Run, job: bridge_yaml.Pull, previous: LastLanding | None, header: list[str]) -> None:
    """Warn of a header that changed, where no contract would have refused it."""
    if previous is not None and not job.target.columns and previous.header and previous.header != header:
        said = f"The header changed since run {previous.run}: {', '.join(previous.header)} became "
        run.warn(f"{said}{', '.join(header)}.")
