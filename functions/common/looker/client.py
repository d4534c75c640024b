"""Looker's API 4.0: read a Look or a query, run it as a stream of CSV, and send any other request.

A run needs few calls (login, Look, query, logout), because licences count them (`common.looker.calls`).
"""

import codecs
import math
import random
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any, Self, TypeVar

import msgspec
import requests

from common import bridge_yaml
from common.looker import answers
from common.looker.query import LookerQuery
from common.looker.session import LookerSession
from common.platform import http
from common.platform.causes import cause_of
from common.platform.clock import Deadline
from common.platform.errors import LookerBusy, OutOfTime, QueryFailed, StreamCut
from common.platform.retry import retry
from common.platform.secrets import Secrets

CAPS = (500, 5_000, 100_000)
"Looker's own row limits: of an Explore, of what is not streamed, of what has a custom limit."

_RAW = {"apply_formatting": "false", "apply_vis": "false", "cache": "false", "force_production": "true"}
_BLANK = codecs.BOM_UTF8 + b"\r\n"
_ONE_RAW_ROW = {"limit": "1", **_RAW}

T = TypeVar("T")


class LookerAnswer(msgspec.Struct, frozen=True):
    """Looker's whole answer to a request. Its `repr` shows no content, which may be a new credential."""

    status: int
    headers: Mapping[str, str]
    "By name, in any case."
    body: bytes

    def __repr__(self) -> str:
        return f"LookerAnswer({self.status}, …)"


class LookerClient:
    """Looker's API with one login; close it to log out."""

    def __init__(
        self, settings: bridge_yaml.LookerSettings, secrets: Secrets, deadline: Deadline, chance: random.Random
    ) -> None:
        self._session = LookerSession(settings, secrets, deadline)
        self.calls = self._session.calls
        self._deadline = deadline
        self._chance = chance

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def look_query(self, look_id: str) -> LookerQuery:
        """Return the query behind a Look. Raises LookNotFound, LookerRefused, LookerBusy, LookerLoginRefused or
        AnswerNotUnderstood.
        """
        what = f"the Look {look_id}"
        return answers.query_of_look(self.get(f"/looks/{_segment(look_id)}", what), what)

    def slug_query(self, slug: str) -> LookerQuery:
        """Return a saved query by its slug. Raises as `look_query` does."""
        what = f"the query {slug}"
        return answers.query_of(self.get(f"/queries/slug/{_segment(slug)}", what), what)

    def get(self, path: str, what: str, **parameters: str) -> Any:
        """Return any JSON value of the API."""
        return self._json("GET", path, what, params=parameters)

    def get_as(self, kind: type[T], path: str, what: str, **parameters: str) -> T:
        """Return a JSON value in the shape that the API describes."""
        return answers.convert(self.get(path, what, **parameters), kind, what)

    def send(self, method: str, path: str, what: str, body: bytes | None = None, **parameters: str) -> LookerAnswer:
        """Send any request of the API, with a body of JSON or none, and return its whole answer.

        A GET is repeated while Looker is busy. Everything else is sent once: Looker may have acted on it although the
        answer was lost, and acting twice can do harm. The path is below `/api/4.0`; a query string in it is sent
        unchanged. Raises LookNotFound, LookerRefused, LookerBusy, LookerLoginRefused or OutOfTime.
        """
        content_type = None if body is None else {"Content-Type": "application/json"}
        options: dict[str, Any] = {"params": parameters, "data": body, "headers": content_type}

        def ask() -> LookerAnswer:
            if not self._deadline.allows(0):
                raise OutOfTime(f"The time budget ended before Looker was asked for {what}.")
            with self._session.send(method, path, what, **options) as response:
                return LookerAnswer(response.status_code, response.headers, response.content)

        if method == "GET":
            return retry(ask, self._deadline, self._chance)
        # A login that fails has changed nothing yet, so it may be repeated.
        retry(self._session.log_in, self._deadline, self._chance)
        try:
            return ask()
        except LookerBusy as busy:
            cause = f"{busy.cause} The request was sent once; Looker may have acted on it."
            next_step = "Check in Looker if it was done before you send it again."
            raise LookerBusy(cause, retry_after_s=busy.retry_after_s, next_step=next_step) from busy

    def run(self, query: LookerQuery) -> "LookerStream":
        """Run a query and return its rows as a stream of CSV: all of them, unless it keeps its limit.

        Raises LookerRefused or LookNotFound if Looker does not accept the query, QueryFailed if the answer is not CSV,
        LookerBusy or LookerLoginRefused.
        """
        return self.run_body(query.explore, query.body())

    def run_body(self, what: str, body: Mapping[str, Any]) -> "LookerStream":
        """Run a query as the body of the request describes it. Raises as `run` does."""
        options: dict[str, Any] = {"params": {"limit": body["limit"], **_RAW}, "json": body, "stream": True}

        def ask() -> requests.Response:
            return self._session.send("POST", "/queries/run/csv", what, **options, runs_query=True)

        return LookerStream(answers.expect_csv(retry(ask, self._deadline, self._chance), what), self._deadline)

    def header_without_rows(self, query: LookerQuery) -> list[str]:
        """Return the header of a query that has no rows, after Looker has answered it with nothing.

        Looker does not document whether an answer without rows has a header. A gateway that loses the body, or a
        database that fails before the first row, can leave nothing too, and a window taken for empty is never read
        again. So nothing is no answer: the query is asked once more for one row, as JSON, whose empty list is a
        statement that no cut can produce, and which describes the columns.

        Raises StreamCut if there are rows, QueryFailed if the database failed, AnswerNotUnderstood, and as `run` does.
        """
        what, body = query.explore, {**query.body(), "limit": "1"}
        path = "/queries/run/json_detail"
        found = self._json("POST", path, what, params=_ONE_RAW_ROW, json=body, runs_query=True)
        return answers.header_without_rows(found, body["fields"], what)

    def greatest(self, query: LookerQuery, field: str) -> int | None:
        """Return the greatest number of a field, rounded down; None if there are no rows. Raises as `run` does."""
        # Some databases sort nulls first.
        filters = {**(query.filters or {}), field: "NOT NULL"}
        only = {"fields": [field], "sorts": [f"{field} desc"], "limit": "1", "filters": filters}
        body = {**query.body(), **only}
        path, what = "/queries/run/json", query.explore
        rows = self._json("POST", path, what, params=_ONE_RAW_ROW, json=body, runs_query=True)
        if rows == []:
            return None
        try:
            greatest: float = rows[0][field]
            return math.floor(greatest)
        except (TypeError, ValueError, LookupError):
            # Looker puts an error of the database into a 200, as JSON of another shape.
            raise QueryFailed(f"Looker's answer does not contain the greatest {field}.") from None

    def _json(self, method: str, path: str, what: str, **options: Any) -> Any:
        def ask() -> Any:
            with self._session.send(method, path, what, **options) as response:
                return answers.json_of(response, what)

        return retry(ask, self._deadline, self._chance)


