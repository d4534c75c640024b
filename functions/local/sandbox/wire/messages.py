"""Requests and answers, as a site sees them."""

import dataclasses
import json
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, Self

from local.sandbox.wire.bodies import Body


@dataclasses.dataclass
class Request:
    """One request. The body is read from the socket only as far as the site reads it."""

    method: str
    path: str
    "The percent-decoded path, without the query."
    raw_path: str
    "The path as sent, without the query: here `%2F` in an object's name is still visible."
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: Body

    @classmethod
    def to(cls, method: str, target: str, headers: Mapping[str, str], body: Body) -> Self:
        """Create a request from its target in the request line."""
        url = urllib.parse.urlsplit(target)
        query = urllib.parse.parse_qs(url.query, keep_blank_values=True)
        return cls(method, urllib.parse.unquote(url.path), url.path, query, headers, body)

    def argument(self, name: str, default: str | None = None) -> str | None:
        """Return the first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else default

    def json(self) -> Any:
        """Return the body as JSON. Raises ValueError if it is not JSON."""
        return json.loads(self.body.read() or b"null")


@dataclasses.dataclass
class Response:
    """An answer. An iterable body without a length is sent in chunks."""

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    length: int | None = None
    "The length of an iterable body, if it is known."

    @property
    def known_length(self) -> int | None:
        return len(self.body) if isinstance(self.body, bytes) else self.length

    @property
    def has_no_length(self) -> bool:
        """Whether the status forbids a Content-Length (RFC 9110, 8.6)."""
        return self.status in (204, 304)

    def is_bodyless(self, method: str) -> bool:
        return method == "HEAD" or self.has_no_length

    def blocks(self, block_bytes: int | None = None) -> Iterator[bytes]:
        """Return the body in blocks, of this size if there is one."""
        for block in [self.body] if isinstance(self.body, bytes) else self.body:
            step = block_bytes or len(block) or 1
            for start in range(0, len(block), step):
                yield block[start : start + step]

    @classmethod
    def of_json(cls, value: Any, status: int = 200, **headers: str) -> Self:
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})


class Site(Protocol):
    """An API that a server can serve."""

    def answer(self, request: Request) -> Response: ...


@dataclasses.dataclass(frozen=True)
class Exchange:
    """One request and its answer as sent; bodies only up to `Server.keep_bytes`."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    status: int
    answer_headers: Mapping[str, str]
    answer: bytes
