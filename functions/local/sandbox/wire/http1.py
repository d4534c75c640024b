"""The connections of HTTP/1.1."""

import contextlib
import socket
import struct
from collections.abc import Mapping
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

from local.sandbox.wire.bodies import StreamBody
from local.sandbox.wire.messages import Request, Response

if TYPE_CHECKING:
    from local.sandbox.wire.server import Server


class _Headers(HTTPMessage):
    def get_content_maintype(self) -> str:
        """Keep the parser of e-mail from compiling a pattern for the parts of each multipart body."""
        return "text"


class Handler(BaseHTTPRequestHandler):
    owner: "Server"
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
