"""Queries of BigQuery over objects in a bucket, through its REST API and without any dataset.

    insert a job under an ID of its own → wait for its result → read what it cost

Files are given as external tables that live as long as the query (`tableDefinitions`). Google's own client for BigQuery
takes as long to import as everything else that a function needs, for three requests.

https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/jobs
"""

import contextlib
import os
import random
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import requests

from common.platform import emulator
from common.platform.causes import cause_of
from common.platform.clock import Deadline
from common.platform.errors import SIGN_IN, AnswerNotUnderstood, BigqueryBusy, BigqueryRefused, BridgeError, OutOfTime
from common.platform.retry import retry

_API = "https://bigquery.googleapis.com"
_SCOPES = ["https://www.googleapis.com/auth/bigquery", "https://www.googleapis.com/auth/devstorage.read_only"]
_TIMEOUT_S = 40.0
_WAIT_S = 20
"For how long a request waits for the result before it is answered that there is none yet."

MOST_UNSPLIT_BYTES = 4 * 1024**3
"The longest CSV that BigQuery reads if line feeds between quotes are allowed: it cannot divide such a file."
_LEAST_BILLED_BYTES = 10 * 1024**2
"For each table of a query (https://cloud.google.com/bigquery/pricing)."
_BILLED_SHARE = 4
"""How many times the bytes of its files a query may be billed at most. A cell of text counts as its bytes and two more,
which for the shortest cells is three times what the file has. Above it, BigQuery refuses the query for nothing."""

_LATER = {
    "backendError",
    "internalError",
    "jobBackendError",
    "jobInternalError",
    "jobRateLimitExceeded",
    "rateLimitExceeded",
    "stopped",
    "tableUnavailable",
    "timeout",
}
_NEXT_STEPS = {
    "accessDenied": (
        "Set bigquery_engine = true for Terraform, which lets the function's service account run queries and enables "
        "the API. Or remove engine: bigquery."
    ),
    "billingNotEnabled": "Link the project to a billing account, or remove engine: bigquery.",
    "quotaExceeded": (
        "The project's quota of BigQuery is used up, for today or for good: raise it, or remove engine: bigquery."
    ),
    "resourcesExceeded": "Compare fewer columns (verify.ignore), or remove engine: bigquery.",
}
_NEXT_STEPS["accessNotConfigured"] = _NEXT_STEPS["accessDenied"]
# https://docs.cloud.google.com/bigquery/docs/error-messages


class ExternalCsv(msgspec.Struct, frozen=True):
    """A CSV with a header in a bucket, as a table whose columns c0, c1, … are text."""

    uri: str
    width: int
    delimiter: str
    size_bytes: int

    def definition(self) -> dict[str, Any]:
        """Return the ExternalDataConfiguration. Numbers of 64 bits are text in Google's JSON."""
        return {
            "sourceUris": [self.uri],
            "sourceFormat": "CSV",
            "schema": {"fields": [{"name": f"c{place}", "type": "STRING"} for place in range(self.width)]},
            "csvOptions": {
                "fieldDelimiter": self.delimiter,
                "skipLeadingRows": "1",
                "quote": '"',
                "allowQuotedNewlines": self.size_bytes <= MOST_UNSPLIT_BYTES,
                "preserveAsciiControlCharacters": True,
            },
        }


class QueryResult(msgspec.Struct, frozen=True):
    rows: Iterator[dict[str, Any]]
    """By column: text, as Google's JSON has every value, None, or a list of these. The pages after the first one are
    asked for while they are read."""
    bytes_billed: int


