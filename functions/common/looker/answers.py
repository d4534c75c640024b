"""The one mapping from Looker's answers to errors, and to the values that its API describes."""

import contextlib
import urllib.parse
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
import requests

from common.looker.query import LookerQuery, other_parts
from common.platform import http
from common.platform.causes import cause_of
from common.platform.clock import Deadline
from common.platform.errors import (
    AnswerNotUnderstood,
    BridgeError,
    LookerBusy,
    LookerRefused,
    LookNotFound,
    QueryFailed,
    StreamCut,
)
from common.platform.explanations import explanation_of
from common.platform.retry import retry_after_s

T = TypeVar("T")


_A_TIMEOUT_OCCURRED = 524
'Of a proxy whose server took too long (Cloudflare docs, "Error 524"), as 504 is.'


def unreachable(error: requests.RequestException, *, runs_query: bool = False) -> LookerBusy:
    if runs_query and isinstance(error, requests.ReadTimeout):
        return _still_working("Looker did not begin to answer in time.")
    return LookerBusy(f"Looker cannot be reached: {cause_of(error)}.")


def _still_working(cause: str, retry_after_s: float | None = None) -> LookerBusy:
    """The database goes on with a query that nobody waits for any longer."""
    next_step = (
        "The query takes longer than Looker, or a proxy before it, lets a request wait. Make it shorter: add "
        "source.filters, load in windows (load: incremental) or in shorter ones, or remove the Look's sorts."
    )
    return LookerBusy(cause, retry_after_s=retry_after_s, next_step=next_step, is_still_working=True)


def refusal(
    response: requests.Response, what: str, deadline: Deadline, *, is_quoted: bool = True, runs_query: bool = False
) -> BridgeError:
    """Return the error for an answer that is not a 2xx. Its message names `what` was requested and may quote Looker."""
    status = response.status_code
    words = explanation_of(response).words if is_quoted else ""
    cause = f"Looker answered {status} when asked for {what}. {words}".strip()
    if http.is_temporary(status):
        wait_s = retry_after_s(response.headers.get("Retry-After"), deadline.clock.now())
        if runs_query and status in (requests.codes.gateway_timeout, _A_TIMEOUT_OCCURRED):
            return _still_working(cause, wait_s)
        return LookerBusy(cause, retry_after_s=wait_s)
    if target := redirect_target(response):
        next_step = (
            f"Set looker.url to the address of Looker's API, which does not redirect. If {target} is a login page or a "
            "proxy, let the bridge's requests pass without it."
        )
        return LookerRefused(f"{cause} It redirects to {target}.", next_step=next_step)
    if status == requests.codes.not_found:
        return LookNotFound(f"Looker does not have {what}, or its user may not see it.")
    return LookerRefused(cause)


def redirect_target(response: requests.Response) -> str:
    """Return the host that an answer redirects to, if it does. Its path and query are left out: they may be secret."""
    location = response.headers.get("Location", "")
    if response.is_redirect:
        with contextlib.suppress(ValueError):
            target = urllib.parse.urlsplit(urllib.parse.urljoin(response.url, location))
            return f"{target.hostname}:{target.port}" if target.port else target.hostname or ""
    return ""


def misdirected_login(response: requests.Response) -> LookerRefused:
    """Return the error for a refusal of the login that is not in JSON, as all of Looker's API are."""
    status, words = response.status_code, explanation_of(response)
    kind = "a web page" if words.is_web_page else "no JSON"
    next_step = (
        "The key was not judged. Check looker.url: the host, and the port of the API (19999 for older instances). If "
        "both are right, Looker's IP allow list or a proxy stops the request: allow the bridge's address there "
        "(Looker: Admin > IP Allowlist)."
    )
    cause = f"Looker's address answered {status} with {kind} to the login, so it is not Looker's API that answered."
    return LookerRefused(cause, next_step=next_step)


