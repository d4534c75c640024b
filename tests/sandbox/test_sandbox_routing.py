"""A request reaches the operation with exactly its method and path."""

import io

import pytest
from werkzeug.exceptions import MethodNotAllowed, NotFound

from local.sandbox.routing import Router, operation
from local.sandbox.wire import Request, Response, StreamBody


class Shelf:
    """A site with paths that are easily confused."""

    @operation("GET", "/shelf/<name>")
    def read(self, _: Request, name: str) -> Response:
        return Response(200, name.encode())

    @operation("POST", "/shelf/<name>:open", "/shelf/<name>/open")
    def open(self, _: Request, name: str) -> Response:
        return Response(201, name.encode())


def answer(method: str, path: str) -> tuple[int, bytes]:
    request = Request(method, path, path, {}, {}, StreamBody(io.BytesIO(), {}))
    found, values = Router(Shelf()).find(request)
    response = found.answer(request, **values)
    assert isinstance(response.body, bytes)
    return response.status, response.body


@pytest.mark.parametrize(
    ("sent", "name"), [("a", "a"), ("a%2Fb", "a/b"), ("%E2%82%AC", "€"), ("a+b", "a+b"), ("..", ".."), ("a:b", "a:b")]
)
def test_a_segment_is_decoded_after_the_match(sent: str, name: str) -> None:
    """An encoded slash belongs to the name of an object."""
    assert answer("GET", f"/shelf/{sent}") == (200, name.encode())


@pytest.mark.parametrize("path", ["/shelf/a:open", "/shelf/a/open"])
def test_an_operation_may_have_several_paths(path: str) -> None:
    assert answer("POST", path) == (201, b"a")


@pytest.mark.parametrize("path", ["", "*", "shelf/a", "//shelf/a", "/shelf//a", "/shelf/a/", "/Shelf/a", "/shelf", "/"])
def test_a_path_is_not_normalized(path: str) -> None:
    """A client that builds a wrong path must not succeed here."""
    with pytest.raises(NotFound):
        answer("GET", path)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "DELETE", "get"])
def test_only_the_described_method_is_answered(method: str) -> None:
    with pytest.raises(MethodNotAllowed):
        answer(method, "/shelf/a")
