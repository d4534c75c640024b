"""Looker's API 4.0: read a Look or a query, run it as a stream of CSV, and send any other request.

A run costs three calls (login, Look, query), because licences count them (Looker's licensing terms).
"""

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
from common.platform.clock import Deadline
from common.platform.errors import LookerBusy, OutOfTime, QueryFailed, StreamCut
from common.platform.retry import retry
from common.platform.secrets import Secrets

CAPS = (500, 5_000, 100_000)
"Looker's own row limits: of an Explore, of what is not streamed, of what has a custom limit."

_RAW = {"apply_formatting": "false", "apply_vis": "false", "cache": "false", "force_production": "true"}
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
        what, path, send = query.explore, "/queries/run/csv", self._session.send
        body = query.body()
        options: dict[str, Any] = {"params": {"limit": body["limit"], **_RAW}, "json": body, "stream": True}
        options["runs_query"] = True
        response = retry(lambda: send("POST", path, what, **options), self._deadline, self._chance)
        return LookerStream(answers.expect_csv(response, what), self._deadline)

    def greatest(self, query: LookerQuery, field: str) -> int | None:
        """Return the greatest number of a field, rounded down; None if there are no rows. Raises as `run` does."""
        # Some databases sort nulls first.
        filters = {**(query.filters or {}), field: "NOT NULL"}
        only = {"fields": [field], "sorts": [f"{field} desc"], "limit": "1", "filters": filters}
        body = {**query.body(), **only}
        rows = self._run_for_json(query.explore, body, _ONE_RAW_ROW)
        if rows == []:
            return None
        try:
            greatest: float = rows[0][field]
            return math.floor(greatest)
        except (TypeError, ValueError, LookupError):
            # Looker puts an error of the database into a 200, as JSON of another shape.
            raise QueryFailed(f"Looker's answer does not contain the greatest {field}.") from None

    def _run_for_json(self, what: str, body: dict[str, Any], parameters: Mapping[str, str]) -> Any:
        return self._json("POST", "/queries/run/json", what, params=parameters, json=body, runs_query=True)

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
        is_chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
        if "Content-Length" not in response.headers and not is_chunked:
            unknown = "Looker's answer did not announce its length"
            self.warnings.append(f"{unknown}: a cut after a complete row would not be detected.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._response.close()

    def blocks(self) -> Iterator[bytes]:
        """Yield blocks of about a megabyte. Raises StreamCut if the connection broke or stalled, OutOfTime if late,
        AnswerNotUnderstood if they are compressed.
        """
        http.expect_uncompressed(self._response.headers, "Looker")
        late = "Looker was still sending rows when the time budget ended. Nothing was sent to Pigment."
        try:
            yield from http.blocks_of(self._response.iter_content(http.BLOCK_BYTES), self._deadline, late)
        except requests.RequestException as error:
            raise StreamCut(f"Looker's answer broke off: {http.kind_of(error)}.") from error


def _segment(text: str) -> str:
    return urllib.parse.quote(text, safe="")
