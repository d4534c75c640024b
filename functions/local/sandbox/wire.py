"""HTTP/1.1 over real sockets, with faults on demand. Every site of the sandbox is served by it.

A site answers requests. A server transports them, keeps connections alive, and simulates each `Fault`. It is
the server of the standard library because faults need the socket: a server behind WSGI cannot reset a connection, cut
a stream or send slowly.
"""

import abc
import contextlib
import dataclasses
import json
import re
import socket
import socketserver
import struct
import threading
import time
import traceback
import urllib.parse
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO, Protocol, Self

from local import host_names

BLOCK_BYTES = 256 * 1024


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
    body: "Body"

    @classmethod
    def to(cls, method: str, target: str, headers: Mapping[str, str], body: "Body") -> Self:
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

    def blocks(self, fault: "Fault | None" = None) -> Iterator[bytes]:
        """Return the body in blocks, of the fault's size if it has one."""
        for block in [self.body] if isinstance(self.body, bytes) else self.body:
            step = (fault and fault.block_bytes) or len(block) or 1
            for start in range(0, len(block), step):
                yield block[start : start + step]

    @classmethod
    def of_json(cls, value: Any, status: int = 200, **headers: str) -> Self:
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})


class Site(Protocol):
    """An API that a server can serve."""

    def answer(self, request: Request) -> Response: ...


@dataclasses.dataclass
class Fault:
    """A fault that the server simulates for matching requests.

    The steps, in order: `refuse` answers instead of the site; `reset_before` resets the connection before the site sees
    the request; `answer_instead` lets the site act and replaces its answer; `reset_after` lets the site act and resets
    the connection; the other fields change the body of the answer.
    """

    on: str
    "`METHOD /path`, as a regular expression that must match from the start: `POST /api/4\\.0/queries/run`."
    times: int = 1
    "The number of requests to hit; -1 for all."
    after: int = 0
    "The number of matching requests to leave unchanged first."
    refuse: Response | None = None
    reset_before: bool = False
    answer_instead: Response | None = None
    reset_after: bool = False
    cut_after_bytes: int | None = None
    "Close the connection after this many bytes of the body, before the end that the client expects."
    reset_after_bytes: int | None = None
    end_after_bytes: int | None = None
    "End the answer properly after this many bytes of the body, as a gateway does that lost the rest."
    compress: bool = False
    "Compress the body with gzip although nobody asked for it. An answer that ends too early lacks the end of the gzip."
    go_away: bool = False
    "Announce over HTTP/2 that the server stops (GOAWAY), in place of an answer; the site does not see the request."
    go_away_after_bytes: int | None = None
    "Announce the same after this many bytes of the body, and send the rest."
    garble_after_bytes: int | None = None
    "Send bytes that are not of the protocol after this many bytes of the body, and close the connection."
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    "Headers of the answer to add or replace."
    append: bytes = b""
    "Text to add to a valid body, for example a database error in a 200."
    replace: bytes | None = None
    drip_s: float = 0
    "A pause before each block of the body."
    block_bytes: int | None = None
    "The size of the blocks."
    delay_s: float = 0
    "A pause before the first byte of the answer."
    act: Callable[[], None] | None = None
    "Called before the site acts, for example to kill a process, to count or to move a clock."
    then: Callable[[], None] | None = None
    "Called after the site has acted, before its answer is sent."
    before_block: Callable[[], None] | None = None
    "Called before each block of the request's body is read, for example to move a clock: a site that reads slowly."

    hits: int = dataclasses.field(default=0, init=False)
    seen: int = dataclasses.field(default=0, init=False)

    @property
    def interruption(self) -> "tuple[int, Callable[[Sender], None]] | None":
        """The number of bytes of the body to send, and how it is then interrupted."""
        interruptions: list[tuple[int | None, Callable[[Sender], None]]] = [
            (self.cut_after_bytes, lambda sender: sender.cut()),
            (self.reset_after_bytes, lambda sender: sender.reset_body()),
            (self.garble_after_bytes, lambda sender: sender.garble()),
        ]
        return next(((limit, interrupt) for limit, interrupt in interruptions if limit is not None), None)

    def strikes(self, method: str, path: str) -> bool:
        if not re.match(self.on, f"{method} {path}"):
            return False
        self.seen += 1
        if self.seen <= self.after or (self.times >= 0 and self.hits >= self.times):
            return False
        self.hits += 1
        return True


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


