"""One DuckDB for all sandboxes of a process, each with its own database. Starting a second one would take 30 ms."""

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
    """A database in memory, or in a file that persists. Beyond the memory limit, DuckDB writes to temporary files."""

    def __init__(self, file: Path | None = None) -> None:
        self._name = f"sandbox{next(_names)}"
        with _engine().cursor() as cursor:
            cursor.execute(f"ATTACH {literal(str(file or ':memory:'))} AS {self._name}")

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Open a connection for one thread."""
        cursor = _engine().cursor()
        cursor.execute(f"USE {self._name}")
        return cursor

    def close(self) -> None:
        # DETACH fails during a read; the database then stays until the process ends.
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
