"""Landing: push a staged file to Pigment and follow the import until Pigment says how it ended.

The journal (`common.runs.leases`) is written before the last block of the file goes out and after Pigment's answer, so
that after a kill between any two lines here the next run knows what may have happened:

    step `reading`    Pigment does not have the whole file, or has refused it: the next run starts over
    step `pushing`    Pigment may have the file: send it again if that is safe, otherwise a person decides
    step `importing`  Pigment says how the import ended

Writing the step `pushing` also renews the lease. A run that was stopped while it pushed, and has lost its lease, cannot
write it, and breaks the request off. Only a process that is stopped between that write and the last block, for longer
than the lease lasts, can still send its file; the next run finds the step `pushing`.
"""

import contextlib
from collections.abc import Callable, Iterator

import msgspec

from common import bridge_yaml
from common.bridge_yaml import Target
from common.pigment import imports
from common.pigment.client import PigmentClient
from common.pigment.imports import UploadBody
from common.pigment.pace import ImportPace
from common.platform.errors import BridgeError, ConfigurationOccupied, LandingUnknown
from common.runs.cursors import LastLanding
from common.runs.ends import Failed, Landed, LandedInPart, StillImporting
from common.runs.judgement import judge
from common.runs.leases import Journal, Lease
from common.runs.run import Run
from common.storage import paths
from common.storage.bucket import Bucket
from common.storage.objects import Stale
from common.tables.staging import Staged, read_back


def journal_of(run: Run, job: bridge_yaml.AnyImport, delivery: str | None = None) -> Journal:
    """Return the journal with which a run begins to land rows; `delivery` is the name in the inbox of a webhook's."""
    guards = job.guards
    limits = guards.max_skipped, job.max_deleted, guards.samples
    return Journal("reading", run.receipt, job.target.repeatable, *limits, delivery=delivery)


@contextlib.contextmanager
def discarding_unsent(run: Run, lease: Lease, staged: Staged) -> Iterator[None]:
    """Delete a file of which Pigment accepted nothing, unless its content is at fault: the next run stages it anew."""
    try:
        yield
    except BridgeError as error:
        if lease.journal.step == "reading" and not error.concerns_content:
            with contextlib.suppress(BridgeError):
                run.instance.bucket.delete(staged.path)
        raise


def land(
    run: Run,
    lease: Lease,
    pigment: PigmentClient,
    target: Target,
    staged: Staged,
    landed: LastLanding,
    while_importing: Callable[[], None] = lambda: None,
) -> Landed | LandedInPart | Failed | StillImporting:
    """Push a staged file and follow its import, step by step in the journal. If it ends well, `landed` is stored.

    Raises BridgeError; the step of the journal says what Pigment may have accepted.

    Args:
        while_importing: called once Pigment has the file; it must not take long.
    """
    handover = _JournaledHandover(lease, run, staged.checked.rows, landed)
    import_id = _send(run, pigment, target, staged, handover)
    run.note_import(import_id)
    lease.note_fact(msgspec.structs.replace(lease.journal, step="importing", receipt=run.receipt))
    while_importing()
    return follow(run, lease.journal, pigment)


def follow(run: Run, journal: Journal, pigment: PigmentClient) -> Landed | LandedInPart | Failed | StillImporting:
    """Wait for the end of a journal's import, as long as the time budget allows.

    Raises LandingUnconfirmed if Pigment no longer knows the import, BridgeError if its state is not available now.
    """
    run.instance.waits_for("Pigment is importing the rows")
    # The import of an earlier run began long ago.
    pace = _pace(run, journal) if journal.receipt.run == run.id else None
    with run.timed("pigment"):
        sent = journal.receipt.rows.sent or 0
        state = imports.follow(pigment, journal.receipt.import_id or "", sent, pace or ImportPace())
    end = StillImporting() if state is None else judge(state, journal)
    return msgspec.structs.replace(end, imported=pace.last) if pace and isinstance(end, Landed) else end


def _pace(run: Run, journal: Journal) -> ImportPace:
    """Return how long the last import by the same configuration took, if this instance or the job's cursor knows."""
    pace = run.instance.import_paces[journal.receipt.configuration or ""]
    pace.last = pace.last or (journal.landed.imported if journal.landed else None)
    return pace


