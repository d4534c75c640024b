"""`load: full`: all rows, every time."""

from common import config, cursors, guards, reading, staging
from common.csv import Contract
from common.cursors import Landed
from common.loads.cargo import Cargo, note_header
from common.looker import Looker
from common.runs import Run


class Everything:
    def __init__(self, job: config.Pull, looker: Looker) -> None:
        self._job = job
        self._looker = looker

    def stage(self, run: Run, previous: Landed | None, *, preview: bool) -> Cargo:  # noqa: ARG002  # it reads the same
        job, guard = self._job, self._job.guards
        contract = Contract(job.target.columns or None, job.target.delimiter)
        path = staging.path_of(job.name, run.receipt.run)
        asked = reading.find(run, self._looker, job.source)
        staged = reading.read(run, self._looker, asked, contract, path, accept_cap=guard.accept_cap)
        note_header(run, job, previous, staged.checked.header)
        rows = staged.checked.rows
        guards.expect_rows(rows, guard.min_rows)
        guards.expect_no_shrinking(rows, previous.rows if previous else None, guard.max_shrink)
        return Cargo(staged, cursors.of(staged, run.receipt.run))

    def progress(self) -> None:
        return None

    def may_go_on(self) -> bool:
        return False
