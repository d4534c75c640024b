"""`load: changes`: only the rows that are new or changed since the last landed file.

    read all rows, and the base meanwhile, which is the file that landed last → compare them
    → write the difference to a file of its own
    → (landed) → the cursor stores what was read as the next base

Bases are stored under `bases/`. What is under `staged/` is deleted after a month, and a source may be unchanged longer.
"""

import contextlib
from collections.abc import Collection
from contextlib import AbstractContextManager

from common import bridge_yaml
from common.loads import sources
from common.loads.load import FOR_LANDING_S, Batch, Loader
from common.looker.client import LookerClient
from common.platform.errors import StorageRefused
from common.runs import cursors, guards, holds, unfinished
from common.runs.cursors import LastLanding
from common.runs.run import Run
from common.storage import paths
from common.storage.bucket import Bucket
from common.tables import compare
from common.tables.compare import BadKeys, BaseDigests, FileComparison
from common.tables.staging import Staged

_SAMPLES = 5


class ChangesLoad(Loader):
    def __init__(self, job: bridge_yaml.Pull, load: bridge_yaml.Changes, looker: LookerClient) -> None:
        self._job, self._load, self._looker = job, load, looker

    def stage(self, run: Run, previous: LastLanding | None, *, preview: bool) -> Batch | None:
        """Stage the difference from the base, if there is any.

        Raises KeysNotUnique if the key does not identify rows, StorageRefused if the base is missing and an append
        would receive its rows again.
        """
        job, bucket = self._job, run.instance.bucket
        base = self._base(run, previous)
        if not preview:
            # What landed last stays, even if it is no base for this run, which may fail: with its configuration, for
            # example. So does the base of a held run.
            held = holds.read(bucket, job.name) if job.guards.approve else None
            kept = [landed.staged for landed in (previous, held.landed if held else None) if landed]
            _sweep(bucket, job.name, kept, run.id)
        path = paths.staged(job.name, run.receipt.run)
        whole_path = f"{path}.whole" if preview else paths.base(job.name, run.receipt.run)
        samples, rows_before = _SAMPLES if preview else 0, previous.rows if previous else None
        with self._digesting(run, base, rows_before or 0, samples) as base_digests:
            whole = sources.read_all(run, self._looker, job, whole_path)
            guards.expect_rows(whole.checked.rows, job.guards.min_rows)
            guards.expect_no_shrinking(whole.checked.rows, rows_before, job.guards.max_shrink)
            comparison = self._compare(run, base, whole, base_digests, samples)
        if not any(comparison.is_sent):
            bucket.delete(whole.path)
            return None
        delta = compare.write_delta(bucket, whole.path, comparison, path, job.target.delimiter, run.instance.progress)
        run.note_file(delta)
        return Batch(delta, cursors.of(whole, run.id, previous), scratch=(whole.path,))

    @property
    def _key(self) -> list[str]:
        return compare.key_in_file(self._load.key, self._job.target.columns)

    def _is_here(self, samples: int) -> bool:
        """Whether the function compares. A preview shows rows, which only the function finds by their places."""
        return self._load.engine == "function" or samples > 0

    def _digesting(
        self, run: Run, base: str | None, rows: int, samples: int
    ) -> AbstractContextManager[BaseDigests | None]:
        """Read the base while Looker sends its rows."""
        if base is None or not self._is_here(samples):
            return contextlib.nullcontext()
        return BaseDigests(run.instance.bucket, base, self._job.target.delimiter, rows, self._key)

    def _compare(
        self, run: Run, base: str | None, whole: Staged, base_digests: BaseDigests | None, samples: int
    ) -> FileComparison:
        bucket, delimiter, progress = run.instance.bucket, self._job.target.delimiter, run.instance.progress
        files = bucket, base, whole.path, self._key, delimiter, whole.checked.rows, progress
        if self._is_here(samples):
            found = compare.compare(*files, base=base_digests, samples=samples)
        else:
            # Arrow and DuckDB, which mark the rows to send, take a third of a second to import.
            from common.tables.bigquery.changes import compare_files  # noqa: PLC0415

            found = compare_files(*files, run.query_context(run.keep_back(0.2, FOR_LANDING_S)))
        run.note_diff(found.diff)
        if isinstance(found, BadKeys):
            bucket.delete(whole.path)
            raise found.refusal()
        run.note_changes(found.counts)
        run.warn(*found.warnings)
        return found

    def _base(self, run: Run, previous: LastLanding | None) -> str | None:
        """Return the path of the file that landed last; None if every row counts as new."""
        if previous is None:
            return None
        obstacle = self._obstacle(run.instance.bucket, previous)
        if obstacle is None:
            return previous.staged
        if self._job.target.repeatable:
            run.warn(f"{obstacle}. Every row is sent, because there is no file to compare with.")
            return None
        next_step = (
            "Restore an older version of the file in the bucket, or empty the list in Pigment and rename the job."
        )
        raise StorageRefused(f"{obstacle}, so the rows that the append has are not known.", next_step=next_step)

    def _obstacle(self, bucket: Bucket, previous: LastLanding) -> str | None:
        """Return why the last landing cannot be compared with, if it cannot."""
        if previous.column is not None:
            return "The load was incremental until now"
        if changed := self._change_of_block(bucket, previous):
            return changed
        if not bucket.exists(previous.staged):
            return f"The file that run {previous.run} landed is missing"
        if not previous.has_delimiter(self._job.target.delimiter):
            return f"The delimiter has changed since run {previous.run}"
        if previous.configuration not in (None, self._job.target.configuration):
            return f"Run {previous.run} landed through another configuration, {previous.configuration}"
        return None

    def _change_of_block(self, bucket: Bucket, previous: LastLanding) -> str | None:
        """Return why the block may not have what has landed, if that is known."""
        if previous.deleted:
            return f"Run {previous.run} deleted {previous.deleted:,} rows in Pigment"
        if not self._job.target.repeatable:
            return None
        if previous.differs:
            return f"The block was found to differ from what had landed by run {previous.run}"
        # Its rows may be in the block, and Looker may have others by now that are equal to those before it.
        sent = unfinished.since(bucket, self._job.name, previous)
        return f"Run {sent.run} may have landed, or only in part" if sent else None


def _sweep(bucket: Bucket, job: str, kept: Collection[str], run: str) -> None:
    """Delete what earlier runs have left: files that did not land, and earlier bases."""
    for path in bucket.names(paths.bases(job)):
        # The file of a later run, which took over while this one was stopped, is that run's base.
        if path not in kept and path < paths.base(job, run):
            bucket.delete(path)