def unknown(cause: str, run_id: str) -> LandingUnknown:
    """Return the error with the commands that settle this run."""
    return LandingUnknown(cause, next_step=LandingUnknown.next_step.replace("RUN", run_id))


class _JournaledHandover:
    """Writes the journal before Pigment may have the file, and after it refused it; the receipt says how many rows
    were sent only while Pigment may have them.
    """

    def __init__(self, lease: Lease, run: Run, rows: int, landed: LastLanding) -> None:
        self._lease = lease
        self._run = run
        self._rows = rows
        self._landed = landed
        self._reading = lease.journal
        self._has_begun = False

    def renew(self) -> None:
        self._lease.note(self._lease.journal)

    def begin(self) -> None:
        self._has_begun = True
        self._run.note_sent(self._rows)
        receipt = self._run.receipt
        self._lease.note(msgspec.structs.replace(self._reading, step="pushing", receipt=receipt, landed=self._landed))

    def undo(self) -> None:
        if self._has_begun:
            self._run.note_sent(None)
            self._lease.note_fact(self._reading)


def _send(run: Run, pigment: PigmentClient, target: Target, staged: Staged, handover: _JournaledHandover) -> str:
    """Push the file, or copy it and trigger its import. Return the import's id."""
    bucket, progress = run.instance.bucket, run.instance.progress
    run.instance.expected("bytes sent", staged.bytes)

    def open_body() -> UploadBody:
        return UploadBody(read_back(bucket, staged, progress), staged.bytes, pigment.deadline)

    with run.timed("pigment"):
        if target.via == "push":
            return imports.push(pigment, target.configuration, open_body, handover, repeatable=target.repeatable)
        _copy(run, target, staged, handover)
        # After a kill between these two lines, the next run copies the file again; Pigment has not read it.
        return imports.trigger(pigment, target.configuration, handover, repeatable=target.repeatable)


def _copy(run: Run, target: Target, staged: Staged, handover: _JournaledHandover) -> None:
    """Copy the file to where Pigment reads it. Raises ConfigurationOccupied if a later run's file is there."""
    connector = run.instance.bucket.beside(target.bucket)
    path = _newest_name(run, target, connector)
    found = connector.find(path)
    # In this order: once another run has the lease, either the renewal fails, or its file has another generation.
    handover.renew()
    try:
        run.instance.bucket.copy(staged.path, connector, path, over=found.generation if found else 0)
    except Stale:
        next_step = "Only one job may write this name: give each target.path in bridge.yaml a name of its own."
        cause = f"Another writer replaced gs://{target.bucket}/{path} during this run; nothing was sent."
        raise ConfigurationOccupied(cause, next_step=next_step) from None


def _newest_name(run: Run, target: Target, connector: Bucket) -> str:
    """Return the name of the file for Pigment, which imports the newest: that of the time for which the run is due, or
    that of now if a file with a later name is there. Raises ConfigurationOccupied if that one is newer still.
    """
    path = paths.filled(target.path, run.due_at, run.id)
    newer = _name_after(path, target, connector)
    if newer is None:
        return path
    path = paths.filled(target.path, run.started_at.astimezone(run.due_at.tzinfo), run.id)
    run.warn(
        f"The file is named for now, because gs://{target.bucket}/{newer} has a later name than the run is due for."
    )
    newer = _name_after(path, target, connector)
    if newer is not None:
        cause = f"Pigment would import gs://{target.bucket}/{newer}, whose name is later than that of this run's file."
        raise ConfigurationOccupied(f"{cause} Nothing was sent.", next_step="Delete that object, then run again.")
    return path


def _name_after(path: str, target: Target, connector: Bucket) -> str | None:
    """Return the last name of the same form that sorts after this one."""
    prefix = target.path.partition("{")[0]
    if prefix == target.path:
        return None
    form = paths.form_of(target.path)
    names = (name for name in connector.names(prefix, since=path) if name > path and form.fullmatch(name))
    return max(names, default=None)
