"""One DuckDB for all sandboxes of a process, each with a database of its own: another DuckDB takes 30 ms to start."""

import contextlib
import functools
import itertools
import shutil
import tempfile
import threading
import weakref
from pathlib import Path

import duckdb

_MEMORY_LIMIT = "2GB"
_names = itertools.count()
_starting = threading.Lock()


class Database:
    """In memory, or in a file that survives; beyond the memory limit DuckDB spills to disk."""

    def __init__(self, file: Path | None = None) -> None:
        self._name = f"sandbox{next(_names)}"
        with _engine().cursor() as cursor:
            cursor.execute(f"ATTACH {literal(str(file or ':memory:'))} AS {self._name}")

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of one's own, for one thread."""
        cursor = _engine().cursor()
        cursor.execute(f"USE {self._name}")
        return cursor

    def close(self) -> None:
        # Whoever still reads from it, such as a client that left in the middle, keeps it until the process ends.
        with _engine().cursor() as cursor, contextlib.suppress(duckdb.Error):
            cursor.execute(f"DETACH {self._name}")


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _engine() -> duckdb.DuckDBPyConnection:
    with _starting:
        return _started()


@functools.cache
def _started() -> duckdb.DuckDBPyConnection:
    spill = tempfile.mkdtemp(prefix="sandbox-spill-")
    engine = duckdb.connect(config={"memory_limit": _MEMORY_LIMIT, "temp_directory": spill})
    weakref.finalize(engine, shutil.rmtree, spill, ignore_errors=True)
    engine.execute("SET TimeZone = 'UTC'")
    return engine
