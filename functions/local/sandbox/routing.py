"""Dispatch of requests to the methods of a site, by HTTP method and path."""

import dataclasses
import functools
import urllib.parse
from collections.abc import Callable
from typing import TypeVar

from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import BaseConverter, Map, Rule

from local.sandbox.wire import Request, Response

Handler = TypeVar("Handler", bound=Callable[..., Response])
_ATTRIBUTE = "_operations"


@dataclasses.dataclass(frozen=True)
class Operation:
    """A method of a site and the requests that it answers."""

    method: str
    path: str
    "A path of `werkzeug.routing`: `/looks/<look_id>`."
    access: str
    "The access that the caller needs, as the site names it."
    answer: Callable[..., Response]


def operation(method: str, *paths: str, access: str = "") -> Callable[[Handler], Handler]:
    """Answer requests for any of these paths with the decorated method; it receives the path's values by name."""

    def register(handler: Handler) -> Handler:
        found = [Operation(method, path, access, handler) for path in paths]
        setattr(handler, _ATTRIBUTE, [*getattr(handler, _ATTRIBUTE, []), *found])
        return handler

    return register


class Router:
    """The operations of a site, or of the parts that it consists of."""

    def __init__(self, *parts: object) -> None:
        self._parts = parts
        self._urls = _map(*map(type, parts)).bind("sandbox")

    def find(self, request: Request) -> tuple[Operation, dict[str, str]]:
        """Return the operation that answers a request, and the values in its path.

        Raises NotFound or MethodNotAllowed of werkzeug.
        """
        # werkzeug ignores further slashes at the start of a path, and the case of a method (RFC 9110, 9.1, does not).
        if not request.raw_path.startswith("/") or request.raw_path.startswith("//"):
            raise NotFound
        (part, found), values = self._urls.match(request.raw_path, request.method)
        if found.method != request.method:
            raise MethodNotAllowed
        return dataclasses.replace(found, answer=functools.partial(found.answer, self._parts[part])), dict(values)


@functools.cache
def _map(*parts: type) -> Map:
    """Compile the paths of these classes once, because this takes longer than the start of a site."""
    rules = [_rule(number, found) for number, part in enumerate(parts) for found in _operations(part)]
    # A path is matched exactly as it was sent, without a redirect to a normalized path.
    return Map(rules, converters={"default": _Segment}, merge_slashes=False, redirect_defaults=False)


class _Segment(BaseConverter):
    """One segment of a path, decoded after the match: `%2F` in an object's name does not end the segment."""

    def to_python(self, value: str) -> str:
        return urllib.parse.unquote(value)


def _operations(part: type) -> list[Operation]:
    return [found for handler in vars(part).values() for found in getattr(handler, _ATTRIBUTE, [])]


def _rule(part: int, found: Operation) -> Rule:
    rule = Rule(found.path, endpoint=(part, found), methods=[found.method])
    rule.methods = {found.method}  # werkzeug adds HEAD to GET; no vendor describes it
    return rule