class BigQuery:
    """The project's BigQuery, in one location, which must be that of the files."""

    def __init__(self, project: str, location: str, chance: random.Random, session: Any = None) -> None:
        self._location = location
        self._chance = chance
        self._session = session
        self._base = f"{os.environ.get('BIGQUERY_EMULATOR_HOST') or _API}/bigquery/v2/projects/{project}"
        self._project = project

    def query(
        self, sql: str, tables: Mapping[str, ExternalCsv], run: str, labels: Mapping[str, str], deadline: Deadline
    ) -> QueryResult:
        """Run a query over files and return its rows.

        The job has an ID of ours: if the answer to a request is lost, the repeated one finds the job that the first one
        started. After a kill the next comparison starts another job, because the first one may have failed.

        Raises:
            BigqueryRefused: BigQuery does not run it.
            BigqueryBusy: a later attempt can succeed.
            OutOfTime: it has not ended before the deadline. BigQuery then stops it.
        """
        job = f"bridge-{run}-{self._chance.getrandbits(64):016x}"
        configuration = {
            "query": {
                "query": sql,
                "useLegacySql": False,
                "tableDefinitions": {name: table.definition() for name, table in tables.items()},
                "maximumBytesBilled": str(_most_billed(tables)),
            },
            "labels": dict(labels),
            "jobTimeoutMs": str(max(1, int(deadline.remaining_s() * 1000))),
        }
        place = {"projectId": self._project, "jobId": job, "location": self._location}
        self._insert({"jobReference": place, "configuration": configuration}, deadline)
        first = self._result(job, deadline)
        ended = self._ask(deadline, "GET", f"/jobs/{job}", {"location": self._location})
        with _understood():
            billed = int(ended["statistics"]["query"].get("totalBytesBilled", 0))
        return QueryResult(self._rows(job, first, deadline), billed)

    def try_to_run(self, deadline: Deadline) -> None:
        """Ask whether queries may be run here. It runs none and costs nothing. Raises as `query` does."""
        configuration = {"query": {"query": "SELECT 1", "useLegacySql": False}, "dryRun": True}
        place = {"projectId": self._project, "location": self._location}
        self._ask(deadline, "POST", "/jobs", {}, {"jobReference": place, "configuration": configuration})

    def _insert(self, job: Mapping[str, Any], deadline: Deadline) -> None:
        try:
            self._ask(deadline, "POST", "/jobs", {}, job)
        except _AlreadyExists:
            # The answer to an earlier request was lost.
            return

    def _result(self, job: str, deadline: Deadline) -> dict[str, Any]:
        options = {"location": self._location, "timeoutMs": str(_WAIT_S * 1000)}
        while True:
            answer = self._ask(deadline, "GET", f"/queries/{job}", options)
            if answer.get("jobComplete"):
                return answer
            if not deadline.allows(_WAIT_S):
                raise OutOfTime("BigQuery has not finished the comparison within the time budget.")

    def _rows(self, job: str, page: dict[str, Any], deadline: Deadline) -> Iterator[dict[str, Any]]:
        """Yield all rows. Raises AnswerNotUnderstood if they are not as many as BigQuery says."""
        with _understood():
            expected, names = int(page["totalRows"]), [str(field["name"]) for field in page["schema"]["fields"]]
        while True:
            with _understood():
                rows = [
                    dict(zip(names, (_value(cell["v"]) for cell in row["f"]), strict=True))
                    for row in page.get("rows", [])
                ]
            yield from rows
            expected -= len(rows)
            token = page.get("pageToken")
            if not token:
                break
            page = self._ask(deadline, "GET", f"/queries/{job}", {"location": self._location, "pageToken": token})
        if expected:
            raise AnswerNotUnderstood("BigQuery's pages do not have as many rows as its result.")

    def _ask(
        self,
        deadline: Deadline,
        method: str,
        path: str,
        options: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        def ask() -> dict[str, Any]:
            timeout_s = max(1.0, min(_TIMEOUT_S, deadline.remaining_s()))
            with _google():
                response = self._open().request(
                    method, f"{self._base}{path}", params=options, json=body, timeout=timeout_s
                )
            return _content(response)

        return retry(ask, deadline, self._chance, on=BigqueryBusy)

    def _open(self) -> Any:
        if self._session is None:
            with _google():
                self._session = open_session()
        return self._session


def open_session() -> Any:
    """Return a session with the function's own credentials; `BIGQUERY_EMULATOR_HOST` connects it to an emulator."""
    import google.auth  # noqa: PLC0415  # only a job with engine: bigquery needs it
    from google.auth.transport.requests import AuthorizedSession  # noqa: PLC0415

    if os.environ.get("BIGQUERY_EMULATOR_HOST"):
        return AuthorizedSession(emulator.credentials())
    credentials, _ = google.auth.default(scopes=_SCOPES)
    return AuthorizedSession(credentials)


def location_of(bucket: str) -> str:
    """Return the location of BigQuery for a bucket's, which Cloud Storage writes in capitals: `EUROPE-WEST1`, `EU`."""
    return bucket.lower() if "-" in bucket else bucket


class _AlreadyExists(BigqueryRefused):
    """There is a job with this ID."""


def _most_billed(tables: Mapping[str, ExternalCsv]) -> int:
    return sum(_BILLED_SHARE * table.size_bytes + _LEAST_BILLED_BYTES for table in tables.values())


def _content(response: requests.Response) -> dict[str, Any]:
    """Return the content of an answer. Raises BigqueryRefused or BigqueryBusy for an error."""
    if response.status_code >= requests.codes.bad_request:
        raise _error(response)
    with _understood():
        content: dict[str, Any] = response.json()
        # A job that is told of can have failed; its own error then says why.
        failed = content.get("status", {}).get("errorResult")
        if failed:
            raise _error_of(str(failed.get("reason")), str(failed.get("message")), response.status_code)
        return content


def _error(response: requests.Response) -> BridgeError:
    try:
        error = response.json()["error"]
        reason, message = str(error["errors"][0]["reason"]), str(error["message"])
    except (ValueError, KeyError, IndexError, TypeError):
        reason, message = "", f"it answered {response.status_code}"
    return _error_of(reason, message, response.status_code)


def _error_of(reason: str, message: str, status: int) -> BridgeError:
    """Return the error of a reason. It comes first: a query over its limit of bytes is answered 500."""
    cause = f"BigQuery refused the comparison: {message} ({reason or status})."
    if reason == "duplicate":
        return _AlreadyExists(cause)
    if reason in _LATER:
        return BigqueryBusy(f"BigQuery could not run the comparison: {message} ({reason}).")
    if reason in _NEXT_STEPS:
        return BigqueryRefused(cause, next_step=_NEXT_STEPS[reason])
    is_later = status == requests.codes.too_many_requests or status >= requests.codes.server_error
    if is_later and reason in ("", "backendError"):
        return BigqueryBusy(f"BigQuery answered {status}.")
    return BigqueryRefused(cause)


def _value(value: Any) -> Any:
    return [each["v"] for each in value] if isinstance(value, list) else value


@contextlib.contextmanager
def _understood() -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AnswerNotUnderstood("BigQuery's answer does not match its API description.") from error


@contextlib.contextmanager
def _google() -> Iterator[None]:
    """Turn the errors of Google's sign-in and of the connection into the bridge's own."""
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError  # noqa: PLC0415

    try:
        yield
    except TransportError as error:
        raise BigqueryBusy(f"Google's sign-in service could not be reached for BigQuery: {cause_of(error)}.") from error
    except DefaultCredentialsError as error:
        raise BigqueryRefused("Nobody is signed in to Google, which BigQuery needs.", next_step=SIGN_IN) from error
    except GoogleAuthError as error:
        raise BigqueryRefused(f"There are no usable Google credentials for BigQuery: {cause_of(error)}.") from error
    except (requests.RequestException, ConnectionError) as error:
        raise BigqueryBusy(f"BigQuery could not be reached: {cause_of(error)}.") from error