class Body(abc.ABC):
    """The body of a request, read from its connection as far as a site asks for it."""

    def __init__(self, keep_bytes: int) -> None:
        self._keep_bytes = keep_bytes
        self.before_block: Callable[[], None] = lambda: None
        self.kept = b""
        self.received_bytes = 0

    def read(self, size: int = -1) -> bytes:
        """Read like a file: at most `size` bytes, the whole rest without a size, and nothing at the end.

        Raises ConnectionError if the client disconnected before the end of its request.
        """
        parts: list[bytes] = []
        wanted = size
        while wanted != 0:
            self.before_block()
            block = self._next(BLOCK_BYTES if wanted < 0 else min(wanted, BLOCK_BYTES))
            if not block:
                break
            wanted -= len(block) if wanted > 0 else 0
            self.received_bytes += len(block)
            self.kept += block[: max(self._keep_bytes - len(self.kept), 0)]
            parts.append(block)
        return b"".join(parts)

    def blocks(self) -> Iterator[bytes]:
        while block := self.read(BLOCK_BYTES):
            yield block

    @abc.abstractmethod
    def _next(self, limit: int) -> bytes:
        """Return at most `limit` further bytes, or none at the end."""


class StreamBody(Body):
    """A body in HTTP/1.1: its length is announced, or it comes in chunks (RFC 9112, 7.1)."""

    def __init__(self, stream: BinaryIO, headers: Mapping[str, str], keep_bytes: int = 0) -> None:
        super().__init__(keep_bytes)
        self._stream = stream
        self._chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
        self._left = 0 if self._chunked else int(headers.get("Content-Length") or 0)
        self._over = not self._chunked and self._left == 0

    def _next(self, limit: int) -> bytes:
        if self._over or (self._left == 0 and not self._begin_chunk()):
            return b""
        block = self._stream.read(min(self._left, limit))
        if not block:
            raise ConnectionError("The client disconnected in the middle of its request.")
        self._left -= len(block)
        if self._left == 0:
            self._end_chunk()
        return block

    def _begin_chunk(self) -> bool:
        line = self._stream.readline(1024)
        try:
            self._left = int(line.split(b";")[0], 16)
        except ValueError:
            raise ConnectionError("A chunk has no size.") from None
        if self._left == 0:
            while self._stream.readline(8192) not in (b"\r\n", b"\n", b""):
                pass
            self._over = True
        return not self._over

    def _end_chunk(self) -> None:
        if self._chunked:
            self._stream.readline(8)
        else:
            self._over = True


class Sender(Protocol):
    """Sends the answer to one request; each version of HTTP has its own."""

    def send_head(self, response: Response, *, bodyless: bool) -> None: ...

    def send_block(self, block: bytes) -> None: ...

    def flush(self) -> None: ...

    def end(self) -> None:
        """Complete the answer."""

    def cut(self) -> None:
        """Close the connection before the end that the client expects."""

    def reset_body(self) -> None:
        """Reset the answer alone if the protocol can, otherwise the connection."""

    def garble(self) -> None:
        """Send bytes that are not of the protocol, and close the connection."""

    def go_away(self) -> None:
        """Announce that the server stops, if the protocol can."""

    def reset(self) -> None:
        """Reset the connection: the client sees ECONNRESET."""


