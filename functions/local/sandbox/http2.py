"""HTTP/2 over TLS: the sites, requests and faults of `wire`, with an end of the body that cannot be mistaken.

TLS is spoken in memory, between the socket and HTTP/2: an `ssl.SSLSocket` cannot be waited at by one thread while
others write to it, and a body may only be written as far as what the client says meanwhile allows (RFC 9113, 5.2).
"""

import collections
import contextlib
import io
import socket
import socketserver
import ssl
import struct
import threading
import time
import traceback
from collections.abc import Mapping
from email.message import Message
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError

from local.sandbox import wire

_BLOCK_BYTES = 256 * 1024


class Server(wire.Server):
    """As `wire.Server`, for clients that offer `h2`; the context brings the certificate.

    Of its faults, `reset_after_bytes` resets the stream with INTERNAL_ERROR, where HTTP/1.1 has only the connection to
    reset; `reset_before` and `reset_after` reset the connection here too.
    """

    scheme = "https"

    def __init__(self, site: wire.Site, context: ssl.SSLContext, **options: Any) -> None:
        context.set_alpn_protocols(["h2"])
        self.context = context
        super().__init__(site, **options)

    def _connection(self) -> type[socketserver.BaseRequestHandler]:
        return type("Connection", (_Connection,), {"owner": self})


class _Connection(socketserver.BaseRequestHandler):
    """One connection: its own thread reads, and each of its streams is answered on another."""

    owner: Server
    request: socket.socket

    def setup(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.changed = threading.Condition()
        "Held by whoever touches what follows, and told of everything that arrives."
        self.over = False
        self.http = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._bodies: dict[int, _Body] = {}
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = self.owner.context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def handle(self) -> None:
        # A client that goes away, or speaks something else, is no news.
        with contextlib.suppress(OSError, ProtocolError):
            self._shake_hands()
            self._receive(b"")  # what came with the end of the handshake
            while data := self.request.recv(_BLOCK_BYTES):
                self._receive(data)
        with self.changed:
            self.over = True
            self.changed.notify_all()
        self.request.close()

    def flush(self) -> None:
        """Send what HTTP/2 has to say."""
        if data := self.http.data_to_send():
            self._tls.write(data)
        self.request.sendall(self._outgoing.read())

    def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.request.sendall(self._outgoing.read())
                data = self.request.recv(_BLOCK_BYTES)
                if not data:
                    raise ConnectionError("the client went away in the middle of its handshake") from None
                self._incoming.write(data)
        if self._tls.selected_alpn_protocol() != "h2":
            raise ConnectionError("the client does not speak HTTP/2")
        self.http.initiate_connection()

    def _receive(self, data: bytes) -> None:
        with self.changed:
            if self.over:
                return
            self._incoming.write(data)
            try:
                for event in self.http.receive_data(self._decrypted()):
                    self._take(event)
            finally:
                self.flush()
                self.changed.notify_all()

    def _decrypted(self) -> bytes:
        parts = []
        with contextlib.suppress(ssl.SSLWantReadError):
            while part := self._tls.read(_BLOCK_BYTES):
                parts.append(part)
        return b"".join(parts)

    def _take(self, event: Event) -> None:
        # None of a stream that is answered already, or of the connection itself.
        body = self._bodies.get(getattr(event, "stream_id", None) or 0)
        match event:
            case RequestReceived():
                body = self._bodies[event.stream_id] = _Body(self, event.stream_id, self.owner.keep_bytes)
                headers = {str(name): str(value) for name, value in event.headers}
                threading.Thread(target=self._serve, args=[event.stream_id, headers, body], daemon=True).start()
            case DataReceived():
                padding_bytes = event.flow_controlled_length - len(event.data)
                self.http.acknowledge_received_data(padding_bytes, event.stream_id)
                if body:
                    body.arrived(event.data)
            case StreamEnded() if body:
                body.whole = True
            case StreamReset() if body:
                body.broken = True

    def _serve(self, stream: int, headers: Mapping[str, str], body: "_Body") -> None:
        fields: Any = Message()
        for name, value in headers.items():
            if not name.startswith(":"):
                fields[name] = value
        fields["Host"] = headers.get(":authority", "")
        request = wire.Request.to(headers[":method"], headers[":path"], fields, body)
        try:
            response, fault = self.owner.answer(request)
            if response is None:
                self._reset()
            else:
                self._send(stream, request, response, fault)
        except (OSError, ProtocolError):
            pass  # The client went away.
        except Exception:  # noqa: BLE001  # what HTTP/1.1 could not say: the body ends here, and is not whole
            traceback.print_exc()
            self._reset_stream(stream)
        finally:
            with self.changed:
                self._bodies.pop(stream, None)

    def _send(self, stream: int, request: wire.Request, response: wire.Response, fault: wire.Fault | None) -> None:
        if fault and fault.delay_s:
            time.sleep(fault.delay_s)
        headers = [(":status", str(response.status))]
        headers += [(name.lower(), value) for name, value in response.headers.items()]
        if response.known_length is not None and response.status not in (204, 304):
            headers.append(("content-length", str(response.known_length)))
        bodyless = response.is_bodyless(request.method)
        if bodyless:
            self.owner.note(request, response, b"")
        with self.changed:
            self.http.send_headers(stream, headers, end_stream=bodyless)
            self.flush()
        if not bodyless:
            self._send_body(stream, request, response, fault)

    def _send_body(self, stream: int, request: wire.Request, response: wire.Response, fault: wire.Fault | None) -> None:
        keep_bytes, kept, sent = self.owner.keep_bytes, b"", 0
        limit = fault.limit_bytes if fault else None
        for block in response.blocks(fault):
            if fault and fault.drip_s:
                time.sleep(fault.drip_s)
            piece = block if limit is None else block[: limit - sent]
            self._send_data(stream, memoryview(piece))
            sent += len(piece)
            if len(kept) < keep_bytes:
                kept += piece[: keep_bytes - len(kept)]
            if fault and limit is not None and sent >= limit:
                self.owner.note(request, response, kept)
                return self._cut() if fault.reset_after_bytes is None else self._reset_stream(stream)
        self.owner.note(request, response, kept)
        with self.changed:
            self.http.end_stream(stream)
            self.flush()
        return None

    def _send_data(self, stream: int, data: memoryview) -> None:
        while data:
            with self.changed:
                self.changed.wait_for(lambda: self._is_gone(stream) or self.http.local_flow_control_window(stream) > 0)
                if self._is_gone(stream):
                    raise ConnectionError("the client does not want the rest")
                allowed = min(self.http.local_flow_control_window(stream), _BLOCK_BYTES, len(data))
                for start in range(0, allowed, self.http.max_outbound_frame_size):
                    self.http.send_data(stream, data[start : min(start + self.http.max_outbound_frame_size, allowed)])
                self.flush()
            data = data[allowed:]

    def _is_gone(self, stream: int) -> bool:
        return self.over or self._bodies[stream].broken

    def _cut(self) -> None:
        """The connection ends, and the stream does not."""
        with self.changed:
            self.over = True
            self.request.shutdown(socket.SHUT_WR)

    def _reset_stream(self, stream: int) -> None:
        with contextlib.suppress(OSError, ProtocolError), self.changed:
            self.http.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)
            self.flush()

    def _reset(self) -> None:
        """The peer sees ECONNRESET: `handle` wakes up, and its closing with a zero linger time sends RST, not FIN."""
        with self.changed:
            self.over = True
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.request.shutdown(socket.SHUT_RD)


