"""Looker's API 4.0, as far as a pull needs it: log in, read a Look or query, run it as one stream of CSV.

A run costs three calls (login, look, run), because licences count them (Looker's licensing terms).
"""

import json
import math
import random
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any, Self, TypeVar

import msgspec
import requests

from common import bridge_yaml
from common.platform import http
from common.platform.clock import Deadline
from common.platform.errors import (
    AnswerNotUnderstood,
    BridgeError,
    LookerBusy,
    LookerLoginRefused,
    LookerRefused,
    LookNotFound,
    OutOfTime,
    QueryFailed,
    SecretUnreadable,
    StreamCut,
)
from common.platform.retry import retry, retry_after_s
from common.platform.secrets import Secret, Secrets

CAPS = (500, 5_000, 100_000)
"Looker's own limits: of an Explore, of what is not streamed, of what has a custom limit."

_LATE = "Looker was still sending rows when the time budget ended; nothing was sent on."
_RENEW_BEFORE_EXPIRY_S = 60
_LONGEST_FAULTS = 600
"Characters: enough for every field of a user."

_RAW = {"apply_formatting": "false", "apply_vis": "false", "cache": "false", "force_production": "true"}
_ALL_RAW_ROWS = {"limit": "-1", **_RAW}
_ONE_RAW_ROW = {"limit": "1", **_RAW}

T = TypeVar("T")


class Credentials(msgspec.Struct, frozen=True):
    """What the secret named by `looker.credentials` holds, as JSON."""

    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        return "Credentials(…)"


class Query(msgspec.Struct, frozen=True):
    """A Looker query, or as much of it as decides which rows come (API 4.0, `WriteQuery`)."""

    model: str
    view: str
    fields: list[str] | None = None
    pivots: list[str] | None = None
    fill_fields: list[str] | None = None
    filters: dict[str, Any] | None = None
    filter_expression: str | None = None
    sorts: list[str] | None = None
    limit: str | int | None = None
    column_limit: str | int | None = None
    total: bool | None = None
    row_total: str | bool | None = None
    subtotals: list[str] | None = None
    dynamic_fields: str | None = None
    query_timezone: str | None = None
    has_table_calculations: bool | None = None

    @property
    def explore(self) -> str:
        """What it asks, in words."""
        return f"the explore {self.model}/{self.view}"

    def narrowed(self, filters: Mapping[str, str], query_timezone: str | None) -> Self:
        """With a job's filters merged over its own, which stay where the job says nothing of them."""
        return msgspec.structs.replace(
            self,
            filters={**(self.filters or {}), **filters},
            query_timezone=query_timezone or self.query_timezone,
        )

    def own_limit(self) -> int | None:
        """The limit saved with it, where there is one."""
        limit = str(self.limit or "")
        return int(limit) if limit.isdecimal() else None

    def obstacles(self) -> list[str]:
        """Why Looker could not stream all its rows, or would mix rows into them that are not data.

        Source: Looker docs, "Downloading content" and "What are all the row limits".
        """
        found = []
        calculations = _table_calculations(self.dynamic_fields)
        if calculations or self.has_table_calculations:
            found.append(f"table calculations ({', '.join(calculations) or 'unnamed'})")
        if self.row_total:
            found.append("row totals")
        if self.pivots:
            found.append(f"pivots ({', '.join(self.pivots)}), whose columns depend on the data")
        return found

    def body(self) -> dict[str, Any]:
        """What is posted to run it in full: totals and subtotals, rows that are not data, are left out."""
        body: dict[str, Any] = {
            name: value
            for name in (
                *("model", "view", "fields", "fill_fields", "filters", "filter_expression", "sorts"),
                *("column_limit", "dynamic_fields", "query_timezone"),
            )
            if (value := getattr(self, name)) is not None
        }
        # A filter_config that disagrees with the filters wins over them (API 4.0, Query.filter_config).
        return {**body, "filter_config": None, "limit": "-1"}


