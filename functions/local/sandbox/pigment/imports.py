"""Imports: accept, queue, load and report a file, with delays and failures on demand."""

import collections
import dataclasses
import datetime as dt
import hashlib
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import duckdb
import msgspec

from local.sandbox.pigment.loading import DeliberateSkip, FileImport, RowEdit, read_header
from local.sandbox.pigment.model import (
    Block,
    BlockColumn,
    Configuration,
    ErrorDetail,
    ImportFailure,
    SandboxImport,
    SkipReason,
    StatusReport,
)
from local.sandbox.pigment.queue import ImportQueue
from local.sandbox.pigment.workspace import Workspace


@dataclasses.dataclass(frozen=True)
class _Delays:
    in_progress_polls: int = 0
    late_polls: int = 0


class ImportingWorkspace(Workspace):
    """A workspace that runs imports."""

    def __init__(self, root: Path | None, clock: Callable[[], float]) -> None:
        super().__init__(root)
        self.clock = clock
        (self.folder / "received").mkdir(exist_ok=True)
        self._failures: dict[str, collections.deque[ErrorDetail]] = collections.defaultdict(collections.deque)
        self._skips: dict[str, collections.deque[DeliberateSkip]] = collections.defaultdict(collections.deque)
        self._edits: dict[str, collections.deque[RowEdit]] = collections.defaultdict(collections.deque)
        self._delays: dict[str | None, _Delays] = {}
        self._polls: collections.Counter[str] = collections.Counter()
        self._polling = threading.Lock()
        self._queue = ImportQueue(self._run)
        for each in self.imports:
            if each.status == "InProgress":  # An earlier process accepted it and did not complete it.
                self._queue.add(each.configuration, each.id)

    def close(self) -> None:
        self._queue.close()
        super().close()

    @property
    def imports(self) -> list[SandboxImport]:
        """All imports, in the order in which they were accepted."""
        return self.records.all(SandboxImport)

    def received(self, import_id: str) -> Path:
        """Return the path of an import's CSV file, an exact copy."""
        return self.folder / "received" / f"{import_id}.csv"

    def finished(self, import_id: str, timeout_s: float = 60) -> SandboxImport:
        """Wait for the end of an import and return it. Raises TimeoutError if the import is still in progress."""
        if not self._queue.wait_for(
            lambda: self.records.get(SandboxImport, import_id).status != "InProgress", timeout_s
        ):
            raise TimeoutError(f"import {import_id} is still in progress")
        return self.records.get(SandboxImport, import_id)

    def load(self, configuration: str, file: Path) -> SandboxImport:
        """Import a file as a person does in Pigment's web interface, and wait for the result."""
        import_id = str(uuid4())
        shutil.copyfile(file, self.received(import_id))
        with file.open("rb") as content:
            self.accept(configuration, import_id, hashlib.file_digest(content, "sha256").hexdigest())
        return self.finished(import_id)

    def fail_next(self, configuration: str, name: str, description: str) -> None:
        """Let the configuration's next import end as Failed, without any change."""
        self._failures[configuration].append(ErrorDetail(name, description))

    def skip_next(
        self, configuration: str, rows: int, reason: SkipReason = "ParsingError", column: str | None = None
    ) -> None:
        """Let the configuration's next import skip its first valid rows."""
        self._skips[configuration].append(DeliberateSkip(rows, reason, column))

    def edit(self, block: str, change: RowEdit) -> int:
        """Change rows as a person does, and return their number."""
        with self.database.transaction() as cursor:
            return change.make(cursor, self.records.get(Block, block))

    def edit_after_next(self, configuration: str, change: RowEdit) -> None:
        """Change rows at the end of the configuration's next import; its report does not tell."""
        self._edits[configuration].append(change)

    def hold(self, configuration: str | None = None) -> None:
        """Keep accepted imports InProgress until `release`: those of one configuration, or all."""
        self._queue.hold(configuration)

    def release(self, configuration: str | None = None) -> None:
        self._queue.release(configuration)

    def delay_reports(
        self, configuration: str | None = None, *, in_progress_polls: int = 0, late_polls: int = 0
    ) -> None:
        """Delay the reports of each import: first `late_polls` times 404, then `in_progress_polls` times InProgress."""
        self._delays[configuration] = _Delays(in_progress_polls, late_polls)

    def accept(self, configuration: str, import_id: str, sha256: str) -> None:
        """Queue a file that is complete at the path of `received`."""
        size_bytes = self.received(import_id).stat().st_size
        self.records.save(SandboxImport(import_id, configuration, self.clock(), size_bytes, sha256))
        self._queue.add(configuration, import_id)

    def report(self, import_id: str, *, detailed: bool) -> StatusReport | None:
        """Return the answer to a status call, or None if the import is unknown or its report is delayed."""
        found = self.records.find(SandboxImport, import_id)
        if found is None:
            return None
        delays = self._delays.get(found.configuration) or self._delays.get(None) or _Delays()
        with self._polling:
            self._polls[import_id] += 1
            polls = self._polls[import_id]
        if polls <= delays.late_polls:
            return None
        created_at = _timestamp(found.created_s)
        if found.ended_s is None or polls <= delays.late_polls + delays.in_progress_polls:
            return StatusReport(import_id, created_at, "InProgress")
        details = found.report if detailed and found.report else msgspec.UNSET
        return StatusReport(import_id, created_at, found.status, _timestamp(found.ended_s), found.errors, details)

    def fail(self, accepted: SandboxImport, detail: ErrorDetail) -> None:
        self.records.save(
            msgspec.structs.replace(accepted, status="Failed", ended_s=self.clock(), errors=[detail], report=None)
        )

    def _run(self, import_id: str) -> None:
        accepted = self.records.get(SandboxImport, import_id)
        try:
            self._load(accepted)
        except ImportFailure as failure:
            self.fail(accepted, failure.detail)
        except duckdb.Error as error:
            self.fail(accepted, ErrorDetail("InvalidFile", str(error)))

    def _load(self, accepted: SandboxImport) -> None:
        """Commit rows and report together: a crash leaves both or neither, and the next process retries."""
        file = self.received(accepted.id)
        configuration = self._learn_columns(self.records.get(Configuration, accepted.configuration), file)
        failures, skips = self._failures[configuration.id], self._skips[configuration.id]
        failure = failures.popleft() if failures else None
        skip = skips.popleft() if skips else None
        blocks = {block.id: block for block in self.blocks()}
        with self.database.transaction() as cursor:
            load = FileImport(cursor, configuration, blocks, skip)
            report = load.run(file)
            if self._edits[configuration.id]:
                self._edits[configuration.id].popleft().make(cursor, blocks[configuration.block])
            if failure:
                raise ImportFailure(failure.name, failure.description)
            ended = msgspec.structs.replace(
                accepted, status="Completed", ended_s=self.clock(), rows=load.rows, report=report
            )
            self.records.write(cursor, ended)
        self.records.remember(ended)

    def _learn_columns(self, configuration: Configuration, file: Path) -> Configuration:
        """Return the configuration with a column for every header of its first file."""
        if not configuration.learn:
            return configuration
        declared = {column.header: column for column in configuration.columns}
        columns = [declared.get(name, BlockColumn(name)) for name in read_header(file, configuration.delimiter)]
        learned = msgspec.structs.replace(configuration, columns=tuple(columns), learn=False)
        try:
            self.complete(learned)
        except ValueError as error:
            raise ImportFailure("InvalidConfiguration", str(error)) from None
        return learned


def _timestamp(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat().replace("+00:00", "Z")
