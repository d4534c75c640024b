"""Over HTTP/2 a complete answer arrives complete, and an incomplete answer is an error."""

import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from local.sandbox.http2 import Http2Server
from local.sandbox.wire import Request, Response
from tests.support.certificates import certificate

LINE = b"FR;Jan 21;50.00;150.00;100.00\n"
LARGE = LINE * 4096  # larger than the initial flow-control window of 65,535 bytes


class Exports:
    """A site with an answer for each path."""

    def answer(self, request: Request) -> Response:
        match request.path:
            case "/large":
                return Response(200, iter([LARGE]), {"Content-Type": "text/csv"})
            case "/larger":
                return Response(200, (LARGE for _ in range(430)))
            case "/breaks":
                return Response(200, self._broken())
            case "/echo":
                return Response(200, request.body.read(), {"X-Size": request.headers["x-size"]})
            case "/unread" | "/nothing":
                return Response({"/unread": 413, "/nothing": 204}[request.path])
        return Response.of_json({"path": request.path, "query": dict(request.query), "host": request.headers["Host"]})

    def _broken(self) -> Iterator[bytes]:
        yield LARGE
        raise OverflowError("beyond the view")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def server(authority: Path) -> Iterator[Http2Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    with Http2Server(Exports(), context, keep_bytes=1 << 20) as server:
        yield server


@pytest.fixture
def client(server: Http2Server, authority: Path) -> Iterator[httpx.Client]:
    trusted = ssl.create_default_context(cafile=str(authority))
    with httpx.Client(http2=True, verify=trusted, base_url=server.url, trust_env=False) as client:
        yield client


def test_the_server_speaks_http2(client: httpx.Client, server: Http2Server) -> None:
    answer = client.get("/caf%C3%A9", params={"dateFormat": "Iso8601"})
    assert (answer.http_version, answer.status_code) == ("HTTP/2", 200)
    host = server.url.removeprefix("https://")
    assert answer.json() == {"path": "/café", "query": {"dateFormat": ["Iso8601"]}, "host": host}


def test_fifty_megabytes_arrive_unchanged(client: httpx.Client) -> None:
    size = 0
    with client.stream("GET", "/larger") as answer:
        for block in answer.iter_raw():
            size += len(block)
    assert size == len(LARGE) * 430 > 50_000_000


def test_a_large_request_body_is_received_as_the_site_reads_it(client: httpx.Client, server: Http2Server) -> None:
    answer = client.post("/echo", content=LARGE, headers={"X-Size": str(len(LARGE))})
    assert (answer.content, answer.headers["x-size"]) == (LARGE, str(len(LARGE)))
    assert client.post("/unread", content=LARGE).status_code == 413
    assert [(exchange.status, exchange.body) for exchange in server.exchanges] == [(200, LARGE), (413, LARGE)]


def test_answers_without_a_body_end_with_their_head(client: httpx.Client) -> None:
    assert client.head("/large").content == client.get("/nothing").content == b""
    assert client.get("/nothing").status_code == 204


def test_several_answers_share_one_connection(client: httpx.Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.get("/large").content, range(24)))
    assert answers == [LARGE] * 24


@pytest.mark.parametrize("position", [0, 1, len(LINE), 65_535, 65_536, len(LARGE) - 1, len(LARGE)])
@pytest.mark.parametrize("how", ["cut_after_bytes", "reset_after_bytes"])
def test_a_body_that_ends_early_is_an_error(client: httpx.Client, server: Http2Server, how: str, position: int) -> None:
    server.fault("GET /large", **{how: position})
    received = b""
    with pytest.raises(httpx.RemoteProtocolError), client.stream("GET", "/large") as answer:  # noqa: PT012  # read here
        for block in answer.iter_raw():
            received += block
    assert received == LARGE[:position]
    assert client.get("/large").content == LARGE


def test_a_site_that_fails_in_the_middle_resets_its_stream(
    client: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="error_code:2"):
        client.get("/breaks")
    assert "beyond the view" in capsys.readouterr().err
    assert client.get("/large").content == LARGE


@pytest.mark.parametrize("when", ["reset_before", "reset_after"])
def test_a_connection_can_be_reset(client: httpx.Client, server: Http2Server, when: str) -> None:
    struck: list[str] = []
    server.fault("GET /large", **{when: True}, act=lambda: struck.append("before"), then=lambda: struck.append("after"))
    with pytest.raises(httpx.TransportError):
        client.get("/large")
    assert struck == (["before"] if when == "reset_before" else ["before", "after"])
    assert client.get("/large").content == LARGE


def test_the_other_faults_work_as_in_http1(client: httpx.Client, server: Http2Server) -> None:
    server.fault("GET /large", refuse=Response(429, b"busy", {"Retry-After": "7"}))
    refused = client.get("/large")
    assert (refused.status_code, refused.text, refused.headers["retry-after"]) == (429, "busy", "7")
    server.fault("GET /large", append=b"error")
    assert client.get("/large").content == LARGE + b"error"
    server.fault("GET /large", replace=b"<html>")
    assert client.get("/large").content == b"<html>"
    server.fault("GET /large", answer_instead=Response(502))
    assert client.get("/large").status_code == 502
    server.fault("GET /large", delay_s=0.05, drip_s=0.001, block_bytes=40_000)
    answer = client.get("/large")
    assert answer.content == LARGE
    assert answer.elapsed.total_seconds() > 0.05
    server.fault("GET /large", times=-1, refuse=Response(503))
    server.heal()
    assert client.get("/large").status_code == 200


def test_a_disconnected_client_does_not_harm_the_server(client: httpx.Client, server: Http2Server) -> None:
    others = set(threading.enumerate())
    with client.stream("GET", "/larger") as answer:
        next(answer.iter_raw())
    # Not `client.get`: httpcore 1.0 neither resets an abandoned stream nor returns its part of the window.
    client.close()
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert b"HTTP" not in stranger.recv(1000)
    answering = [thread for thread in threading.enumerate() if "_serve" in thread.name and thread not in others]
    for thread in answering:
        thread.join(10)
    assert not any(thread.is_alive() for thread in answering)


def test_a_client_of_http1_is_not_served(server: Http2Server, authority: Path) -> None:
    trusted = ssl.create_default_context(cafile=str(authority))
    with httpx.Client(verify=trusted, trust_env=False) as client, pytest.raises(httpx.TransportError):
        client.get(server.url)


def test_stopping_ends_open_requests(client: httpx.Client, server: Http2Server) -> None:
    reached = threading.Event()
    server.fault("GET /large", drip_s=0.01, block_bytes=100, act=reached.set)
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(client.get, "/large")
        assert reached.wait(10)
        server.stop()
        with pytest.raises(httpx.TransportError):
            under_way.result(timeout=10)
