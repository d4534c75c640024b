"""The database of a workspace: a journal of its objects, and one table of rows per block."""

# ruff: noqa: S608  # table and column names consist of UUIDs and positions; values are bound or quoted
import contextlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb

from local.sandbox import duckdb_engine
from local.sandbox.pigment.model import Block, PropertyType

_ROWS_AT_A_TIME = 8192
_SQL_TYPES: dict[PropertyType, str] = {
    "text": "VARCHAR",
    "number": "VARCHAR",  # stored as text: 50.00 is exported as 50.00
    "integer": "BIGINT",
    "date": "DATE",
    "boolean": "BOOLEAN",
    "dimension": "VARCHAR",
}


class WorkspaceDatabase:
    """A database in a file that persists, or in memory, without a journal.

    Tables are created when the database is next used: most declared blocks of a test are never imported into.
    """

    def __init__(self, file: Path | None) -> None:
        self.persists = file is not None
        self._file = file
        self._database: duckdb_engine.Database | None = None
        self._changed: dict[str, Block] = {}
        "By their IDs, blocks whose tables may lack columns."
        self._writing = threading.RLock()

    def close(self) -> None:
        with self._writing:
            if self._database:
                self._database.close()

    def shape(self, block: Block) -> None:
        """Give the block's table a column for every property."""
        with self._writing:
            self._changed[block.id] = block

    @contextlib.contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open a transaction. They run one at a time: DuckDB refuses two that change the same table."""
        with self._writing, self._cursor() as cursor:
            cursor.begin()
            try:
                yield cursor
            except BaseException:
                cursor.rollback()
                raise
            cursor.commit()

    def journal(self) -> list[str]:
        """Return every line, oldest first."""
        if not self.persists:
            return []
        with self._cursor() as cursor:
            return [line for (line,) in cursor.execute("SELECT line FROM journal ORDER BY rowid").fetchall()]

    def rows(self, block: Block) -> list[dict[str, Any]]:
        values = ", ".join(comparable(f"p{n}", kind) for n, kind in enumerate(block.properties.values()))
        return [dict(zip(block.properties, row, strict=True)) for row in self._read(block, values, "ORDER BY rowid")]

    def count(self, block: Block) -> int:
        counted = self._read(block, "count(*)")
        return int(counted[0][0]) if counted else 0

    def lines(self, queries: Iterable[str]) -> Iterator[bytes]:
        """Stream the text column of several queries, read from one snapshot in constant memory."""
        with self._cursor() as cursor:
            cursor.begin()
            for query in queries:
                for batch in cursor.sql(query).to_arrow_reader(_ROWS_AT_A_TIME):
                    yield _join(batch.column(0))

    def number(self, query: str) -> int:
        """Return the number that a query selects."""
        with self._cursor() as cursor:
            return int(cursor.execute(query).fetchall()[0][0])

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        """Open a connection for one thread, to tables that have all their columns."""
        if self._database is None or self._changed:
            with self._writing:
                self._database = self._database or self._open()
                with self._database.cursor() as cursor:
                    for block in self._changed.values():
                        _add_columns(cursor, block)
                self._changed = {}
        return self._database.cursor()

    def _open(self) -> duckdb_engine.Database:
        database = duckdb_engine.Database(self._file)
        if self.persists:
            with database.cursor() as cursor:
                cursor.execute("CREATE TABLE IF NOT EXISTS journal (line VARCHAR)")
        return database

    def _read(self, block: Block, what: str, how: str = "") -> Sequence[Sequence[Any]]:
        if not block.properties:
            return []
        with self._cursor() as cursor:
            return cursor.execute(f"SELECT {what} FROM {table(block)} {how}").fetchall()


def note(cursor: duckdb.DuckDBPyConnection, line: str) -> None:
    """Add a line to the journal, as part of a transaction."""
    cursor.execute("INSERT INTO journal VALUES (?)", [line])


def _add_columns(cursor: duckdb.DuckDBPyConnection, block: Block) -> None:
    columns = [f"p{position} {_SQL_TYPES[kind]}" for position, kind in enumerate(block.properties.values())]
    if columns:
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {table(block)} ({', '.join(columns)})")
    for column in columns:
        cursor.execute(f"ALTER TABLE {table(block)} ADD COLUMN IF NOT EXISTS {column}")


def table(block: Block) -> str:
    return "rows_" + block.id.replace("-", "")


def comparable(sql: str, kind: PropertyType) -> str:
    """Return SQL for the value that comparisons use."""
    return f"CAST({sql} AS DOUBLE)" if kind == "number" else sql


def _join(texts: Any) -> bytes:
    """Return all texts of an Arrow column, joined, directly from its memory."""
    _, ends, content = texts.buffers()
    starts = memoryview(ends).cast("i")
    return bytes(memoryview(content)[starts[texts.offset] : starts[texts.offset + len(texts)]]) if content else b""
