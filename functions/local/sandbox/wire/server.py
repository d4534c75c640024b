"""The server of one site."""

import contextlib
import socket
import socketserver
import threading
import time
import traceback
from collections.abc import Collection
from http.server import ThreadingHTTPServer
from typing import Any, Self

from local import host_names
from local.sandbox.wire.faults import Fault, Sender, changed
from local.sandbox.wire.http1 import Handler
from local.sandbox.wire.messages import Exchange, Request, Response, Site


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
        for block in response.blocks(fault.block_bytes if fault else None):
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
        return None if fault.reset_after else changed(fault.answer_instead or response, fault), fault

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
        return type("Handler", (Handler,), {"owner": self})

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
