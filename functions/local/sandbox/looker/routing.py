"""How a request finds its answer, and what every answer has in common."""

import dataclasses
import re
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from local.sandbox.wire import Request, Response

# The official SDK fetches an article from a content network, with no timeout, for addresses under cloud.google.com and
# docs.looker.com; under the documentation's present host it stays on this machine.
_ERRORS = "https://docs.cloud.google.com/looker/docs/r/err/4.0"

Answer = TypeVar("Answer", bound=Callable[..., Response])


@dataclasses.dataclass(eq=False)
class Refusal(Exception):
    """An answer that is an error."""

    status: int
    message: str
    faults: tuple[Mapping[str, str], ...] = ()


def not_found() -> Refusal:
    """What is not there, and what the caller may not see."""
    return Refusal(404, "Not found")


def invalid(field: str, code: str, message: str) -> Refusal:
    return Refusal(422, "Validation Failed", ({"field": field, "code": code, "message": message},))


@dataclasses.dataclass(frozen=True)
class Route:
    """One operation: its address and the method that answers it."""

    method: str
    pattern: str
    address: re.Pattern[str]
    answer: Callable[..., Response]
    public: bool


_ROUTES: list[Route] = []


def route(method: str, pattern: str, *, public: bool = False) -> Callable[[Answer], Answer]:
    """Answer requests for `/looks/{look_id}` with what is below; only `public` ones come without a token."""
    address = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern))

    def added(answer: Answer) -> Answer:
        _ROUTES.append(Route(method, pattern, address, answer, public))
        return answer

    return added


def find(request: Request) -> tuple[Route | None, dict[str, str]]:
    """The route of a request, and the values in its path."""
    for known in _ROUTES:
        if known.method == request.method and (found := known.address.fullmatch(request.raw_path)):
            return known, {name: urllib.parse.unquote(value) for name, value in found.groupdict().items()}
    return None, {}


def refused(refusal: Refusal, request: Request, found: Route | None) -> Response:
    """Looker's shape of an error; its address names the operation, with `:look_id` for a value."""
    pattern = re.sub(r"\{(\w+)\}", r":\1", found.pattern if found else request.path).removeprefix("/api/4.0")
    documentation_url = f"{_ERRORS}/{refusal.status}/{request.method.lower()}{pattern}"
    answer: dict[str, Any] = {"message": refusal.message, "documentation_url": documentation_url}
    if refusal.faults:
        answer["errors"] = [{**fault, "documentation_url": documentation_url} for fault in refusal.faults]
    return Response.of_json(answer, refusal.status)


def address_of(request: Request) -> str:
    """Where the client believes this instance to be."""
    return f"http://{request.headers.get('Host') or 'localhost'}"


def selected(request: Request, whole: Any) -> Response:
    """Only the keys that `fields` names; `query(id,model)` reaches one level down."""
    wanted = request.argument("fields")
    if not wanted:
        return Response.of_json(whole)
    keys = dict(re.findall(r"(\w+)(?:\(([^)]*)\))?", wanted))
    return Response.of_json([_cut(one, keys) for one in whole] if isinstance(whole, list) else _cut(whole, keys))


def _cut(whole: Mapping[str, Any], keys: Mapping[str, str]) -> dict[str, Any]:
    cut = {}
    for name in keys.keys() & whole.keys():
        inner = re.findall(r"\w+", keys[name])
        value = whole[name]
        cut[name] = {key: value[key] for key in inner if key in value} if inner and isinstance(value, dict) else value
    return cut


def whole_number(request: Request, name: str) -> int | None:
    """A parameter that is an integer where it is given."""
    text = request.argument(name)
    if text is None:
        return None
    if not re.fullmatch(r"-?\d{1,18}", text):
        raise invalid(name, "invalid", f"{name} must be an integer")
    return int(text)


def json_object(request: Request) -> dict[str, Any]:
    """The body of a POST: docs.cloud.google.com/looker/docs/api-troubleshooting lists both faults under 400."""
    if (request.headers.get("Content-Type") or "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal(400, "The Content-Type must be application/json")
    try:
        body = request.json()
    except ValueError:
        raise Refusal(400, "Problems parsing JSON") from None
    if not isinstance(body, dict):
        raise Refusal(400, "The body must be a JSON object")
    return body
