"""Where and for whom files are queried."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from common.platform.bigquery import BigQuery, ExternalCsv
from common.platform.clock import Deadline
from common.storage.bucket import Bucket
from common.tables.compare.file import CheckedCsv

_LABEL = re.compile(r"[^a-z0-9_-]")
_LONGEST_LABEL = 63


class QueryContext(msgspec.Struct, frozen=True):
    bigquery: BigQuery
    run: str
    job: str
    deadline: Deadline
    note_billed: Callable[[int], None]
    "Called with the bytes that each query is billed, also if the comparison then fails."

    def ask(self, sql: str, tables: Mapping[str, ExternalCsv]) -> Iterator[dict[str, Any]]:
        labels = {"bridge_job": _label(self.job), "bridge_run": _label(self.run)}
        result = self.bigquery.query(sql, tables, self.run, labels, self.deadline)
        self.note_billed(result.bytes_billed)
        return result.rows


def table_of(bucket: Bucket, file: CheckedCsv) -> ExternalCsv:
    """Return a file of the bucket as a table. Raises StorageRefused if it is missing."""
    stored = bucket.find(file.path)
    if stored is None:
        raise file.refusal()
    return ExternalCsv(f"gs://{bucket.name}/{file.path}", len(file.header), file.delimiter, stored.size_bytes)


def _label(text: str) -> str:
    """Return a text as the value of a label: lower-case letters, digits, dashes and underscores, at most 63."""
    return _LABEL.sub("_", text.lower())[:_LONGEST_LABEL]
