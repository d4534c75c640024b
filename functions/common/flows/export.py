"""An export: a Pigment view or block as an object in Cloud Storage, complete or not at all.

    take the lease → settle what an earlier run left → read from Pigment into `tmp/<run>`, checked → guards
    → publish under a precondition → receipt → cursor → release the lease

A reader of the public name gets either the object of the run before or the complete object of this run: Cloud Storage
changes the generation of a name atomically, and no other step is visible.
"""

import json
from datetime import datetime

import msgspec

from common import bridge_yaml
from common.flows.leased import run_leased
from common.pigment import exports
from common.platform.clock import stamp
from common.platform.errors import BridgeError, Busy, ConfigurationOccupied, StorageRefused, ViewTooBig, as_bridge_error
from common.runs import cursors, guards, publication, stopped
from common.runs.cursors import KnownCursors, LastLanding
from common.runs.ends import End, Failed, Previewed, Published, Unconfirmed
from common.runs.instance import Instance
from common.runs.leases import Journal, Lease
from common.runs.receipts import Receipt
from common.runs.run import Run
from common.storage import paths
from common.storage.bucket import Bucket
from common.storage.objects import Stale
from common.tables import export_file
from common.tables.export_file import ArrivingExport, ExportFile, PublishedColumns

_FOR_PUBLISHING_S = 30.0
_LONGEST_HEADER_BYTES = 4096
"Of the 8 KiB that Cloud Storage allows as an object's metadata."


def export(
    instance: Instance,
    bridge: bridge_yaml.Bridge,
    job: bridge_yaml.Export,
    *,
    preview: bool = False,
    due_at: datetime | None = None,
) -> Receipt:
    """Run an export and return its receipt; there is a receipt whether it succeeds or fails.

    Args:
        due_at: the time in the object's name; that of the clock without one.
    """
    run = Run(instance, job.name, job.kind, job.time_zone, due_at=due_at)
    try:
        return _preview(run, bridge, job) if preview else _export_once(run, bridge, job)
    except Exception as error:  # noqa: BLE001  # every run ends by a receipt
        if stopped.is_ctrl_c(error):
            raise KeyboardInterrupt from None
        return run.end(Failed(as_bridge_error(error)))


def lease_key(job: str) -> str:
    """Return the key of an export's lease."""
    return f"export-{job}"


def _export_once(run: Run, bridge: bridge_yaml.Bridge, job: bridge_yaml.Export) -> Receipt:
    bucket = run.instance.bucket
    run.note_object(_public_name(run, job))

    def work(lease: Lease, known_cursors: KnownCursors, _: Receipt | None) -> End | Receipt:
        export_file.sweep(bucket, run.instance.clock.now())
        target, path = publication.locate(bucket, run.receipt)
        replaced = target.find(path)
        previous = known_cursors.read(job.name)
        file = _read(run, bridge, job, previous)
        landed = _landed(run, file, previous)
        lease.note(msgspec.structs.replace(lease.journal, step="publishing", receipt=run.receipt, landed=landed))
        try:
            # After a kill from here on, the object itself tells the next run whether it was published.
            _publish(run, job, file, target, path, over=replaced.generation if replaced else 0)
        except Busy as error:
            # The object may have been published and the answer lost.
            return Unconfirmed(error)
        except BridgeError as error:
            return Failed(error)
        return Published()

    journal = Journal("reading", run.receipt, repeatable=True, max_skipped=0)
    return run_leased(run, bridge, lease_key(job.name), journal, None, work)


def _preview(run: Run, bridge: bridge_yaml.Bridge, job: bridge_yaml.Export) -> Receipt:
    """Do everything up to the publication, and delete the file."""
    try:
        file = _read(run, bridge, job, cursors.read(run.instance.bucket, job.name))
    finally:
        publication.discard(run.instance.bucket, run.id)
    return msgspec.structs.replace(run.end(Previewed()), preview=file.sample)


def _read(run: Run, bridge: bridge_yaml.Bridge, job: bridge_yaml.Export, previous: LastLanding | None) -> ExportFile:
    before = PublishedColumns(previous.header, previous.types) if previous else PublishedColumns()
    with run.timed("pigment"):
        try:
            file = _fetch(run, bridge, job, job.source, before)
        except ViewTooBig as too_big:
            if job.fallback is None:
                raise
            run.warn(f"{too_big.cause} The fallback was exported instead; it contains more than the view.")
            file = _fetch(run, bridge, job, job.fallback, before)
    run.note_read(file)
    rows = file.checked.rows
    run.warn_of_changed_header(previous, file.checked.header)
    guards.expect_rows(rows, job.guards.min_rows, "Pigment")
    guards.expect_no_shrinking(rows, previous.rows if previous else None, job.guards.max_shrink, "Pigment")
    return file


def _fetch(
    run: Run,
    bridge: bridge_yaml.Bridge,
    job: bridge_yaml.Export,
    source: bridge_yaml.ExportSource,
    before: PublishedColumns,
) -> ExportFile:
    instance, deadline = run.instance, run.keep_back(0.2, _FOR_PUBLISHING_S)
    request = exports.request_for(source, job.date_format)

    def read(answer: exports.ExportAnswer) -> ExportFile:
        run.warn(*answer.warnings)
        arriving = ArrivingExport(answer, source, job, instance.progress, before)
        return export_file.write(instance.bucket, run.id, arriving)

    return exports.ask(request, bridge.pigment, instance.secrets, deadline, instance.chance, read)


def _publish(run: Run, job: bridge_yaml.Export, file: ExportFile, target: Bucket, path: str, *, over: int) -> None:
    """Publish the file.

    Raises ConfigurationOccupied if another writer replaced the object since this run began, StorageRefused if the
    published object is not the file that was written.
    """
    bucket, name = run.instance.bucket, run.receipt.object
    try:
        published = bucket.publish(file.path, target, path, _metadata(run, job, file), file.content_type, over=over)
    except Stale:
        next_step = "Only one job may write this name: give each export in bridge.yaml a path of its own."
        cause = f"Another writer replaced {name} during this run; its object was not changed."
        raise ConfigurationOccupied(cause, next_step=next_step) from None
    if published.crc32c != file.crc32c:
        cause = f"The object {name} does not have the checksum of the file that was written."
        raise StorageRefused(cause, next_step="Do not use the object. Run again, which replaces it.")


def _metadata(run: Run, job: bridge_yaml.Export, file: ExportFile) -> dict[str, str]:
    header = json.dumps(file.checked.header)
    return {
        "job": job.name,
        "run": run.id,
        "rows": str(file.checked.rows),
        "header": header if len(header) <= _LONGEST_HEADER_BYTES else "",
        "sha256": file.sha256,
        "source": exports.request_for(file.source, "").what.removeprefix("the "),
        "exported-at": stamp(run.started_at),
    }


def _landed(run: Run, file: ExportFile, previous: LastLanding | None) -> LastLanding:
    """Return what the next run compares itself with, once this one is published."""
    types = {name: list(forms) for name, forms in file.types.items()}
    landed, now = cursors.of(file, run.id, previous), run.instance.clock.now()
    return msgspec.structs.replace(landed, landed_at=stamp(now), staged=run.receipt.object or "", types=types)


def _public_name(run: Run, job: bridge_yaml.Export) -> str:
    path = paths.filled(job.path, run.due_at, run.id)
    return f"gs://{job.bucket}/{path}" if job.bucket else f"gs://{run.instance.bucket.name}/{paths.export(path)}"
