"""`load: changes`: only the rows that are new or changed since the last landed file.

    read everything → compare it with what landed last → write what differs to a file of its own → (landed)
    → the cursor names what was read as what the next run is compared with

What was read lies under `bases/`, since what is under `staged/` goes after a month, and a source may rest for longer.
"""

from common import bridge_yaml
from common.loads import sources
from common.loads.load import Batch
from common.looker.client import LookerClient
from common.platform.errors import StorageRefused
from common.runs import cursors, guards
from common.runs.cursors import LastLanding
from common.runs.run import Run
from common.storage.store import Store
from common.tables import compare, staging
from common.tables.compare import BadKeys
from common.tables.csv import Contract

_SAMPLES = 5


class ChangesLoad:
    def __init__(self, job: bridge_yaml.Pull, load: bridge_yaml.Changes, looker: LookerClient) -> None:
        self._job = job
        self._load = load
        self._looker = looker

    def progress(self) -> None:
        return None

    def may_go_on(self) -> bool:
        return False

    def stage(self, run: Run, previous: LastLanding | None, *, preview: bool) -> Batch | None:
        """What differs from the last landed file; None where nothing does.

        Raises:
            KeysNotUnique: rows cannot be told apart.
            StorageRefused: what landed last is gone, and sending everything would double an append.
        """
        job, target, here = self._job, self._job.target, run.instance
        base = self._base(run, previous)
        if not preview:
            _sweep(here.store, job.name, base)
        path = staging.path_of(job.name, run.receipt.run)
        whole_path = f"{path}.whole" if preview else path_of(job.name, run.receipt.run)
        contract = Contract(target.columns or None, target.delimiter)
        asked = sources.find(run, self._looker, job.source)
        whole = sources.read(run, self._looker, asked, contract, whole_path, accept_cap=job.guards.accept_cap)
        rows = whole.checked.rows
        guards.expect_rows(rows, job.guards.min_rows)
        guards.expect_no_shrinking(rows, previous.rows if previous else None, job.guards.max_shrink)
        key = compare.key_in_file(self._load.key, target.columns)
        samples = _SAMPLES if preview else 0
        found = compare.compare(
            here.store, base, whole.path, key, target.delimiter, rows, here.progress, samples=samples
        )
        run.note_diff(found.diff)
        if isinstance(found, BadKeys):
            here.store.delete(whole.path)
            raise found.refusal()
        run.note_changes(found.counts)
        run.warn(*found.warnings)
        if not any(found.is_sent):
            here.store.delete(whole.path)
            return None
        delta = compare.write_delta(here.store, whole.path, found, path, target.delimiter, here.progress)
        run.note_file(delta)
        return Batch(delta, cursors.of(whole, run.receipt.run), scratch=(whole.path,))

    def _base(self, run: Run, previous: LastLanding | None) -> str | None:
        """The file that landed last; None where everything is new."""
        if previous is None:
            return None
        obstacle = self._obstacle(run.instance.store, previous)
        if obstacle is None:
            return previous.staged
        if self._job.target.repeatable:
            run.warn(f"{obstacle}: there is nothing to compare with, and every row is sent.")
            return None
        raise StorageRefused(
            f"{obstacle}, so that nothing tells which rows an append has already.",
            next_step="Bring back what was there (the bucket keeps older versions of its objects), or empty the list "
            "in Pigment and give the job a new name.",
        )

    def _obstacle(self, store: Store, previous: LastLanding) -> str | None:
        """Why what landed last cannot be compared with."""
        if previous.column is not None:
            return "The load was in windows so far"
        if not store.exists(previous.staged):
            return f"The file that run {previous.run} landed is gone"
        if previous.configuration not in (None, self._job.target.configuration):
            return f"Run {previous.run} landed through another configuration, {previous.configuration}"
        return None


def path_of(job: str, run: str) -> str:
    return f"bases/{job}/{run}.csv"


def _sweep(store: Store, job: str, base: str | None) -> None:
    """Take away what earlier runs have left: those that did not land, and the one before the last."""
    for path in store.names(f"bases/{job}/"):
        if path != base:
            store.delete(path)
