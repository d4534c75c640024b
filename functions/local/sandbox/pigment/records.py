"""The latest version of every object of a workspace, stored in a journal."""

import threading
from typing import TypeVar

import duckdb
import msgspec

from local.sandbox.pigment import database
from local.sandbox.pigment.model import (
    ApiKey,
    Block,
    Configuration,
    SandboxApplication,
    SandboxImport,
    Scenario,
    View,
)

Record = ApiKey | SandboxApplication | Block | View | Scenario | Configuration | SandboxImport
R = TypeVar("R", ApiKey, SandboxApplication, Block, View, Scenario, Configuration, SandboxImport)


class Records:
    def __init__(self, rows: database.WorkspaceDatabase) -> None:
        self._database = rows
        self._latest: dict[type, dict[str, Record]] = {}
        self._lock = threading.Lock()
        decoder = msgspec.json.Decoder(Record)
        for line in rows.journal():
            self.remember(decoder.decode(line))

    def find(self, kind: type[R], record_id: str) -> R | None:
        found = self._latest.get(kind, {}).get(record_id)
        return found if isinstance(found, kind) else None

    def get(self, kind: type[R], record_id: str) -> R:
        """Return a record. Raises KeyError if it does not exist."""
        found = self.find(kind, record_id)
        if found is None:
            raise KeyError(f"no {kind.__name__} {record_id}")
        return found

    def all(self, kind: type[R]) -> list[R]:
        """Return the records in the order in which they were first saved."""
        with self._lock:
            return [record for record in self._latest.get(kind, {}).values() if isinstance(record, kind)]

    def save(self, record: Record) -> str:
        if self._database.persists:
            with self._database.transaction() as cursor:
                self.write(cursor, record)
        return self.remember(record)

    def write(self, cursor: duckdb.DuckDBPyConnection, record: Record) -> None:
        """Write a record to the journal, if it persists, in a transaction. Call `remember` after the commit."""
        if self._database.persists:
            database.note(cursor, msgspec.json.encode(record).decode())

    def remember(self, record: Record) -> str:
        """Add a record that is written."""
        with self._lock:
            self._latest.setdefault(type(record), {})[record.id] = record
        return record.id
