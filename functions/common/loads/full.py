"""`load: full`: every run sends all rows."""

from common import bridge_yaml
from common.loads import sources
from common.loads.load import Batch, Loader, note_header
from common.looker.client import LookerClient
from common.runs import cursors, guards
from common.runs.cursors import LastLanding
from common.runs.run import Run
from common.storage import paths


class FullLoad(Loader):
    def __init__(self, job: bridge_yaml.Pull, looker: LookerClient) -> None:
        self._job, self._looker = job, looker

    def stage(self, run: Run, previous: LastLanding | None, *, preview: bool) -> Batch:  # noqa: ARG002  # it reads the same
        job = self._job
        if previous is not None:
            run.instance.expected("rows read", previous.rows)
        staged = sources.read_all(run, self._looker, job, paths.staged(job.name, run.receipt.run))
        note_header(run, job, previous, staged.checked.header)
        guards.expect_rows(staged.checked.rows, job.guards.min_rows)
        guards.expect_no_shrinking(staged.checked.rows, previous.rows if previous else None, job.guards.max_shrink)
        return Batch(staged, cursors.of(staged, run.id, previous))