class Server:
    """A server of one site on a local port, with a thread per connection."""

    scheme = "http"

    def __init__(
        self,
        site: Site,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        names: Collection[str] = (),
        keep_bytes: int = 0,
    ) -> None:
        """Listen on a port; 0 selects a free one.

        Args:
            names: further host names that requests may use; those of the loopback address are always accepted.
            keep_bytes: as below.
        """
        self.site = site
        self._names = names
        self.faults: list[Fault] = []
        self.exchanges: list[Exchange] = []
        self.keep_bytes = keep_bytes
        "The number of bytes of each body to store in `exchanges`; 0 stores no exchanges."
        self._lock = threading.Lock()
        self._http = _HttpServer((host, port), self._connection())
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        host, port = self._http.server_address[:2]
        return f"{self.scheme}://{host!s}:{port}"

    def fault(self, on: str, **how: Any) -> Fault:
        """Add a fault; see `Fault`."""
        fault = Fault(on, **how)
        with self._lock:
            self.faults.append(fault)
        return fault

    def heal(self) -> None:
        with self._lock:
            self.faults.clear()

    def start(self) -> Self:
        self._thread = threading.Thread(target=self._http.accept, daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Accept no new connections and close the open ones."""
        if self._thread:
            self._http.stop_accepting()
            self._thread.join()
            self._thread = None
        self._http.server_close()
        self._http.close_connections()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def serve(self, request: Request, sender: Sender) -> None:
        """Answer a request, with its fault if it has one."""
        response, fault = self._answer(request)
        if response is None and fault and fault.go_away:
            sender.go_away()
            return sender.cut()
        if response is None:
            return sender.reset()
        if fault and fault.delay_s:
            time.sleep(fault.delay_s)
        bodyless = response.is_bodyless(request.method)
        if bodyless:
            self._record(request, response, b"")
        sender.send_head(response, bodyless=bodyless)
        if bodyless:
            return sender.flush()
        return self._send_body(request, response, fault, sender)

    def _send_body(self, request: Request, response: Response, fault: Fault | None, sender: Sender) -> None:
        interruption = fault.interruption if fault else None
        goes_away_after = fault.go_away_after_bytes if fault else None
        kept, sent = b"", 0
        for block in response.blocks(fault):
            if fault and fault.drip_s:
                sender.flush()
                time.sleep(fault.drip_s)
            if goes_away_after is not None and sent >= goes_away_after:
                sender.go_away()
                goes_away_after = None
            piece = block if interruption is None else block[: interruption[0] - sent]
            sender.send_block(piece)
            sent += len(piece)
            kept += piece[: max(self.keep_bytes - len(kept), 0)]
            if interruption is not None and sent >= interruption[0]:
                self._record(request, response, kept)
                return interruption[1](sender)
        self._record(request, response, kept)
        return sender.end()

    def _answer(self, request: Request) -> tuple[Response | None, Fault | None]:
        """Return the answer, or None to reset the connection; and the fault of its body."""
        if not host_names.is_own(request.headers.get("Host", ""), self._http.server_address[1], self._names):
            return self._ask_site(request, Response(host_names.MISDIRECTED, host_names.REFUSAL)), None
        fault = self._find_fault(request.method, request.path)
        if fault is None:
            return self._ask_site(request), None
        if fault.before_block:
            request.body.before_block = fault.before_block
        if fault.act:
            fault.act()
        response = None if fault.reset_before or fault.go_away else self._ask_site(request, fault.refuse)
        if response is None:
            return None, fault
        if fault.then:
            fault.then()
        return None if fault.reset_after else _changed(fault.answer_instead or response, fault), fault

    def _record(self, request: Request, response: Response, answer: bytes) -> None:
        """Store an exchange before its last bytes are sent, so that it exists when the client has the whole answer."""
        if self.keep_bytes:
            exchange = Exchange(
                request.method,
                request.path,
                request.query,
                request.headers,
                request.body.kept,
                response.status,
                dict(response.headers),
                answer,
            )
            with self._lock:
                self.exchanges.append(exchange)

    def _connection(self) -> type[socketserver.BaseRequestHandler]:
        """Return the class that speaks the protocol on one connection."""
        return type("Handler", (_Handler,), {"owner": self})

    def _find_fault(self, method: str, path: str) -> Fault | None:
        with self._lock:
            return next((fault for fault in self.faults if fault.strikes(method, path)), None)

    def _ask_site(self, request: Request, refusal: Response | None = None) -> Response | None:
        try:
            response = refusal or self.site.answer(request)
            # Unread bytes would be taken for the next request on this connection.
            for _ in request.body.blocks():
                pass
        except ConnectionError:
            return None
        except Exception:  # noqa: BLE001  # a bug of the sandbox must not look like a requested fault
            traceback.print_exc()
            return Response(500, b"The sandbox failed; the traceback is on standard error.")
        return response


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._open: set[socket.socket] = set()
        self._stops = False

    def accept(self) -> None:
        """Serve connections until `stop_accepting`. Unlike `serve_forever`, it does not wake up in between."""
        while not self._stops:
            self.handle_request()

    def stop_accepting(self) -> None:
        self._stops = True
        # One more connection wakes `accept`.
        with contextlib.suppress(OSError), socket.create_connection(self.server_address[:2]):  # type: ignore[arg-type]
            pass

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect."""


class _Headers(HTTPMessage):
    def get_content_maintype(self) -> str:
        """Keep the parser of e-mail from compiling a pattern for the parts of each multipart body."""
        return "text"


class _Handler(BaseHTTPRequestHandler):
    owner: Server
    MessageClass = _Headers
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024

    def _serve(self) -> None:
        headers: Mapping[str, str] = self.headers  # type: ignore[assignment]  # a mapping that ignores case
        body = StreamBody(self.rfile, headers, self.owner.keep_bytes)  # type: ignore[arg-type]
        self.owner.serve(Request.to(self.command, self.path, headers, body), self)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve  # noqa: N815  # http.server's names

    def handle_expect_100(self) -> bool:
        """Send `100 Continue` immediately: curl waits one second for it before it sends a large body."""
        goes_on = super().handle_expect_100()
        self.wfile.flush()
        return goes_on

    def send_head(self, response: Response, *, bodyless: bool) -> None:
        length = response.known_length
        self._chunked = length is None and not bodyless
        self.send_response_only(response.status)
        for name, value in {"Date": self.date_time_string(), **response.headers}.items():
            self.send_header(name, value)
        if self._chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif length is not None and not response.has_no_length:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def send_block(self, block: bytes) -> None:
        if block:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if self._chunked else block)

    def flush(self) -> None:
        self.wfile.flush()

    def end(self) -> None:
        if self._chunked:
            self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def cut(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def reset_body(self) -> None:
        self.wfile.flush()
        self.reset()

    def garble(self) -> None:
        self.wfile.write(b"\xff" * 64 + b"\r\n")
        self.cut()

    def go_away(self) -> None:
        """Do nothing: a server that speaks HTTP/1.1 stops between two answers."""

    def reset(self) -> None:
        """Close with a zero linger time, which sends RST in place of FIN."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.rfile.close()
            self.connection.close()

    def log_message(self, *_: object) -> None:
        """Log nothing: requests are stored in `exchanges`."""


def _changed(response: Response, fault: Fault) -> Response:
    response = dataclasses.replace(response, headers={**response.headers, **fault.headers})
    if fault.replace is not None:
        return dataclasses.replace(response, body=fault.replace, length=None)
    if fault.append:
        return dataclasses.replace(response, body=_followed(response.blocks(), fault.append), length=None)
    if fault.end_after_bytes is not None:
        response = dataclasses.replace(response, body=_beginning(response.blocks(), fault.end_after_bytes), length=None)
    if fault.compress:
        body = _compressed(response.blocks(), is_whole=fault.end_after_bytes is None)
        headers = {**response.headers, "Content-Encoding": "gzip"}
        return dataclasses.replace(response, body=body, headers=headers, length=None)
    return response


def _followed(blocks: Iterable[bytes], end: bytes) -> Iterator[bytes]:
    yield from blocks
    yield end


def _beginning(blocks: Iterable[bytes], length: int) -> Iterator[bytes]:
    for block in blocks:
        yield block[:length]
        length -= min(length, len(block))
        if not length:
            return


def _compressed(blocks: Iterable[bytes], *, is_whole: bool) -> Iterator[bytes]:
    gzip = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    for block in blocks:
        yield gzip.compress(block) + gzip.flush(zlib.Z_SYNC_FLUSH)
    if is_whole:
        yield gzip.flush()
