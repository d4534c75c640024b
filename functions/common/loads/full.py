"""`load: full`: all rows, every time."""

from common import bridge_yaml
from common.loads import sources
from common.loads.load import Batch, note_header
from common.looker.client import LookerClient
from common.runs import cursors, guards
from common.runs.cursors import LastLanding
from common.runs.run import Run
from common.tables import staging
from common.tables.csv import Contract


class FullLoad:
    def __init__(self, job: bridge_yaml.Pull, looker: LookerClient) -> None:
        self._job = job
        self._looker = looker

    def stage(self, run: Run, previous: LastLanding | None, *, preview: bool) -> Batch:  # noqa: ARG002  # it reads the same
        job, guard = self._job, self._job.guards
        contract = Contract(job.target.columns or None, job.target.delimiter)
        path = staging.path_of(job.name, run.receipt.run)
        asked = sources.find(run, self._looker, job.source)
        staged = sources.read(run, self._looker, asked, contract, path, accept_cap=guard.accept_cap)
        note_header(run, job, previous, staged.checked.header)
        rows = staged.checked.rows
        guards.expect_rows(rows, guard.min_rows)
        guards.expect_no_shrinking(rows, previous.rows if previous else None, guard.max_shrink)
        return Batch(staged, cursors.of(staged, run.receipt.run))

    def progress(self) -> None:
        return None

    def may_go_on(self) -> bool:
        return False
