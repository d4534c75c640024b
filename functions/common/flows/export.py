"""An export: a Pigment view or block as an object in Cloud Storage, whole or not at all.

hold the job → settle what a killed run left → ask Pigment, streamed → `tmp/<run>`, checked while it is written → guards
→ note the intent → publish under a precondition → receipt → what the next run compares itself with → let the job go

A reader of the public name finds the object of the run before, or all of this one: the change of a name's generation is
the only step that shows, and Cloud Storage makes it at once.
"""

import contextlib
import json

import msgspec

from common import bridge_yaml
from common.pigment import exports
from common.platform.clock import stamp
from common.platform.errors import (
    BridgeError,
    Busy,
    ConfigurationOccupied,
    RunInterrupted,
    StorageRefused,
    ViewTooBig,
)
from common.platform.log import log
from common.runs import cursors, guards, leases, receipts
from common.runs import run as runs
from common.runs.cursors import LastLanding
from common.runs.instance import Instance
from common.runs.leases import Journal, Lease
from common.runs.receipts import ErrorReport, Receipt, Rows
from common.runs.run import Run
from common.storage import paths
from common.storage.store import Stale, Store
from common.tables import export_file
from common.tables.export_file import ExportFile

_FOR_PUBLISHING_S = 30.0
_LONGEST_HEADER_BYTES = 4096
"Of the 8 KiB that Cloud Storage takes as an object's metadata."


def export(here: Instance, bridge: bridge_yaml.Bridge, job: bridge_yaml.Export, *, preview: bool = False) -> Receipt:
    """Run an export once, and file its receipt whatever comes of it."""
    run = Run(here, job.name, job.kind, job.time_zone)
    try:
        return _preview(run, bridge, job) if preview else _fly(run, bridge, job)
    except Exception as error:  # noqa: BLE001  # a receipt for every run, also for one that fails unforeseen
        return run.end(run.failed(runs.as_bridge_error(error)))


def hold_of(job: str) -> str:
    """What an export holds, in the place of an import configuration."""
    return f"export-{job}"


def _fly(run: Run, bridge: bridge_yaml.Bridge, job: bridge_yaml.Export) -> Receipt:
    store, clock = run.instance.store, run.instance.clock
    run.note(object=_public_name(run, store, job))
    flight = Journal("reading", run.receipt, repeatable=True, max_skipped=0, expires_at="")
    with leases.take(store, hold_of(job.name), clock, flight) as lease:
        try:
            if lease.flight.receipt.run != run.receipt.run:
                _settle(store, lease.flight)
                lease.note(flight)
            export_file.sweep(store, clock.now())
            bucket, path = _bucket_and_path(store, run.receipt)
            before = bucket.look_at(path)
            written = _write(run, bridge, job)
            landed = _landed(run, written)
            lease.note(msgspec.structs.replace(flight, step="publishing", receipt=run.receipt, landed=landed))
            # Killed from here on: the object itself tells the next run whether it was published.
            _publish(run, job, written, bucket, path, over=before.generation if before else 0)
        except Exception as error:  # noqa: BLE001  # whatever it is, the hold must not outlive the run
            return _end_by_error(run, lease, runs.as_bridge_error(error))
        return _end(run, lease)


def _preview(run: Run, bridge: bridge_yaml.Bridge, job: bridge_yaml.Export) -> Receipt:
    """The same path up to the publication; what was written is taken away again."""
    try:
        written = _write(run, bridge, job)
    finally:
        export_file.discard(run.instance.store, run.receipt.run)
    receipt = run.end(msgspec.structs.replace(run.receipt, outcome="previewed"))
    return msgspec.structs.replace(receipt, preview=written.sample)


def _write(run: Run, bridge: bridge_yaml.Bridge, job: bridge_yaml.Export) -> ExportFile:
    """What Pigment gives, as a whole file that the guards let pass."""
    previous = cursors.read(run.instance.store, job.name)
    with run.timed("pigment"):
        try:
            written = _fetch(run, bridge, job, job.source)
        except ViewTooBig as too_big:
            if job.fallback is None:
                raise
            run.note(
                warnings=[f"{too_big.cause} The fallback was exported in its place, which holds more than the view."]
            )
            written = _fetch(run, bridge, job, job.fallback)
    rows, header = written.checked.rows, written.checked.header
    run.note(rows=Rows(read=rows), bytes=written.bytes, sha256=written.sha256, warnings=written.checked.warnings)
    if previous is not None and previous.header != header:
        changed = (
            f"The header changed since run {previous.run}: {', '.join(previous.header)} became {', '.join(header)}."
        )
        run.note(warnings=[changed])
    guards.expect_rows(rows, job.guards.min_rows, "Pigment")
    guards.expect_no_shrinking(rows, previous.rows if previous else None, job.guards.max_shrink, "Pigment")
    return written


