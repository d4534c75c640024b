"""Read a block back from Pigment, and compare it with the files that were sent."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Generic, Literal, Self, TypeVar

import msgspec

from common import bridge_yaml
from common.platform.clock import Deadline
from common.platform.errors import BridgeError, Busy, OutOfTime, StreamCut
from common.runs import publication
from common.runs.receipts import NOT_COMPARED
from common.runs.run import Run
from common.tables.compare.background import Background
from common.tables.compare.file import ArrivingCsv, CheckedCsv
from common.tables.equality.result import BlockEquality, NotComparable, Pairing, SentFile
from common.tables.staging import ProgressCallback

if TYPE_CHECKING:
    from common.tables.equality.comparing import BlockComparison

T = TypeVar("T")

_FOR_ENDING_S = 5.0
_COMPARED_ROWS_PER_S = 200_000
"Of both sides together, at least."
_MAY_BE_TRUNCATED = (
    "The block was read over HTTP/1.1, where Pigment truncates a failed export without an error: missing rows may be "
    "there. Connect the function to Pigment without the proxy that does not speak HTTP/2."
)
_NO_TIME = "The time budget of this call does not allow it."


class NotVerified(msgspec.Struct, frozen=True):
    """Why a block was not compared."""

    verdict: Literal["not_yet", "impossible"]
    because: str

    @property
    def warning(self) -> str:
        when = (
            "The next sweep does it." if self.verdict == "not_yet" else "Until this is corrected, nothing is compared."
        )
        return f"{NOT_COMPARED} {self.because} {when}"


class _Block(msgspec.Struct, Generic[T], frozen=True):
    """A block that was exported."""

    file: CheckedCsv
    rows: int
    found: T
    "What was found while it arrived."
    is_http2: bool


class ReadBack:
    """The comparison of a job's block with files. The `with` block ends what `read_ahead` has begun.

    Args:
        files: return what the block should have, all together.
        sums: whether the sums of columns are compared as well.
    """

    def __init__(
        self,
        run: Run,
        bridge: bridge_yaml.Bridge,
        job: bridge_yaml.AnyImport,
        verify: bridge_yaml.Verify,
        files: Callable[[], Sequence[SentFile]],
        *,
        sums: bool = False,
    ) -> None:
        self._run = run
        self._bridge = bridge
        self._job = job
        self._verify = verify
        self._find_files = files
        self._sums = sums
        # What reads the block counts its rows. Two counts that take turns on one line would show no rate.
        self._uncounted = _within(self._deadline, lambda *_: None)
        self._ahead = Background("reading again", self._begin_ahead, self._uncounted)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._ahead.__exit__(*error)

    def read_ahead(self) -> None:
        """Begin to read the files, in a thread, for a block that is not ready yet."""
        if self._is_here:
            self._ahead.begin()

    def compare(self) -> BlockEquality | NotVerified:
        """Export the block and compare it.

        The exported file is deleted afterwards; after a kill, by the next attempt or within a day.
        """
        try:
            publication.discard(self._run.instance.bucket, self._run.id)
            found, is_http2 = self._compare_here() if self._is_here else self._compare_in_bigquery()
        except NotComparable as error:
            return NotVerified("impossible", error.reason)
        except (Busy, StreamCut) as error:
            return NotVerified("not_yet", error.cause)
        except BridgeError as error:
            return NotVerified("impossible", f"{error.cause} {error.next_step}")
        finally:
            publication.discard(self._run.instance.bucket, self._run.id)
        if found.missing and not is_http2:
            self._run.warn(_MAY_BE_TRUNCATED)
        return found

    @property
    def _is_here(self) -> bool:
        """Whether the function compares. A reconciliation, which wants sums, has the memory and the time of a person's
        machine.
        """
        return self._sums or self._verify.engine == "function"

    @property
    def _deadline(self) -> Deadline:
        return self._run.keep_back(0.1, _FOR_ENDING_S)

    @cached_property
    def _files(self) -> Sequence[SentFile]:
        return self._find_files()

    @property
    def _pairing(self) -> Pairing:
        return _pairing(self._job, self._verify, len(self._files))

    def _begin(self) -> "BlockComparison":
        # DuckDB and Arrow take a third of a second to import.
        from common.tables.equality.comparing import BlockComparison  # noqa: PLC0415

        return BlockComparison(self._run.instance.bucket, self._files, self._pairing)

    def _begin_ahead(self, progress: ProgressCallback) -> "BlockComparison":
        comparison = self._begin()
        comparison.read_ahead(progress)
        return comparison

    def _begun_ahead(self) -> "BlockComparison":
        self._run.instance.waits_for("The rows that were sent are being read again")
        try:
            return self._ahead.result(self._deadline.remaining_s())
        except TimeoutError:
            raise OutOfTime(_NO_TIME) from None
        except BridgeError:
            # Cloud Storage may have answered again since: if not, the block's comparison says so.
            return self._begin()

    def _compare_here(self) -> tuple[BlockEquality, bool]:
        run = self._run
        progress = _within(self._deadline, run.instance.progress)
        comparison = self._begun_ahead() if self._ahead.has_begun else self._begin()
        block = self._fetch(lambda arriving: comparison.count_same(arriving, self._uncounted))
        if block.found is not None:
            equality = BlockEquality(block.found, block.found)
        else:
            both = 2 * block.rows
            if not run.deadline.allows(both / _COMPARED_ROWS_PER_S + _FOR_ENDING_S):
                raise OutOfTime(_NO_TIME)
            equality = comparison.match(block.file, both, progress, shows_values=self._verify.show)
        if self._sums:
            equality = msgspec.structs.replace(equality, sums=comparison.sums(block.file, progress))
        return equality, block.is_http2

    def _compare_in_bigquery(self) -> tuple[BlockEquality, bool]:
        # Arrow, which finds the forms of the block's columns, takes a third of a second to import.
        from common.tables.bigquery.comparing import compare_with_block  # noqa: PLC0415

        block = self._fetch(lambda _: None)
        context = self._run.query_context(self._deadline)
        bucket, [sent] = self._run.instance.bucket, self._files
        there = SentFile(block.file.path, block.file.delimiter)
        shows_values = self._verify.show
        found = compare_with_block(bucket, sent, there, self._pairing, block.rows, context, shows_values=shows_values)
        return found, block.is_http2

    def _fetch(self, read: Callable[[ArrivingCsv], T]) -> _Block[T]:
        """Export the block into a file under `tmp/`, checked as an export's file is, and read it while it arrives."""
        # Only what verifies needs the client of exports.
        from common.pigment import exports  # noqa: PLC0415
        from common.tables import export_file  # noqa: PLC0415

        run, instance, source = self._run, self._run.instance, _source(self._verify)
        as_export = bridge_yaml.Export(name=run.receipt.job, source=source, path="")

        def fetch(answer: exports.ExportAnswer) -> _Block[T]:
            arriving = export_file.ArrivingExport(answer, source, as_export, instance.progress)
            file, found = export_file.write_while_read(instance.bucket, run.id, arriving, read)
            return _Block(file, arriving.checked.rows, found, is_http2=answer.is_http2)

        with run.timed("pigment"):
            request = exports.request_for(source, as_export.date_format)
            pigment = self._bridge.pigment
            return exports.ask(request, pigment, instance.secrets, self._deadline, instance.chance, fetch)


def _within(deadline: Deadline, progress: ProgressCallback) -> ProgressCallback:
    """Return a callback that raises OutOfTime after the deadline."""

    def note(what: str, count: int) -> None:
        if not deadline.allows(0):
            raise OutOfTime(_NO_TIME)
        progress(what, count)

    return note


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
