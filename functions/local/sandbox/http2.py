"""HTTP/2 over TLS, for the sites, requests and faults of `wire`. In HTTP/2 the end of a body is always explicit.

TLS runs in memory, between the socket and HTTP/2: one thread cannot read from an `ssl.SSLSocket` while others write to
it, and flow control requires reading from the client while a body is sent (RFC 9113, 5.2).
"""

import collections
import contextlib
import dataclasses
import logging
import socket
import socketserver
import ssl
import struct
import threading
import traceback
from collections.abc import Mapping
from email.message import Message
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError
from hyperframe.frame import GoAwayFrame

from local.sandbox import wire

# At DEBUG it logs every header of a request, including the key.
logging.getLogger("hpack").setLevel(logging.WARNING)


class Http2Server(wire.Server):
    """A `wire.Server` for clients that offer `h2`; the context has the certificate.

    The fault `reset_after_bytes` resets the stream with INTERNAL_ERROR; HTTP/1.1 can only reset the connection. The
    faults `reset_before` and `reset_after` reset the connection here too.
    """

    scheme = "https"

    def __init__(self, site: wire.Site, context: ssl.SSLContext, **options: Any) -> None:
        context.set_alpn_protocols(["h2"])
        self.context = context
        super().__init__(site, **options)

    def _connection(self) -> type[socketserver.BaseRequestHandler]:
        return type("Connection", (_Connection,), {"owner": self})


