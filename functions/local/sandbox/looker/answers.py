"""Errors, pages and field selections: the parts that the answers of all operations share."""

import dataclasses
import re
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from local.sandbox.wire import Request, Response

# For addresses under cloud.google.com and docs.looker.com, the official SDK downloads an article without a timeout. It
# does not for this host.
_ERRORS = "https://docs.cloud.google.com/looker/docs/r/err/4.0"


@dataclasses.dataclass(eq=False)
class LookerRefusal(Exception):
    """An error to answer with."""

    status: int
    message: str
    faults: tuple[Mapping[str, str], ...] = ()


def not_found() -> LookerRefusal:
    """Return the error for a missing object, or one that the caller must not see."""
    return LookerRefusal(404, "Not found")


def invalid(field: str, code: str, message: str) -> LookerRefusal:
    return LookerRefusal(422, "Validation Failed", ({"field": field, "code": code, "message": message},))


def error_response(refusal: LookerRefusal, request: Request, path: str) -> Response:
    """Return an error in Looker's format. Its address names the operation, with `:look_id` for a value."""
    pattern = re.sub(r"<(\w+)>", r":\1", path).removeprefix("/api/4.0")
    documentation_url = f"{_ERRORS}/{refusal.status}/{request.method.lower()}{pattern}"
    answer: dict[str, Any] = {"message": refusal.message, "documentation_url": documentation_url}
    if refusal.faults:
        answer["errors"] = [{**fault, "documentation_url": documentation_url} for fault in refusal.faults]
    return Response.of_json(answer, refusal.status)


def base_url(request: Request) -> str:
    """Return the address at which the client reaches this instance."""
    return f"http://{request.headers.get('Host') or 'localhost'}"


def select_fields(request: Request, whole: Any) -> Response:
    """Return only the keys in `fields`; `query(id,model)` selects keys of a nested object."""
    wanted = request.argument("fields")
    if not wanted:
        return Response.of_json(whole)
    keys = dict(re.findall(r"(\w+)(?:\(([^)]*)\))?", wanted))
    return Response.of_json([_select(one, keys) for one in whole] if isinstance(whole, list) else _select(whole, keys))


def _select(whole: Mapping[str, Any], keys: Mapping[str, str]) -> dict[str, Any]:
    cut = {}
    for name in keys.keys() & whole.keys():
        inner = re.findall(r"\w+", keys[name])
        value = whole[name]
        cut[name] = {key: value[key] for key in inner if key in value} if inner and isinstance(value, dict) else value
    return cut


def paginate(request: Request, rows: Sequence[dict[str, Any]]) -> Response:
    """Return one page of a sorted list. Headers give the total and links, but only if the client sent `limit`.

    Source: sdk-codegen, `docs/paging.md`.
    """
    rows = _sort(rows, request.argument("sorts") or "id")
    limit, offset = integer_argument(request, "limit"), integer_argument(request, "offset") or 0
    response = select_fields(request, rows[offset:][:limit])
    if limit is not None:
        response.headers |= {"X-Total-Count": str(len(rows)), "Link": _links(request, len(rows), limit, offset)}
    return response


def _sort(rows: Sequence[dict[str, Any]], sorts: str) -> list[dict[str, Any]]:
    """Sort by the named fields, the first one first. Digits, such as IDs, sort as numbers."""
    found = list(rows)
    for sort in reversed(sorts.split(",")):
        name, _, direction = sort.strip().partition(" ")
        found.sort(key=lambda row, name=name: _rank(row.get(name)), reverse=direction == "desc")  # type: ignore[misc]
    return found


def _rank(value: Any) -> tuple[int, int, str]:
    text = "" if value is None else str(value)
    return (0, int(text), "") if text.isdecimal() else (1, 0, text.casefold())


def _links(request: Request, total: int, limit: int, offset: int) -> str:
    others = {name: values for name, values in request.query.items() if name not in {"limit", "offset"}}
    places = {"first": 0, "last": max(0, total - 1) // max(1, limit) * limit, "next": offset + limit}
    places |= {"prev": max(0, offset - limit)} if offset else {}
    address = f"{base_url(request)}{request.raw_path}"
    return ",".join(
        f'<{address}?{urllib.parse.urlencode({**others, "limit": limit, "offset": place}, doseq=True)}>; rel="{name}"'
        for name, place in places.items()
    )


def search(request: Request, rows: Iterable[dict[str, Any]], names: Iterable[str]) -> list[dict[str, Any]]:
    """Return the rows that match all search parameters, or any of them with `filter_or`."""
    wanted = {name: text for name in names if (text := request.argument(name)) is not None}
    enough = any if request.argument("filter_or") == "true" and wanted else all
    return [row for row in rows if enough(_matches(row.get(name), text) for name, text in wanted.items())]


def _matches(value: Any, wanted: str) -> bool:
    """Match as `search_users` documents it: LIKE without case, true or false, IS NULL and NOT NULL."""
    if wanted.upper() in {"IS NULL", "NOT NULL"}:
        return (value is None) == (wanted.upper() == "IS NULL")
    if isinstance(value, bool):
        return wanted == str(value).lower()
    like = re.escape(wanted).replace("%", ".*").replace("_", ".")
    return value is not None and re.fullmatch(like, str(value), re.IGNORECASE | re.DOTALL) is not None


def integer_argument(request: Request, name: str) -> int | None:
    """Return an integer parameter, or None if it is missing."""
    text = request.argument(name)
    if text is None:
        return None
    if not re.fullmatch(r"-?\d{1,18}", text):
        raise invalid(name, "invalid", f"{name} must be an integer")
    return int(text)


def json_object(request: Request) -> dict[str, Any]:
    """Return the body of a POST. Source of both 400 errors: docs.cloud.google.com/looker/docs/api-troubleshooting."""
    if (request.headers.get("Content-Type") or "").partition(";")[0].strip().lower() != "application/json":
        raise LookerRefusal(400, "The Content-Type must be application/json")
    try:
        body = request.json()
    except ValueError:
        raise LookerRefusal(400, "Problems parsing JSON") from None
    if not isinstance(body, dict):
        raise LookerRefusal(400, "The body must be a JSON object")
    return body
