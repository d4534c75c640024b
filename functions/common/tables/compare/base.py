"""The base of a comparison: its digests are computed in a thread, while the file to compare with it still arrives."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from common.storage.bucket import Bucket
from common.tables.compare.file import CheckedCsv
from common.tables.compare.stop import unless

if TYPE_CHECKING:
    from common.tables.compare.digests import Digests


class BaseDigests:
    """They serve if the file turns out to have the same columns, and both fit into the memory.

    Args:
        rows: the number of rows of the base.
        key: the names of its columns.
    """

    def __init__(self, bucket: Bucket, path: str, delimiter: str, rows: int, key: Sequence[str]) -> None:
        self._file = CheckedCsv(bucket, path, delimiter)
        self._rows = rows
        self._key = key
        self._is_unwanted = threading.Event()
        self._pool = ThreadPoolExecutor(1, "comparing")

    def __enter__(self) -> Self:
        self._digests: Future[Digests | None] = self._pool.submit(self._read)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_unwanted.set()
        self._pool.shutdown()
        if not self._digests.exception() and (digests := self._digests.result()):
            digests.close()

    def of_columns(self, columns: Sequence[tuple[str, int]]) -> "Digests | None":
        """Wait for the digests, and return them if the base has these columns in this order. Raises what reading the
        base raises.
        """
        digests = self._digests.result()
        return digests if digests and self._file.columns == columns else None

    def _read(self) -> "Digests | None":
        # DuckDB and Arrow take a third of a second to import.
        from common.tables.compare import matching  # noqa: PLC0415

        # What arrives meanwhile is counted, and two counts that take turns on one line would show no rate.
        progress = unless(self._is_unwanted, lambda *_: None)
        return matching.digests_of_base(self._file, self._key, self._rows, progress)