def _fetch(
    run: Run, bridge: bridge_yaml.Bridge, job: bridge_yaml.Export, source: bridge_yaml.ExportSource
) -> ExportFile:
    here, deadline = run.instance, run.keep_back(0.2, _FOR_PUBLISHING_S)
    question = exports.question_for(source, job.date_format)
    with exports.ask(question, bridge.pigment, here.secrets, deadline, here.chance) as answer:
        run.note(warnings=answer.warnings)
        return export_file.write(here.store, run.receipt.run, answer, source, job, here.progress)


def _publish(run: Run, job: bridge_yaml.Export, written: ExportFile, bucket: Store, path: str, *, over: int) -> None:
    """
    Raises:
        ConfigurationOccupied: another writer replaced the object since this run began.
        StorageRefused: what was published is not what was written.
    """
    store, name = run.instance.store, run.receipt.object
    try:
        published = store.publish(
            written.path, bucket, path, _metadata(run, job, written), written.content_type, over=over
        )
    except Stale:
        raise ConfigurationOccupied(
            f"Another writer replaced {name} while this run was under way; its object was left as it is.",
            next_step="Let one job alone write this name: give each export in bridge.yaml a path of its own.",
        ) from None
    if published.crc32c != written.crc32c:
        raise StorageRefused(
            f"The object {name} does not have the checksum of what was written.",
            next_step="Do not use the object; run again, which replaces it.",
        )


def _metadata(run: Run, job: bridge_yaml.Export, written: ExportFile) -> dict[str, str]:
    header = json.dumps(written.checked.header)
    return {
        "job": job.name,
        "run": run.receipt.run,
        "rows": str(written.checked.rows),
        "header": header if len(header) <= _LONGEST_HEADER_BYTES else "",
        "sha256": written.sha256,
        "source": _what(written.source),
        "exported-at": stamp(run.started_at),
    }


def _what(source: bridge_yaml.ExportSource) -> str:
    return exports.question_for(source, "").what.removeprefix("the ")


def _landed(run: Run, written: ExportFile) -> LastLanding:
    """What the next run compares itself with, once this one is published."""
    checked, clock = written.checked, run.instance.clock
    return LastLanding(
        run.receipt.run, stamp(clock.now()), checked.rows, written.sha256, checked.header, run.receipt.object or ""
    )


def _end(run: Run, lease: Lease) -> Receipt:
    """It is published, and nothing can fail the run any more: what is not done here, the next run does."""
    receipt = run.end(msgspec.structs.replace(run.receipt, outcome="published"))
    try:
        _note_publication(run.instance.store, lease.flight)
        export_file.discard(run.instance.store, receipt.run)
        lease.free()
    except BridgeError as error:
        log.warning("run not finalized", code=error.code, cause=error.cause)
    return receipt


def _end_by_error(run: Run, lease: Lease, error: BridgeError) -> Receipt:
    if lease.flight.step == "publishing" and isinstance(error, Busy):
        # The answer may have been lost on its way back; the object tells the next run.
        receipt = run.end(msgspec.structs.replace(run.failed(error), outcome="unknown"))
        with contextlib.suppress(BridgeError):
            lease.leave_open(msgspec.structs.replace(lease.flight, receipt=receipt))
        return receipt
    receipt = run.end(run.failed(error))
    try:
        export_file.discard(run.instance.store, receipt.run)
        lease.free()
    except BridgeError as failure:
        # The hold lapses by itself, and what is under `tmp/` goes within a day.
        log.warning("run not finalized", code=failure.code, cause=failure.cause)
    return receipt


def _settle(store: Store, flight: Journal) -> None:
    """Bring a run that was killed, or did not learn how it ended, to its end."""
    receipt = flight.receipt
    kept = receipts.read(store, receipt.job, receipt.run)
    if kept is None or kept.outcome in receipts.OPEN:
        if flight.step == "publishing" and _is_published(store, receipt):
            kept = msgspec.structs.replace(receipt, outcome="published", error=None)
        else:
            interrupted = RunInterrupted(f"Run {receipt.run} ended without a word, and published nothing.")
            kept = msgspec.structs.replace(receipt, outcome="failed", error=ErrorReport.of(interrupted))
        runs.keep(store, kept)
    if kept.outcome == "published":
        _note_publication(store, flight)
    export_file.discard(store, receipt.run)


def _is_published(store: Store, receipt: Receipt) -> bool:
    bucket, path = _bucket_and_path(store, receipt)
    there = bucket.look_at(path)
    return there is not None and there.metadata.get("run") == receipt.run


def _note_publication(store: Store, flight: Journal) -> None:
    if flight.landed is not None:
        cursors.move(store, flight.receipt.job, flight.landed)


def _public_name(run: Run, store: Store, job: bridge_yaml.Export) -> str:
    path = paths.filled(job.path, run.started_at, run.receipt.run)
    return f"gs://{job.bucket}/{path}" if job.bucket else f"gs://{store.name}/exports/{path}"


def _bucket_and_path(store: Store, receipt: Receipt) -> tuple[Store, str]:
    bucket, _, path = (receipt.object or "").removeprefix("gs://").partition("/")
    return (store if bucket == store.name else store.beside(bucket)), path
