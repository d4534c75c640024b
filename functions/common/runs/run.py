"""A run of a job: its receipt, which grows step by step, and its time budget."""

import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from common import bridge_yaml
from common.looker.calls import CallCounter, LookerCalls
from common.platform.clock import Deadline
from common.platform.errors import BridgeError
from common.platform.log import bind, log
from common.runs import receipts
from common.runs.cursors import LastLanding
from common.runs.ends import End, receipt_of
from common.runs.instance import Instance
from common.runs.receipts import BlockVerdict, CursorMove, ItemCheck, Receipt, Rows, Seconds, Skip
from common.storage.bucket import Bucket
from common.tables.bigquery.query_context import QueryContext
from common.tables.compare import ChangeCounts, Diff
from common.tables.equality.result import BlockEquality
from common.tables.header import header_changes
from common.tables.staging import CheckedFile

_NOT_LOGGED = {
    "started_at",
    "skips",
    "sha256",
    "call",
    "window",
    "cursor",
    "error",
    "changes",
    "known",
    "preview",
    "diff",
    "progress",
    "verification",
}


class Run:
    def __init__(
        self,
        instance: Instance,
        job: str,
        kind: str,
        time_zone: str = "UTC",
        deadline: Deadline | None = None,
        due_at: datetime | None = None,
    ) -> None:
        self.instance = instance
        self.started_at = instance.clock.now()
        self.due_at = (due_at or self.started_at).astimezone(ZoneInfo(time_zone))
        """The time in the names of this run's files, in the job's own time zone: that of its schedule or its delivery.
        It stays the same when the run is called again after midnight. Without one, the run is due when it starts."""
        self.deadline = deadline or instance.deadline()
        self._budget_s = self.deadline.remaining_s()
        self._began_s = instance.clock.monotonic_s()
        self._seconds: dict[str, float] = {"looker": 0.0, "pigment": 0.0}
        self._calls: CallCounter | None = None
        run = receipts.run_id(instance.clock.now(), instance.chance.random())
        self.receipt = receipts.begin(run, job, kind, self.started_at)
        bind(run=self.receipt.run, job=job)

    @property
    def id(self) -> str:
        return self.receipt.run

    def keep_back(self, share: float, at_most_s: float) -> Deadline:
        """Return the run's deadline, less a share of its budget that is reserved for the steps that follow."""
        return self.deadline.earlier(min(at_most_s, self._budget_s * share))

    @contextlib.contextmanager
    def timed(self, vendor: Literal["looker", "pigment"]) -> Iterator[None]:
        """Add the time that the block takes to the vendor's time on the receipt."""
        began_s = self.instance.clock.monotonic_s()
        try:
            yield
        finally:
            self._seconds[vendor] += self.instance.clock.monotonic_s() - began_s

    def count_calls(self, calls: CallCounter) -> None:
        """Put the calls of Looker's API from now on on the receipt."""
        self._calls = calls

    def warn(self, *warnings: str) -> None:
        """Add warnings to the receipt, each of them once."""
        self.receipt = self.receipt.warned(*warnings)

    def warn_of_changed_header(self, previous: LastLanding | None, header: list[str]) -> None:
        if previous is not None and previous.header and previous.header != header:
            changed = f"The header changed since run {previous.run}. {header_changes(previous.header, header)}"
            self.warn(f"{changed} Before: {', '.join(previous.header)}. Now: {', '.join(header)}.")

    def note_target(self, job: bridge_yaml.AnyImport) -> None:
        """Note where the rows go, and whether they are to be read back."""
        self._replace(configuration=job.target.configuration, verified="not_yet" if job.verify else None)

    def note_call(self, call: str | None) -> None:
        """Note which call this run answers, of those that can be repeated."""
        self._replace(call=call)

    def note_object(self, name: str) -> None:
        self._replace(object=name)

    def note_read(self, file: CheckedFile, warnings: Sequence[str] = ()) -> None:
        """Note a file that was read completely, and the warnings about it."""
        self._replace(rows=self.receipt.rows.joined(Rows(read=file.checked.rows)))
        self.note_file(file)
        # Before the push, so that the receipt of a run that is killed has them too.
        self._note_calls()
        self.warn(*warnings, *file.checked.warnings)

    def note_file(self, file: CheckedFile) -> None:
        """Note the size and the digest of the file that will be sent."""
        self._replace(bytes=file.bytes, sha256=file.sha256)

    def note_known(self, known: list[ItemCheck]) -> None:
        self._replace(known=known)

    def note_held_back(self, rows: int, skips: Sequence[Skip]) -> None:
        """Note rows that are not sent, and why."""
        self._replace(rows=self.receipt.rows.joined(Rows(held=rows)), skips=list(skips))

    def note_held(self, held: Receipt) -> None:
        """Note what a held run has read; this run sends its file."""
        rows, window, cursor = Rows(read=held.rows.read, held=held.rows.held), held.window, held.cursor
        self._replace(rows=rows, skips=held.skips, window=window, cursor=cursor, changes=held.changes, known=held.known)

    def note_window(self, window: list[str], cursor: CursorMove) -> None:
        self._replace(window=window, cursor=cursor)

    def note_changes(self, changes: ChangeCounts) -> None:
        self._replace(changes=changes)

    def note_diff(self, diff: Diff | msgspec.UnsetType) -> None:
        self._replace(diff=diff)

    def note_sent(self, rows: int | None) -> None:
        """Note how many rows Pigment may have; None if it has none."""
        self._replace(rows=msgspec.structs.replace(self.receipt.rows, sent=rows))

    def note_verified(self, verdict: BlockVerdict, verification: BlockEquality | None = None) -> None:
        self._replace(verified=verdict, verification=verification)

    def query_context(self, deadline: Deadline) -> QueryContext:
        """Return what a comparison in BigQuery needs. Raises StorageBusy or StorageRefused."""
        return QueryContext(self.instance.bigquery, self.id, self.receipt.job, deadline, self.note_bytes_billed)

    def note_bytes_billed(self, bytes_billed: int) -> None:
        """Add what a query of BigQuery is billed."""
        self._replace(bytes_billed=(self.receipt.bytes_billed or 0) + bytes_billed)

    def note_import(self, import_id: str) -> None:
        self._replace(import_id=import_id)

    def end(self, end: End) -> Receipt:
        """Write this run's receipt and log how the run ended."""
        total_s = self.instance.clock.monotonic_s() - self._began_s
        spent = {name: round(seconds, 3) for name, seconds in self._seconds.items()}
        self._replace(seconds=Seconds(**spent, total=round(total_s, 3)))
        self._note_calls()
        return save(self.instance.bucket, receipt_of(end, self.receipt))

    def _note_calls(self) -> None:
        if self._calls is not None:
            self._replace(calls=(self.receipt.calls or LookerCalls()).plus(self._calls.take()))

    def _replace(self, **fields: Any) -> None:
        self.receipt = msgspec.structs.replace(self.receipt, **fields)


def save(bucket: Bucket, receipt: Receipt) -> Receipt:
    """Write a receipt and log it. If it cannot be stored, the run has not failed: its receipt has a warning."""
    try:
        receipt = receipts.file(bucket, receipt)
    except BridgeError as error:
        log.error("receipt not saved", code=error.code, cause=error.cause)
        warning = f"This receipt could not be saved: {error.cause}"
        receipt = receipt.warned(warning)
    _log(receipt)
    return receipt


def _log(receipt: Receipt) -> None:
    """Write one line for each run; metrics and alerts read its fields."""
    fields = {name: value for name, value in msgspec.to_builtins(receipt).items() if name not in _NOT_LOGGED}
    if receipt.error is None:
        log.info("run ended", **fields)
    else:
        log.error("run ended", **fields, error=msgspec.to_builtins(receipt.error))