class LookerAnswer(msgspec.Struct, frozen=True):
    """What Looker answered to a request, whole; it does not show itself, as it may hold a new credential."""

    status: int
    headers: Mapping[str, str]
    "By name, whatever its case."
    body: bytes

    def __repr__(self) -> str:
        return f"Answer({self.status}, …)"


class LookerClient:
    """One login at Looker; close it, since Looker may limit a user's live tokens."""

    def __init__(
        self, where: bridge_yaml.LookerSettings, secrets: Secrets, deadline: Deadline, chance: random.Random
    ) -> None:
        self._api = f"{where.base_url}/api/4.0"
        self._credentials_name = where.credentials
        self._secrets = secrets
        self._deadline = deadline
        self._chance = chance
        self._session = http.open_session()
        self._bearer: http.Bearer | None = None
        self._renew_at_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._bearer:
                self._session.delete(f"{self._api}/logout", auth=self._bearer, timeout=http.CONNECT_TIMEOUT_S).close()
        except requests.RequestException:
            pass  # the token ends by itself within the hour
        self._session.close()

    def look_query(self, look_id: str) -> Query:
        """The query behind a Look.

        Raises:
            LookNotFound, LookerRefused, LookerBusy, LookerLoginRefused, AnswerNotUnderstood.
        """
        look = self.get(f"/looks/{_segment(look_id)}", f"the Look {look_id}")
        query = look.get("query") if isinstance(look, dict) else None
        return _decoded(query, Query, f"the Look {look_id}")

    def slug_query(self, slug: str) -> Query:
        """A saved query by its slug. Raises as `look_query` does."""
        return _decoded(self.get(f"/queries/slug/{_segment(slug)}", f"the query {slug}"), Query, f"the query {slug}")

    def get(self, path: str, what: str, **parameters: str) -> Any:
        """Any JSON object of the API."""

        def ask() -> Any:
            with self._send("GET", path, what, params=parameters) as response:
                return _json(response, what)

        return retry(ask, self._deadline, self._chance)

    def get_as(self, kind: type[T], path: str, what: str, **parameters: str) -> T:
        """As `get`, in the shape that the API describes."""
        return _decoded(self.get(path, what, **parameters), kind, what)

    def send(self, method: str, path: str, what: str, body: bytes | None = None, **parameters: str) -> LookerAnswer:
        """Any request of the API, and its whole answer.

        A GET is asked again while Looker is busy. Everything else is sent once: Looker may have acted and its answer
        been lost, and acting twice can do harm.

        Args:
            path: below `/api/4.0`; a query in it goes out as it stands.
            body: JSON.

        Raises:
            LookNotFound, LookerRefused, LookerBusy, LookerLoginRefused, OutOfTime.
        """
        content_type = None if body is None else {"Content-Type": "application/json"}

        def ask() -> LookerAnswer:
            if not self._deadline.allows(0):
                raise OutOfTime(f"The time budget ended before Looker was asked for {what}.")
            with self._send(method, path, what, params=parameters, data=body, headers=content_type) as response:
                return LookerAnswer(response.status_code, response.headers, response.content)

        if method == "GET":
            return retry(ask, self._deadline, self._chance)
        # A login that fails has changed nothing yet, so it may be tried again.
        retry(self._stay_logged_in, self._deadline, self._chance)
        try:
            return ask()
        except LookerBusy as busy:
            raise LookerBusy(
                f"{busy.cause} It was sent once, and Looker may have acted on it.",
                retry_after_s=busy.retry_after_s,
                next_step="Look in Looker whether it was done before you send it again.",
            ) from busy

    def run(self, query: Query) -> "LookerStream":
        """All rows of a query, as CSV that has begun to arrive.

        Raises:
            LookerRefused, LookNotFound: the query is not accepted.
            QueryFailed: the answer is no CSV.
            LookerBusy, LookerLoginRefused.
        """
        what = query.explore

        def ask() -> requests.Response:
            return self._send(
                "POST",
                "/queries/run/csv",
                what,
                params=_ALL_RAW_ROWS,
                json=query.body(),
                stream=True,
            )

        response = retry(ask, self._deadline, self._chance)
        kind = response.headers.get("Content-Type", "")
        if "json" in kind or "html" in kind:
            # Its words are not shown: they may be rows.
            response.close()
            raise QueryFailed(f"Looker answered the query with {kind.partition(';')[0]}, not CSV.")
        return LookerStream(response, self._deadline)

    def greatest(self, query: Query, field: str) -> int | None:
        """The whole part of the greatest number that a field holds in the rows of a query; None if there is no row.

        Raises as `run` does.
        """
        what = query.explore
        only = {"fields": [field], "sorts": [f"{field} desc"], "limit": "1"}
        # A null would come first in some databases.
        filters = {**(query.filters or {}), field: "NOT NULL"}

        def ask() -> Any:
            asked = {**query.body(), **only, "filters": filters}
            with self._send("POST", "/queries/run/json", what, params=_ONE_RAW_ROW, json=asked) as response:
                return _json(response, what)

        rows = retry(ask, self._deadline, self._chance)
        if rows == []:
            return None
        try:
            greatest: float = rows[0][field]
            return math.floor(greatest)
        except (TypeError, ValueError, LookupError):
            # Looker puts an error of the database into a 200, as JSON of another shape.
            raise QueryFailed(f"Looker answered the question for the greatest {field} with something else.") from None

    def _send(self, method: str, path: str, what: str, **how: Any) -> requests.Response:
        """One request with a token that is valid; a 401 all the same is answered with one new login."""
        response = self._ask(method, path, **how)
        if response.status_code == requests.codes.unauthorized:
            response.close()
            self._bearer = None
            response = self._ask(method, path, **how)
        if http.accepted(response):
            return response
        with response:
            raise _refusal(response, what, self._deadline)

    def _ask(self, method: str, path: str, **how: Any) -> requests.Response:
        self._stay_logged_in()
        timeout = (http.CONNECT_TIMEOUT_S, http.patience_s(self._deadline))
        try:
            return self._session.request(
                method, self._api + path, auth=self._bearer, timeout=timeout, allow_redirects=False, **how
            )
        except requests.RequestException as error:
            raise LookerBusy(f"Looker cannot be reached: {http.kind_of(error)}.") from error

    def _stay_logged_in(self) -> None:
        if self._bearer is None or self._deadline.clock.monotonic_s() >= self._renew_at_s:
            self._log_in()

    def _log_in(self) -> None:
        secret = self._secrets.read(self._credentials_name)
        response = self._try_login(secret)
        if _refuses_login(response):
            newer = self._secrets.read_again(self._credentials_name, secret)
            if newer is not None:
                response.close()
                response = self._try_login(newer)
        with response:
            if _refuses_login(response):
                raise LookerLoginRefused(
                    f"Looker answered {response.status_code} to the login with the secret {self._credentials_name}."
                )
            if not http.accepted(response):
                raise _refusal(response, "the login", self._deadline)
            token = _decoded(_json(response, "the login"), _Token, "the login")
        self._bearer = http.Bearer(token.access_token)
        # A token shorter than the margin is used for half its life, not renewed at every call.
        usable_s = max(token.expires_in - _RENEW_BEFORE_EXPIRY_S, token.expires_in / 2)
        self._renew_at_s = self._deadline.clock.monotonic_s() + usable_s

    def _try_login(self, secret: Secret) -> requests.Response:
        try:
            credentials = msgspec.json.decode(secret.reveal(), type=Credentials)
        except msgspec.DecodeError:
            self._secrets.forget(self._credentials_name)
            raise SecretUnreadable(
                f"The secret {self._credentials_name} is not as Looker's login needs it.",
                next_step='It has to hold JSON: {"client_id": "…", "client_secret": "…"}. Add a version that does.',
            ) from None
        try:
            # In the body, never in the URL: query parameters end up in logs (and are deprecated, API 4.0 `login`).
            return self._session.post(
                f"{self._api}/login",
                data=msgspec.structs.asdict(credentials),
                timeout=(http.CONNECT_TIMEOUT_S, min(60, http.patience_s(self._deadline))),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise LookerBusy(f"Looker cannot be reached: {http.kind_of(error)}.") from error


class LookerStream:
    """A CSV answer on its way."""

    def __init__(self, response: requests.Response, deadline: Deadline) -> None:
        self._response = response
        self._deadline = deadline
        self.warnings: list[str] = []
        chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
        if "Content-Length" not in response.headers and not chunked:
            self.warnings.append("Looker's answer announced no end: a cut at the end of a record would not be seen.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._response.close()

    def blocks(self) -> Iterator[bytes]:
        """Its bytes, in blocks of about a megabyte.

        Raises:
            StreamCut: it ended before its end, or went silent.
            OutOfTime: the budget did.
        """
        try:
            yield from http.blocks_of(self._response.iter_content(http.BLOCK_BYTES), self._deadline, _LATE)
        except requests.RequestException as error:
            raise StreamCut(f"Looker's answer broke off: {http.kind_of(error)}.") from error


class _Token(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float = 3600


class _Fault(msgspec.Struct, frozen=True):
    field: str | None = None
    message: str | None = None


class _Invalid(msgspec.Struct, frozen=True):
    """What Looker answers to a body that does not fit (API 4.0, `ValidationError`)."""

    errors: list[_Fault] | None = None


def _refuses_login(response: requests.Response) -> bool:
    # Looker answers 404 to a wrong pair (Looker docs, "API troubleshooting").
    return response.status_code in (requests.codes.unauthorized, requests.codes.forbidden, requests.codes.not_found)


def _refusal(response: requests.Response, what: str, deadline: Deadline) -> BridgeError:
    status = response.status_code
    # Read whole: what `words_of` reads of a stream could not be read again.
    faults = _faults_in(response) if status == requests.codes.unprocessable_entity else ""
    words = http.words_of(response)
    if status in http.BUSY_STATUSES:
        wait_s = retry_after_s(response.headers.get("Retry-After"), deadline.clock.now())
        return LookerBusy(f"Looker answered {status} when asked for {what}. {words}".strip(), retry_after_s=wait_s)
    if status == requests.codes.not_found:
        return LookNotFound(f"Looker knows nothing of {what}, or its user may not see it.")
    return LookerRefused(f"Looker answered {status} when asked for {what}. {words}{faults}".strip())


def _faults_in(response: requests.Response) -> str:
    """Field by field what does not fit, where Looker says so."""
    try:
        faults = msgspec.json.decode(response.content, type=_Invalid).errors or []
    except (msgspec.DecodeError, requests.RequestException):
        return ""
    told = "; ".join(f"{fault.field}: {fault.message}" for fault in faults)
    return f": {http.redacted(told)[:_LONGEST_FAULTS]}" if told else ""


def _json(response: requests.Response, what: str) -> Any:
    try:
        return response.json()
    except ValueError:
        raise AnswerNotUnderstood(f"Looker's answer about {what} is not JSON.") from None
    except requests.RequestException as error:
        raise LookerBusy(f"Looker's answer about {what} broke off: {http.kind_of(error)}.") from error


def _decoded(value: Any, kind: type[T], what: str) -> T:
    try:
        # Ids were numbers before API 4.0, and proxies of it still send a number for `limit`.
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise AnswerNotUnderstood(f"Looker's answer about {what} is not as its API describes: {error}.") from None


def _table_calculations(dynamic_fields: str | None) -> list[str]:
    """Names of the table calculations; custom fields, which stream, live in the same list."""
    try:
        fields = json.loads(dynamic_fields or "[]")
    except ValueError:
        return []
    fields = [field for field in fields if isinstance(field, dict)] if isinstance(fields, list) else []
    return [str(field["table_calculation"]) for field in fields if "table_calculation" in field]


def _segment(text: str) -> str:
    """An id as one segment of a path, whatever it holds."""
    return urllib.parse.quote(text, safe="")
