"""Verification: read a block back from Pigment, and compare it with what was sent.

What the block should have depends on the load: the file of the last landing for `full` and for relays, the whole file
with which `changes` compares, and the files of all windows (`kept_files`) for `incremental`.

Pigment's counts describe what an import changed. Only the block itself shows what is there; and it shows whether a push
was accepted whose answer was lost.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Generic, Literal, TypeVar

import msgspec

from common import bridge_yaml
from common.platform.clock import Deadline
from common.platform.errors import BridgeError, Busy, NotEqual, OutOfTime, StreamCut
from common.runs import kept_files, publication
from common.runs.cursors import LastLanding
from common.runs.ends import End, Landed, LandedInPart
from common.runs.leases import Journal
from common.runs.receipts import Receipt
from common.runs.run import Run
from common.storage import paths
from common.tables.compare.file import ArrivingCsv, CheckedCsv
from common.tables.equality.result import BlockEquality, NotComparable, Pairing, SentFile
from common.tables.staging import ProgressCallback

T = TypeVar("T")

_FOR_ENDING_S = 5.0
_COMPARED_ROWS_PER_S = 200_000
"Of both sides together, at least."
_MAY_BE_TRUNCATED = (
    "The block was read over HTTP/1.1, where Pigment truncates a failed export without an error: missing rows may be "
    "there. Connect the function to Pigment without the proxy that does not speak HTTP/2."
)
_NO_TIME = "The time budget of this call does not allow it."
_IMPORTED_WITHIN_S = 3600
"""Pigment imports a file within minutes. Rows that are not there an hour later will not come any more; if they do, they
are in the block twice, which the next comparison finds."""


class NotVerified(msgspec.Struct, frozen=True):
    """Why a block was not compared."""

    verdict: Literal["not_yet", "impossible"]
    because: str

    @property
    def warning(self) -> str:
        when = "The next sweep does it." if self.verdict == "not_yet" else "Until this is mended, nothing proves them."
        return f"The rows in Pigment were not compared with those that were sent. {self.because} {when}"


@dataclasses.dataclass(frozen=True)
class _Block(Generic[T]):
    """A block that was exported."""

    file: CheckedCsv
    rows: int
    found: T
    "What was found while it arrived."
    is_http2: bool


class FoundRows(msgspec.Struct, frozen=True):
    """What a block has of the rows of one file."""

    presence: Literal["all", "none", "none_yet", "some"]
    in_words: str


def verify_landing(
    run: Run, bridge: bridge_yaml.Bridge, job: bridge_yaml.AnyImport, landed: LastLanding, end: End
) -> End:
    """Read the block back after a landing, if the job says so, and note the verdict. Return the end of the run, which
    fails if the block does not have what was sent.
    """
    if job.verify is None or not isinstance(end, Landed):
        return end
    found = read_back(run, bridge, job, job.verify, _expected(run, job, landed))
    if isinstance(found, NotVerified):
        run.note_verified(found.verdict)
        return dataclasses.replace(end, warnings=(*end.warnings, found.warning))
    accepts_extra = _accepts_extra(job, job.verify, landed)
    if not found.differs(accepts_extra=accepts_extra):
        run.note_verified("equal", found)
        return end
    run.note_verified("differs", found)
    return LandedInPart(NotEqual(found.in_words(accepts_extra=accepts_extra)), end.counts, end.skips, end.warnings)


def find_rows(run: Run, bridge: bridge_yaml.Bridge, journal: Journal) -> FoundRows | None:
    """Read back whether the file of an earlier run is in its block; None if that cannot be told.

    A key identifies a row of the block. So a file whose rows are all there must not be sent again, whether this run or
    an earlier one has sent them; and one of which no row is there can be, once Pigment cannot be importing it any more.
    """
    earlier, job = journal.receipt, bridge.job(journal.receipt.job)
    if (
        not isinstance(job, bridge_yaml.AnyImport)
        or job.verify is None
        or job.target.configuration != earlier.configuration
    ):
        return None
    file = SentFile(paths.staged(job.name, earlier.run), job.target.delimiter)
    found = read_back(run, bridge, job, job.verify, [file])
    if isinstance(found, NotVerified):
        return None
    if found.has_all:
        return FoundRows("all", f"The block has all {found.sent:,} rows of the file.")
    if not found.has_none:
        return FoundRows("some", found.in_words(accepts_extra=True))
    # The receipt is stored when a run ends as unknown, or by the first run that finds it open. Its age is judged by the
    # clock of Cloud Storage: another instance's clock may be an hour off.
    stored = run.instance.bucket.read_dated(paths.receipt(job.name, earlier.run), Receipt)
    is_over = stored is not None and stored.age_s > _IMPORTED_WITHIN_S
    return FoundRows("none" if is_over else "none_yet", f"The block has none of the {found.sent:,} rows of the file.")


def _expected(run: Run, job: bridge_yaml.AnyImport, landed: LastLanding) -> list[SentFile]:
    """Return the files that together are what the block should have."""
    bucket, names = run.instance.bucket, [landed.staged]
    if _is_incremental(job):
        names = kept_files.all_landed(bucket, job.name, landed)
    return [SentFile(name, job.target.delimiter) for name in names]


def _is_incremental(job: bridge_yaml.AnyImport) -> bool:
    return isinstance(job, bridge_yaml.Pull) and isinstance(job.load, bridge_yaml.Incremental)


def _accepts_extra(job: bridge_yaml.AnyImport, verify: bridge_yaml.Verify, landed: LastLanding) -> bool:
    """Whether the block may have rows that these files do not have: an append keeps those of earlier runs."""
    if verify.accept_extra:
        return True
    return landed.kept == 0 if _is_incremental(job) else not job.target.repeatable


def read_back(
    run: Run,
    bridge: bridge_yaml.Bridge,
    job: bridge_yaml.AnyImport,
    verify: bridge_yaml.Verify,
    files: Sequence[SentFile],
    *,
    sums: bool = False,
) -> BlockEquality | NotVerified:
    """Export the block and compare it with these files, and with the sums of columns if they are asked for.

    The exported file is deleted afterwards; after a kill, by the next attempt or within a day.
    """
    try:
        publication.discard(run.instance.bucket, run.id)
        return _compare(run, bridge, job, verify, files, sums=sums)
    except NotComparable as error:
        return NotVerified("impossible", error.reason)
    except (Busy, StreamCut) as error:
        return NotVerified("not_yet", error.cause)
    except BridgeError as error:
        return NotVerified("impossible", f"{error.cause} {error.next_step}")
    finally:
        publication.discard(run.instance.bucket, run.id)


def _compare(
    run: Run,
    bridge: bridge_yaml.Bridge,
    job: bridge_yaml.AnyImport,
    verify: bridge_yaml.Verify,
    files: Sequence[SentFile],
    *,
    sums: bool,
) -> BlockEquality:
    pairing = _pairing(job, verify, len(files))
    # A reconciliation, which wants sums, has the memory and the time of a person's machine.
    if sums or verify.engine == "function":
        found, is_http2 = _compare_here(run, bridge, verify, files, pairing, sums=sums)
    else:
        found, is_http2 = _compare_in_bigquery(run, bridge, verify, files, pairing)
    if found.missing and not is_http2:
        run.warn(_MAY_BE_TRUNCATED)
    return found


def _compare_here(
    run: Run,
    bridge: bridge_yaml.Bridge,
    verify: bridge_yaml.Verify,
    files: Sequence[SentFile],
    pairing: Pairing,
    *,
    sums: bool,
) -> tuple[BlockEquality, bool]:
    # DuckDB and Arrow take a third of a second to import.
    from common.tables.equality.comparing import BlockComparison  # noqa: PLC0415

    deadline = run.keep_back(0.1, _FOR_ENDING_S)
    # What reads the block counts its rows. Two counts that take turns on one line would show no rate.
    uncounted = _within(deadline, lambda *_: None)
    progress = _within(deadline, run.instance.progress)
    comparison = BlockComparison(run.instance.bucket, files, pairing)
    block = _fetch(run, bridge, verify, lambda arriving: comparison.count_same(arriving, uncounted))
    if block.found is not None:
        equality = BlockEquality(block.found, block.found)
    else:
        both = 2 * block.rows
        if not run.deadline.allows(both / _COMPARED_ROWS_PER_S + _FOR_ENDING_S):
            raise OutOfTime(_NO_TIME)
        equality = comparison.match(block.file, both, progress, shows_values=verify.show)
    if sums:
        equality = msgspec.structs.replace(equality, sums=comparison.sums(block.file, progress))
    return equality, block.is_http2


def _compare_in_bigquery(
    run: Run,
    bridge: bridge_yaml.Bridge,
    verify: bridge_yaml.Verify,
    files: Sequence[SentFile],
    pairing: Pairing,
) -> tuple[BlockEquality, bool]:
    # Arrow, which finds the forms of the block's columns, takes a third of a second to import.
    from common.tables.bigquery.comparing import compare_with_block  # noqa: PLC0415

    block = _fetch(run, bridge, verify, lambda _: None)
    context = run.query_context(run.keep_back(0.1, _FOR_ENDING_S))
    bucket, [sent] = run.instance.bucket, files
    there = SentFile(block.file.path, block.file.delimiter)
    found = compare_with_block(bucket, sent, there, pairing, block.rows, context, shows_values=verify.show)
    return found, block.is_http2


def _within(deadline: Deadline, progress: ProgressCallback) -> ProgressCallback:
    """Return a callback that raises OutOfTime after the deadline."""

    def note(what: str, count: int) -> None:
        if not deadline.allows(0):
            raise OutOfTime(_NO_TIME)
        progress(what, count)

    return note


def _fetch(
    run: Run, bridge: bridge_yaml.Bridge, verify: bridge_yaml.Verify, read: Callable[[ArrivingCsv], T]
) -> _Block[T]:
    """Export the block into a file under `tmp/`, checked as an export's file is, and read it while it arrives."""
    # Only what verifies needs the client of exports.
    from common.pigment import exports  # noqa: PLC0415
    from common.tables import export_file  # noqa: PLC0415

    instance, source, deadline = run.instance, _source(verify), run.keep_back(0.1, _FOR_ENDING_S)
    as_export = bridge_yaml.Export(name=run.receipt.job, source=source, path="")

    def fetch(answer: exports.ExportAnswer) -> _Block[T]:
        arriving = export_file.ArrivingExport(answer, source, as_export, instance.progress)
        file, found = export_file.write_while_read(instance.bucket, run.id, arriving, read)
        return _Block(file, arriving.checked.rows, found, is_http2=answer.is_http2)

    with run.timed("pigment"):
        request = exports.request_for(source, as_export.date_format)
        return exports.ask(request, bridge.pigment, instance.secrets, deadline, instance.chance, fetch)


def _source(verify: bridge_yaml.Verify) -> bridge_yaml.ExportSource:
    if isinstance(verify.source, bridge_yaml.ViewSource):
        return verify.source
    return msgspec.structs.replace(verify.source, friendly_headers=True)


def _pairing(job: bridge_yaml.AnyImport, verify: bridge_yaml.Verify, files: int) -> Pairing:
    """Return how rows and columns belong together, by their names in the file that was sent."""
    load = job.load if isinstance(job, bridge_yaml.Pull) else "full"
    key = verify.key or (load.key if isinstance(load, bridge_yaml.Changes) else ())
    sent = job.target.columns
    decimals = "Dot" if isinstance(verify.source, bridge_yaml.ViewSource) else verify.source.decimal_separator
    return Pairing(
        key=[sent.get(name, name) for name in key],
        columns={sent.get(name, name): there for name, there in verify.columns.items()},
        ignored=[sent.get(name, name) for name in verify.ignore],
        is_day_first=verify.day_first,
        decimal_sign="," if decimals == "Comma" else ".",
        replaces=files > 1 and job.target.repeatable,
        may_have_extra=verify.accept_extra or not job.target.repeatable,
    )
