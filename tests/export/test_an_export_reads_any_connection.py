"""The connection of an export: a silent server, a proxy, interim answers, redirects, and a private authority."""

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.platform import http_stream
from common.platform.http_stream import NotAnswered
from local.sandbox.http2 import Http2Server
from local.sandbox.wire import Response
from tests.support.certificates import trusted_http2_server
from tests.support.world import EXPORT_KEY, EXPORTS, World

ROWS = b"Id;Amount\n" + b"".join(b"%d;%d\n" % (number, number) for number in range(40))
CSV = Response(200, ROWS, {"Content-Type": "text/csv"})


@pytest.fixture
def http2(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Http2Server]:
    with trusted_http2_server(world.pigment, tmp_path, monkeypatch) as server:
        world.raw["pigment"]["url"] = server.url
        world.add_export("revenue")
        server.fault(EXPORTS, times=-1, refuse=CSV)
        yield server


@contextlib.contextmanager
def raw_server(*parts: bytes, then: threading.Event | None = None) -> Iterator[str]:
    """Answer one connection with these bytes, and close it once the event is set."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                for part in parts:
                    connection.sendall(part)
                if then:
                    then.wait(30)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            if then:
                then.set()
            thread.join()


class Proxy:
    """Connects its clients to the server that they name, and notes what they said before the connection."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def serve_one(self) -> None:
        client, _ = self._listening.accept()
        asked = client.recv(65536)
        self.asked.append(asked)
        host, _, port = asked.split()[1].decode().partition(":")
        with client, socket.create_connection((host, int(port))) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\nContent-Encoding: gzip\r\n\r\n")
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    content = ready.recv(65536)
                    if not content:
                        return
                    (server if ready is client else client).sendall(content)


@pytest.mark.parametrize(
    "begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nId;Amount\n"], ids=["before it", "in its rows"]
)
def test_a_server_that_says_nothing_ends_the_answer(begun: bytes) -> None:
    with (
        raw_server(begun, then=threading.Event()) as url,
        pytest.raises(NotAnswered, match="silent"),
        http_stream.asking("GET", url, {}, None, 0.2) as answer,
    ):
        list(answer.pieces())


def test_an_interim_answer_is_not_the_answer() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nContent-Encoding: gzip\r\n\r\n"
    final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Two: a\r\nX-Two: b\r\n\r\nok"
    with raw_server(interim, final) as url, http_stream.asking("GET", url, {}, None, 30) as answer:
        assert (answer.status, answer.version) == (200, "HTTP/1.1")
        assert dict(answer.headers) == {"Content-Length": "2", "X-Two": "a, b"}
        assert b"".join(answer.pieces()) == b"ok"


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nId;Amount\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nId;A\n\r\n",
        b"HTTP/1.1 many OK\r\n\r\n",
        b"no HTTP at all\r\n\r\n",
        b"",
    ],
)
def test_an_answer_that_is_not_whole_is_an_error(said: bytes) -> None:
    with (
        raw_server(said) as url,
        pytest.raises(NotAnswered),
        http_stream.asking("GET", url, {}, None, 30) as answer,
    ):
        list(answer.pieces())


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://nowhere.invalid", "ftp://127.0.0.1/x", "http://["])
def test_an_address_that_does_not_answer_is_an_error_without_the_address(url: str) -> None:
    with pytest.raises(NotAnswered) as raised, http_stream.asking("GET", url, {}, None, 30):
        pass

    assert "127" not in str(raised.value)
    assert "nowhere" not in str(raised.value)


def test_an_export_goes_through_the_proxy_that_the_environment_names(
    world: World, http2: Http2Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy()
    thread = threading.Thread(target=proxy.serve_one, daemon=True)
    thread.start()
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    answer = world.run_export("revenue")

    assert answer.status == 200, answer.body
    assert answer.receipt["warnings"] == []
    assert world.bucket.read("exports/revenue.csv") == ROWS
    (asked,) = proxy.asked
    assert asked.startswith(f"CONNECT {http2.url.removeprefix('https://')} ".encode())
    assert EXPORT_KEY.encode() not in asked


def test_a_private_authority_is_trusted_by_either_variable(
    world: World, http2: Http2Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    world.save_jobs()
    refused = world.run_export("revenue")
    assert (refused.status, refused.code) == (503, "pigment_busy")
    assert http2.exchanges == []

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "sandbox.pem"))

    assert world.run_export("revenue").status == 200


def test_a_redirect_does_not_receive_the_key(world: World, http2: Http2Server) -> None:
    http2.heal()
    http2.fault(EXPORTS, times=-1, refuse=Response(302, b"", {"Location": f"{http2.url}/elsewhere"}))

    assert world.run_export("revenue").code == "answer_not_understood"
    assert [each.path for each in http2.exchanges if "elsewhere" in each.path] == []
