"""The part of BigQuery's REST API that runs queries: jobs.insert, jobs.get and jobs.getQueryResults.

A job is run when it is inserted. It reads objects of the local Cloud Storage, whose buckets must be in its location.

https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/jobs
"""

import dataclasses
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import msgspec
from werkzeug.exceptions import HTTPException

from local.sandbox.bigquery.dialect import PREPARATION, for_duckdb
from local.sandbox.bigquery.request_bodies import ExternalDataConfiguration, InsertedJob, JobReference
from local.sandbox.duckdb_engine import Database, literal
from local.sandbox.routing import Router, operation
from local.sandbox.storage import SandboxStorage
from local.sandbox.wire import Request, Response

_PROJECT = "/bigquery/v2/projects/<project>"
_URI = re.compile(r"gs://([^/]+)/(.+)")
_MIB = 1024**2
_LEAST_BILLED_MIB = 10
"For each table (https://cloud.google.com/bigquery/pricing)."
_LONGEST_LINE_BYTES = 100 * _MIB


class _QueryRefusal(Exception):
    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message

    def response(self) -> Response:
        errors = [{"message": self.message, "domain": "global", "reason": self.reason}]
        error = {"code": self.status, "message": self.message, "errors": errors, "status": "UNKNOWN"}
        return Response.of_json({"error": error}, self.status)


class _Table(NamedTuple):
    names: Sequence[str]
    types: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclasses.dataclass
class _RunJob:
    body: InsertedJob
    outcome: _Table | _QueryRefusal
    bytes_billed: int

    def described(self) -> dict[str, Any]:
        status: dict[str, Any] = {"state": "DONE"}
        if isinstance(self.outcome, _QueryRefusal):
            status["errorResult"] = {"reason": self.outcome.reason, "message": self.outcome.message}
        # An int64 is text in JSON (Google's JSON mapping of protocol buffers).
        statistics = {"query": {"totalBytesBilled": str(self.bytes_billed), "statementType": "SELECT"}}
        return {"kind": "bigquery#job", "jobReference": self.reference, "status": status, "statistics": statistics}

    @property
    def reference(self) -> dict[str, Any]:
        return dict(msgspec.to_builtins(self.body.job_reference))