class _Connection(socketserver.BaseRequestHandler):
    """One connection: one thread reads from it, and each stream is answered on its own thread."""

    owner: Http2Server
    request: socket.socket

    def setup(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.changed = threading.Condition()
        "Acquired for every access to the fields below, and notified of all received data."
        self.over = False
        self.http = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._bodies: dict[int, _ReceivedBody] = {}
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = self.owner.context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def handle(self) -> None:
        # Ignore clients that disconnect or do not speak HTTP/2.
        with contextlib.suppress(OSError, ProtocolError):
            self._shake_hands()
            self._receive(b"")  # data that arrived with the end of the handshake
            while data := self.request.recv(wire.BLOCK_BYTES):
                self._receive(data)
        with self.changed:
            self.over = True
            self.changed.notify_all()
        self.request.close()

    def flush(self) -> None:
        """Send the pending frames."""
        if data := self.http.data_to_send():
            self._tls.write(data)
        self.request.sendall(self._outgoing.read())

    def send_bytes(self, data: bytes) -> None:
        """Send bytes that h2 does not know of."""
        self._tls.write(data)
        self.request.sendall(self._outgoing.read())

    def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.request.sendall(self._outgoing.read())
                data = self.request.recv(wire.BLOCK_BYTES)
                if not data:
                    raise ConnectionError("The client disconnected during the handshake.") from None
                self._incoming.write(data)
        if self._tls.selected_alpn_protocol() != "h2":
            raise ConnectionError("The client does not speak HTTP/2.")
        self.http.initiate_connection()

    def _receive(self, data: bytes) -> None:
        with self.changed:
            if self.over:
                return
            self._incoming.write(data)
            try:
                for event in self.http.receive_data(self._decrypted()):
                    self._handle(event)
            finally:
                self.flush()
                self.changed.notify_all()

    def _decrypted(self) -> bytes:
        parts = []
        with contextlib.suppress(ssl.SSLWantReadError):
            while part := self._tls.read(wire.BLOCK_BYTES):
                parts.append(part)
        return b"".join(parts)

    def _handle(self, event: Event) -> None:
        # No body belongs to the connection itself, or to a stream that is already answered.
        body = self._bodies.get(getattr(event, "stream_id", None) or 0)
        match event:
            case RequestReceived():
                self._begin(event)
            case DataReceived():
                padding_bytes = event.flow_controlled_length - len(event.data)
                self.http.acknowledge_received_data(padding_bytes, event.stream_id)
                if body:
                    body.add(event.data)
            case StreamEnded() if body:
                body.complete = True
            case StreamReset() if body:
                body.broken = True

    def _begin(self, event: RequestReceived) -> None:
        body = self._bodies[event.stream_id] = _ReceivedBody(self, event.stream_id, self.owner.keep_bytes)
        headers = {str(name): str(value) for name, value in event.headers}
        stream = _Stream(self, event.stream_id, body)
        threading.Thread(target=self._serve, args=[stream, headers], daemon=True).start()

    def _serve(self, stream: "_Stream", headers: Mapping[str, str]) -> None:
        fields: Any = Message()
        for name, value in headers.items():
            if not name.startswith(":"):
                fields[name] = value
        fields["Host"] = headers.get(":authority", "")
        try:
            self.owner.serve(wire.Request.to(headers[":method"], headers[":path"], fields, stream.body), stream)
        except (OSError, ProtocolError):
            pass  # The client disconnected.
        except Exception:  # noqa: BLE001  # HTTP/2 can end a body and say that it is not complete
            traceback.print_exc()
            stream.reset_body()
        finally:
            with self.changed:
                self._bodies.pop(stream.id, None)


@dataclasses.dataclass(frozen=True)
class _Stream:
    """The answer to one request."""

    connection: _Connection
    id: int
    body: "_ReceivedBody"

    def send_head(self, response: wire.Response, *, bodyless: bool) -> None:
        headers = [(":status", str(response.status))]
        headers += [(name.lower(), value) for name, value in response.headers.items()]
        if response.known_length is not None and not response.has_no_length:
            headers.append(("content-length", str(response.known_length)))
        with self.connection.changed:
            self.connection.http.send_headers(self.id, headers, end_stream=bodyless)
            self.connection.flush()

    def send_block(self, block: bytes) -> None:
        http, changed = self.connection.http, self.connection.changed
        data = memoryview(block)
        while data:
            with changed:
                changed.wait_for(lambda: self._is_gone or http.local_flow_control_window(self.id) > 0)
                if self._is_gone:
                    raise ConnectionError("The client does not want the rest.")
                allowed = min(http.local_flow_control_window(self.id), wire.BLOCK_BYTES, len(data))
                for start in range(0, allowed, http.max_outbound_frame_size):
                    http.send_data(self.id, data[start : min(start + http.max_outbound_frame_size, allowed)])
                self.connection.flush()
            data = data[allowed:]

    def flush(self) -> None:
        """Do nothing: every frame is sent immediately."""

    def end(self) -> None:
        with self.connection.changed:
            self.connection.http.end_stream(self.id)
            self.connection.flush()

    def cut(self) -> None:
        """Close the connection without the end of the stream."""
        with self.connection.changed:
            self.connection.over = True
            self.connection.request.shutdown(socket.SHUT_WR)

    def reset_body(self) -> None:
        with contextlib.suppress(OSError, ProtocolError), self.connection.changed:
            self.connection.http.reset_stream(self.id, ErrorCodes.INTERNAL_ERROR)
            self.connection.flush()

    def garble(self) -> None:
        """Send a frame that is longer than any that is allowed."""
        with self.connection.changed:
            self.connection.send_bytes(b"\xff" * 64)
        self.cut()

    def go_away(self) -> None:
        """Send GOAWAY without an error, as a server that stops. h2 itself would then refuse to send the rest."""
        frame = GoAwayFrame(stream_id=0, last_stream_id=self.id)
        with self.connection.changed:
            self.connection.flush()
            self.connection.send_bytes(frame.serialize())

    def reset(self) -> None:
        """Wake up `_Connection.handle`; its close sends RST instead of FIN because of the zero linger time."""
        with self.connection.changed:
            self.connection.over = True
            self.connection.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.request.shutdown(socket.SHUT_RD)

    @property
    def _is_gone(self) -> bool:
        return self.connection.over or self.body.broken


class _ReceivedBody(wire.Body):
    """The body of a request; the client may send more of it while it is read."""

    def __init__(self, connection: _Connection, stream: int, keep_bytes: int) -> None:
        super().__init__(keep_bytes)
        self.complete = False
        "The whole body has arrived."
        self.broken = False
        "The client has reset the stream."
        self._connection = connection
        self._stream = stream
        self._received: collections.deque[bytes] = collections.deque()

    def add(self, data: bytes) -> None:
        if data:
            self._received.append(data)

    def _next(self, limit: int) -> bytes:
        connection = self._connection
        with connection.changed:
            connection.changed.wait_for(lambda: self._received or self.complete or self.broken or connection.over)
            if self.broken or (connection.over and not self.complete):
                raise ConnectionError("The client disconnected in the middle of its request.")
            if not self._received:
                return b""
            block = self._received.popleft()
            if limit < len(block):
                self._received.appendleft(block[limit:])
                block = block[:limit]
            connection.http.acknowledge_received_data(len(block), self._stream)
            connection.flush()
            return block