class LookerStream:
    def __init__(self, response: requests.Response, deadline: Deadline) -> None:
        self._response = response
        self._deadline = deadline
        self.warnings: list[str] = []
        self._has_ended_without_text = False
        is_chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
        self._proves_its_end = "Content-Length" in response.headers or is_chunked
        if not self._proves_its_end:
            unknown = "Looker's answer did not announce its length"
            self.warnings.append(f"{unknown}: a cut after a complete row would not be detected.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._response.close()

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    @property
    def has_sent_nothing(self) -> bool:
        """Whether the answer has ended as it should, and has no more than a line end or a byte order mark."""
        return self._has_ended_without_text and self._proves_its_end

    def blocks(self) -> Iterator[bytes]:
        """Yield blocks of about a megabyte. Raises StreamCut if the connection broke or stalled, OutOfTime if late,
        AnswerNotUnderstood if they are compressed.
        """
        http.expect_uncompressed(self._response.headers, "Looker")
        late = "Looker was still sending rows when the time budget ended. Nothing was sent to Pigment."
        try:
            blocks = http.blocks_of(self._response.iter_content(http.BLOCK_BYTES), self._deadline, late)
            first = next(blocks, b"")
            # A block is short only if the answer has ended.
            self._has_ended_without_text = len(first) < http.BLOCK_BYTES and not first.strip(_BLANK)
            if not self._has_ended_without_text:
                yield first
                yield from blocks
        except requests.RequestException as error:
            raise StreamCut(f"Looker's answer broke off: {cause_of(error)}.") from error


def _segment(text: str) -> str:
    return urllib.parse.quote(text, safe="")