class SandboxBigQuery:
    """A site over the objects of a local Cloud Storage. The project's name is not checked."""

    def __init__(self, storage: SandboxStorage) -> None:
        self._storage = storage
        self._router = Router(self)
        self._database: Database | None = None
        self._lock = threading.RLock()
        self._refusal: _QueryRefusal | None = None
        self.jobs: dict[str, _RunJob] = {}
        "By ID, in the order in which they were inserted."
        self.rows_of_a_page = 100_000
        self.unfinished_answers = 0
        "How many requests for a result are answered that there is none yet."

    def close(self) -> None:
        if self._database:
            self._database.close()

    def refuse(self, status: int, reason: str, message: str = "Not here.") -> None:
        """Refuse all jobs from now on, as BigQuery does for a reason of its table of errors."""
        self._refusal = _QueryRefusal(status, reason, message)

    def allow(self) -> None:
        self._refusal = None

    def answer(self, request: Request) -> Response:
        with self._lock:
            try:
                found, values = self._router.find(request)
                return found.answer(request, **values)
            except HTTPException:
                return _QueryRefusal(404, "notFound", "Not Found").response()
            except _QueryRefusal as refusal:
                return refusal.response()

    @operation("POST", f"{_PROJECT}/jobs")
    def _insert(self, request: Request, project: str) -> Response:
        try:
            body = msgspec.convert(request.json(), InsertedJob)
        except (ValueError, msgspec.ValidationError) as error:
            raise _QueryRefusal(400, "invalid", f"Invalid JSON payload received. {error}") from None
        if self._refusal:
            raise self._refusal
        if body.job_reference.project_id != project:
            raise _QueryRefusal(400, "invalid", "The project of the job is not that of the address.")
        identity = body.job_reference.job_id
        if identity in self.jobs:
            raise _QueryRefusal(409, "duplicate", f"Already Exists: Job {project}:{identity}")
        job = self._run(body)
        if not body.configuration.dry_run:
            self.jobs[identity] = job
        return Response.of_json({**job.described(), "status": {"state": "RUNNING"}})

    @operation("GET", f"{_PROJECT}/jobs/<identity>")
    def _get(self, request: Request, identity: str, **_: str) -> Response:
        return Response.of_json(self._job(request, identity).described())

    @operation("GET", f"{_PROJECT}/queries/<identity>")
    def _get_results(self, request: Request, identity: str, **_: str) -> Response:
        job = self._job(request, identity)
        answer = {"kind": "bigquery#getQueryResultsResponse", "jobReference": job.reference}
        if self.unfinished_answers:
            self.unfinished_answers -= 1
            return Response.of_json({**answer, "jobComplete": False})
        if isinstance(job.outcome, _QueryRefusal):
            raise job.outcome
        fields = [
            {"name": name, "type": "STRING", "mode": "REPEATED" if kind.endswith("[]") else "NULLABLE"}
            for name, kind in zip(job.outcome.names, job.outcome.types, strict=True)
        ]
        begin = int(request.argument("pageToken") or 0)
        end = begin + self.rows_of_a_page
        total = len(job.outcome.rows)
        rows = [{"f": [{"v": _as_json(value)} for value in row]} for row in job.outcome.rows[begin:end]]
        whole = {"jobComplete": True, "schema": {"fields": fields}, "totalRows": str(total), "rows": rows}
        if end < total:
            whole["pageToken"] = str(end)
        return Response.of_json({**answer, **whole, "totalBytesProcessed": str(job.bytes_billed)})

    def _job(self, request: Request, identity: str) -> _RunJob:
        job = self.jobs.get(identity)
        if job is None or request.argument("location", "US") != job.body.job_reference.location:
            raise _QueryRefusal(404, "notFound", f"Not found: Job {identity}")
        return job

    def _run(self, body: InsertedJob) -> _RunJob:
        query = body.configuration.query
        if query.use_legacy_sql:
            raise _QueryRefusal(400, "invalidQuery", "This is not legacy SQL.")
        files = {name: self._file(table, body.job_reference) for name, table in query.table_definitions.items()}
        billed = sum(max(_LEAST_BILLED_MIB, -(-file.stat().st_size // _MIB)) * _MIB for file in files.values())
        if query.maximum_bytes_billed is not None and billed > int(query.maximum_bytes_billed):
            message = (
                f"Query exceeded limit for bytes billed: {query.maximum_bytes_billed}. {billed} or higher required."
            )
            return _RunJob(body, _QueryRefusal(500, "bytesBilledLimitExceeded", message), 0)
        try:
            return _RunJob(body, self._select(query.query, query.table_definitions, files), billed)
        except duckdb.Error as error:
            return _RunJob(body, _QueryRefusal(400, "invalidQuery", str(error).splitlines()[0]), 0)

    def _file(self, table: ExternalDataConfiguration, reference: JobReference) -> Path:
        [uri] = table.source_uris
        bucket, name = _URI.fullmatch(uri).groups()  # type: ignore[union-attr]  # the body was checked
        file, location = self._storage.file(bucket, name), self._storage.location(bucket)
        if file is None:
            raise _QueryRefusal(404, "notFound", f"Not found: Files {uri}")
        if location.lower() != reference.location.lower():
            message = (
                f"Cannot read and write in different locations: source: {location}, destination: {reference.location}"
            )
            raise _QueryRefusal(400, "invalid", message)
        return file

    def _select(self, sql: str, tables: Mapping[str, ExternalDataConfiguration], files: Mapping[str, Path]) -> _Table:
        if self._database is None:
            self._database = Database()
            with self._database.cursor() as cursor:
                cursor.execute(PREPARATION)
        with self._database.cursor() as cursor:
            for name, table in tables.items():
                cursor.execute(f"CREATE TEMP VIEW {name} AS {_reading(files[name], table)}")
            found = cursor.execute(for_duckdb(sql))
            types = [str(column[1]) for column in found.description]
            return _Table([column[0] for column in found.description], types, found.fetchall())


def _reading(file: Path, table: ExternalDataConfiguration) -> str:
    options = table.csv_options
    columns = ", ".join(f"{literal(field.name)}: 'VARCHAR'" for field in table.schema.fields)
    settings = {
        "delim": literal(options.field_delimiter),
        "quote": literal(options.quote),
        "escape": literal(options.quote),
        "skip": options.skip_leading_rows,
        "columns": f"{{{columns}}}",
        "header": "false",
        "auto_detect": "false",
        "max_line_size": str(_LONGEST_LINE_BYTES),
        # Otherwise a line feed between quotes is found wrongly where threads divide the file.
        "parallel": "false",
    }
    listed = ", ".join(f"{name} = {value}" for name, value in settings.items())
    return f"SELECT * FROM read_csv({literal(str(file))}, {listed})"  # noqa: S608  # of names that were checked


def _as_json(value: Any) -> Any:
    if isinstance(value, list):
        return [{"v": each} for each in value]
    return None if value is None else str(value)