def expect_csv(response: requests.Response, what: str) -> requests.Response:
    """Raise QueryFailed if the answer is JSON or a web page. Its text is not shown, because it may be rows."""
    kind = response.headers.get("Content-Type", "")
    if "json" in kind or "html" in kind:
        response.close()
        raise QueryFailed(f"Looker answered the request for {what} with {kind.partition(';')[0]}, not CSV.")
    return response


def json_of(response: requests.Response, what: str) -> Any:
    """Raise AnswerNotUnderstood if the answer is not JSON; LookerBusy if the connection broke."""
    try:
        return response.json()
    except ValueError:
        raise AnswerNotUnderstood(f"Looker's answer about {what} is not JSON.") from None
    except requests.RequestException as error:
        raise LookerBusy(f"Looker's answer about {what} broke off: {cause_of(error)}.") from error


def convert(value: Any, kind: type[T], what: str) -> T:
    """Raise AnswerNotUnderstood if the answer does not have the shape that the API describes."""
    try:
        # Ids were numbers before API 4.0, and proxies of it still send a number for `limit`.
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        mismatch = f"Looker's answer about {what} does not match its API description: {error}."
        raise AnswerNotUnderstood(mismatch) from None


def query_of(saved: Any, what: str) -> LookerQuery:
    """Return a saved query with everything that Looker has saved with it. Raises AnswerNotUnderstood."""
    query = convert(saved, LookerQuery, what)
    return msgspec.structs.replace(query, others=other_parts(saved), keeps_limit=False)


def query_of_look(look: Any, what: str) -> LookerQuery:
    """Return the query behind a Look. Raises LookNotFound if the Look is in the trash, and AnswerNotUnderstood."""
    saved = look if isinstance(look, dict) else {}
    if saved.get("deleted"):
        raise _in_the_trash(convert(saved, _DeletedLook, what), what)
    return query_of(saved.get("query"), what)


class _DetailField(msgspec.Struct, frozen=True):
    name: str
    label: str
    "Its header in a CSV."


class _DetailFields(msgspec.Struct, frozen=True):
    dimensions: list[_DetailField]
    measures: list[_DetailField]


class _DetailedRows(msgspec.Struct, frozen=True):
    """Rows in the format `json_detail` (API 4.0, `run_inline_query`)."""

    fields: _DetailFields
    data: list[Any]
    errors: list[Any] | None = None


def header_without_rows(found: Any, fields: Sequence[str], what: str) -> list[str]:
    """Return the labels of the fields from an answer in `json_detail` that has no rows. Raises as
    `LookerClient.header_without_rows` does.
    """
    answer = convert(found, _DetailedRows, what)
    if answer.errors:
        raise QueryFailed(f"Looker answered the request for {what} with nothing: its database failed.")
    labels = {field.name: field.label for field in (*answer.fields.dimensions, *answer.fields.measures)}
    if answer.data:
        raise StreamCut(f"Looker answered the request for {what} with nothing, but has rows when asked again.")
    if not labels.keys() >= {*fields}:
        raise AnswerNotUnderstood(f"Looker's answer about {what} does not describe all of its columns.")
    return [labels[name] for name in dict.fromkeys(fields)]


class _Folder(msgspec.Struct, frozen=True):
    name: str | None = None


class _DeletedLook(msgspec.Struct, frozen=True):
    folder: _Folder | None = None
    deleted_at: str | None = None


def _in_the_trash(look: _DeletedLook, what: str) -> LookNotFound:
    folder = f" from the folder {look.folder.name}" if look.folder and look.folder.name else ""
    when = f" at {look.deleted_at}" if look.deleted_at else ""
    cause = f"{what[0].upper()}{what[1:]} is in Looker's trash: it was deleted{folder}{when}."
    next_step = "Let a Looker admin restore it: Browse > Trash. Or name another Look in bridge.yaml."
    return LookNotFound(cause, next_step=next_step)
