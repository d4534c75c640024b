"""The base of a comparison: its digests are computed in a thread, while the file to compare with it still arrives."""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Self

from common.storage.bucket import Bucket
from common.tables.compare.background import Background
from common.tables.compare.file import CheckedCsv
from common.tables.staging import ProgressCallback

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
        # What arrives meanwhile is counted, and two counts that take turns on one line would show no rate.
        self._digests: Background[Digests | None] = Background("comparing", self._read, lambda *_: None)

    def __enter__(self) -> Self:
        self._digests.begin()
        return self

    def __exit__(self, *error: object) -> None:
        self._digests.__exit__(*error)
        self._digests.begin().add_done_callback(_close)

    def of_columns(self, columns: Sequence[tuple[str, int]]) -> "Digests | None":
        """Wait for the digests, and return them if the base has these columns in this order. Raises what reading the
        base raises.
        """
        digests = self._digests.result()
        return digests if digests and self._file.columns == columns else None

    def _read(self, progress: ProgressCallback) -> "Digests | None":
        # DuckDB and Arrow take a third of a second to import.
        from common.tables.compare import matching  # noqa: PLC0415

        return matching.digests_of_base(self._file, self._key, self._rows, progress)


def _close(computed: "Future[Digests | None]") -> None:
    if not computed.exception() and (digests := computed.result()):
        digests.close()