class _Body(wire.Body):
    """A request's body; the client may send more of it as it is read."""

    def __init__(self, connection: _Connection, stream: int, keep_bytes: int) -> None:
        super().__init__(io.BytesIO(), {}, keep_bytes)
        self.whole = False
        "All of it has arrived."
        self.broken = False
        "The client has reset the stream."
        self._connection = connection
        self._stream_id = stream
        self._waiting: collections.deque[bytes] = collections.deque()

    def arrived(self, data: bytes) -> None:
        if data:
            self._waiting.append(data)

    def read(self, size: int = -1) -> bytes:
        parts: list[bytes] = []
        wanted = size
        while wanted != 0 and (block := self._next(wanted)):
            wanted -= len(block) if wanted > 0 else 0
            parts.append(self.counted(block))
        return b"".join(parts)

    def _next(self, wanted: int) -> bytes:
        with self._connection.changed:
            self._connection.changed.wait_for(
                lambda: self._waiting or self.whole or self.broken or self._connection.over
            )
            if self.broken or (self._connection.over and not self.whole):
                raise ConnectionError("the client went away in the middle of its request")
            if not self._waiting:
                return b""
            block = self._waiting.popleft()
            if 0 < wanted < len(block):
                self._waiting.appendleft(block[wanted:])
                block = block[:wanted]
            self._connection.http.acknowledge_received_data(len(block), self._stream_id)
            self._connection.flush()
            return block
