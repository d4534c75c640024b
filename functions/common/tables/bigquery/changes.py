"""Find in BigQuery the rows that are new or changed since the last landed file, as `tables.compare` does here.

BigQuery matches the keys, and returns digests of those whose rows are to be sent. The function then reads the new file
and marks these rows: it needs no memory for the others. Many digests are marked some at a time, with a reading of the
file for each.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa

from common.platform.errors import AnswerNotUnderstood
from common.storage.bucket import Bucket
from common.tables.bigquery import statements
from common.tables.bigquery.query_context import QueryContext, table_of
from common.tables.bigquery.statements import AFTER, BEFORE
from common.tables.compare import BadKeys, ChangeCounts, FileComparison
from common.tables.compare.comparing import base_of
from common.tables.compare.digests import cell
from common.tables.compare.file import CheckedCsv
from common.tables.compare.scan import PLACE, open_database, scan
from common.tables.staging import ProgressCallback

_MARKED_AT_ONCE = 2_000_000
"Keys, which need a few hundred bytes of memory each."


def compare_files(
    bucket: Bucket,
    before: str | None,
    after: str,
    key: Sequence[str],
    delimiter: str,
    rows: int,
    progress: ProgressCallback,
    context: QueryContext,
) -> FileComparison | BadKeys:
    """Find the rows of a file that are new or changed.

    The arguments and the result are those of `compare.compare`, without samples. Raises as it does, and the errors of
    `BigQuery.query`.
    """
    new = CheckedCsv(bucket, after, delimiter)
    old, warnings = base_of(CheckedCsv(bucket, before, delimiter) if before else None, new, key)
    are_comparable = old is not None and sorted(old.columns) == sorted(new.columns)
    tables = {AFTER: table_of(bucket, new), **({BEFORE: table_of(bucket, old)} if old else {})}
    found = _Found(context.ask(_statement(old, new, key, are_comparable=are_comparable), tables))
    is_sent = bytearray(rows)
    if are_comparable:
        for digests in iter(lambda: list(islice(found.keys, _MARKED_AT_ONCE)), []):
            _mark(is_sent, new, key, digests, progress)
    else:
        found.read_all()
        is_sent = bytearray(b"\x01") * rows
    if found.rows != rows:
        cause = f"BigQuery found {found.rows:,} rows in the file, which has {rows:,}."
        raise AnswerNotUnderstood(cause, next_step="Remove engine: bigquery, and report it.")
    if found.empty_rows or found.repeated_rows:
        return BadKeys(found.empty_rows, found.repeated_keys, found.repeated_rows)
    counts = found.counts()
    if are_comparable and is_sent.count(1) != counts.added + counts.changed:
        raise AnswerNotUnderstood(
            f"Of {counts.added + counts.changed:,} keys that BigQuery found, the file has {is_sent.count(1):,}.",
            next_step="Remove engine: bigquery, and report it.",
        )
    return FileComparison(counts, is_sent, warnings)


class _Found:
    """The results of the statement, which are counted while they are read."""

    def __init__(self, results: Iterable[dict[str, Any]]) -> None:
        self.rows = self.empty_rows = self.repeated_keys = self.repeated_rows = 0
        self._numbers = dict.fromkeys(("added", "changed", "gone", "unchanged"), 0)
        self.keys = self._read(results)
        "The digests of the keys whose rows are to be sent."

    def read_all(self) -> None:
        for _ in self.keys:
            pass

    def counts(self) -> ChangeCounts:
        return ChangeCounts(**self._numbers)

    def _read(self, results: Iterable[dict[str, Any]]) -> Iterator[str]:
        for result in results:
            change, keys, rows = result["change"], int(result["keys"]), int(result["sent"])
            self.rows += rows
            if change == "empty":
                self.empty_rows += rows
            elif change == "repeated":
                self.repeated_keys, self.repeated_rows = self.repeated_keys + keys, self.repeated_rows + rows
            else:
                self._numbers[change] += keys
            if result["sent_key"] is not None:
                yield result["sent_key"]


def _statement(old: CheckedCsv | None, new: CheckedCsv, key: Sequence[str], *, are_comparable: bool) -> str:
    places = [new.header.index(name) for name in key]
    if old is None:
        return statements.changes(places, range(len(new.header)), None)
    cells = [old.columns.index(column) for column in new.columns] if are_comparable else []
    return statements.changes(places, range(len(new.header)), ([old.header.index(name) for name in key], cells))


def _mark(
    is_sent: bytearray, file: CheckedCsv, key: Sequence[str], digests: Sequence[str], progress: ProgressCallback
) -> None:
    """Mark the rows of a file that have one of these keys. Raises StorageRefused if it is not CSV any more."""
    digest = statements.digest_of_key([file.header.index(name) for name in key], cell)
    with open_database(memory_limit="1GiB") as database:
        # BigQuery's MD5 returns bytes, and DuckDB's their hexadecimal digits.
        database.execute("CREATE MACRO to_hex(value) AS value")
        database.register("wanted", pa.table({"digest": pa.array(digests, pa.string())}))
        query = f"SELECT {PLACE} FROM records SEMI JOIN wanted ON wanted.digest = {digest}"  # noqa: S608  # of our own SQL
        for (place,) in scan(database, file, query, progress).answer:
            is_sent[place] = 1
