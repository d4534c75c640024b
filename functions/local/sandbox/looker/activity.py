"""System Activity: the queries run on this Looker, as the explore `history` of the model `system__activity`.

Field names come from public LookML and dashboards; Looker's own explore has many more. Looker may answer from a cache
that is one hour old; here the data is always current.
"""

import csv
import dataclasses
import datetime as dt
import pathlib
import tempfile
import threading
from collections.abc import Iterator

from local.sandbox.looker.explores import Explore, LookerField, Warehouse
from local.sandbox.looker.queries import Query

MODEL = "system__activity"
EXPLORE = "history"
PERMISSION = "see_system_activity"

_COLUMNS = {
    "id": "BIGINT",
    "created_at": "TIMESTAMP",
    "runtime": "DOUBLE",
    "source": "VARCHAR",
    "status": "VARCHAR",
    "user_id": "BIGINT",
    "query_id": "BIGINT",
    "query_slug": "VARCHAR",
    "query_model": "VARCHAR",
    "query_view": "VARCHAR",
    "query_fields": "VARCHAR",
    "query_limit": "BIGINT",
}
FIELDS = [
    LookerField("history.id", "History ID", "id", "BIGINT"),
    LookerField("history.created_time", "History Created Time", "created_at", "TIMESTAMP"),
    LookerField("history.created_date", "History Created Date", "created_at::DATE", "DATE"),
    LookerField("history.runtime", "History Runtime in Seconds", "runtime", "DOUBLE"),
    LookerField("history.source", "History Source", "source", "VARCHAR"),
    LookerField("history.status", "History Status", "status", "VARCHAR"),
    LookerField("user.id", "User ID", "user_id", "BIGINT"),
    LookerField("query.id", "Query ID", "query_id", "BIGINT"),
    LookerField("query.slug", "Query Slug", "query_slug", "VARCHAR"),
    LookerField("query.model", "Query Model", "query_model", "VARCHAR"),
    LookerField("query.view", "Query Explore", "query_view", "VARCHAR"),
    LookerField("query.formatted_fields", "Query Fields Used", "query_fields", "VARCHAR"),
    LookerField("query.limit", "Query Limit", "query_limit", "BIGINT"),
    LookerField("history.query_run_count", "History Query Run Count", "COUNT(*)", "BIGINT", measure=True),
    LookerField(
        "history.average_runtime", "History Average Runtime", "AVG(NULLIF(runtime, 0))", "DOUBLE", measure=True
    ),
    LookerField("history.max_runtime", "History Max Runtime", "MAX(runtime)", "DOUBLE", measure=True),
    LookerField("history.total_runtime", "History Total Runtime", "SUM(runtime)", "DOUBLE", measure=True),
    LookerField("history.first_query_date", "History First Query Date", "MIN(created_at)::DATE", "DATE", measure=True),
    LookerField(
        "history.most_recent_query_date", "History Most Recent Query Date", "MAX(created_at)::DATE", "DATE",
        measure=True,
    ),
    LookerField("user.count", "User Count", "COUNT(DISTINCT user_id)", "BIGINT", measure=True),
    LookerField("query.count", "Query Count", "COUNT(DISTINCT query_id)", "BIGINT", measure=True),
]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class QueryRun:
    """One run of a query. A run of SQL Runner has no query."""

    query: Query | None
    at: dt.datetime
    source: str = "api4"
    user_id: str = "1"
    runtime_s: float = 0.0
    status: str = "complete"


class History:
    """All runs, oldest first. The table is created when it is queried."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._lock = threading.Lock()
        self.runs: list[QueryRun] = []

    def note(self, run: QueryRun) -> None:
        self.runs.append(run)

    def explore(self) -> Explore:
        """Return an explore of all runs so far."""
        with self._lock, tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "history.csv"
            with path.open("w", newline="") as file:
                csv.writer(file).writerows([_COLUMNS, *self._rows()])
            fields = {field.name: field for field in FIELDS}
            return Explore(self._warehouse, MODEL, EXPLORE, [path], types=_COLUMNS, fields=fields)

    def _rows(self) -> Iterator[list[object]]:
        numbers: dict[str, int] = {}
        for number, run in enumerate(list(self.runs), 1):
            query = run.query
            yield [
                number,
                run.at.astimezone(dt.UTC).replace(tzinfo=None).isoformat(" "),
                run.runtime_s,
                run.source,
                run.status,
                run.user_id,
                *([""] * 6 if query is None else _cells(query, numbers.setdefault(query.slug, len(numbers) + 1))),
            ]


def _cells(query: Query, number: int) -> list[object]:
    return [number, query.slug, query.model, query.view, ", ".join(query.fields or []), query.limit or ""]
