"""The body of a request: read within limits of size and time, or not at all.

functions-framework reads each body to its end before it sends the answer (its `read_request`), and gunicorn before it
uses the connection again. A caller that is refused could hold a thread with a byte a second. So the body is taken out
of the request before either sees it, and an answer that did not need all of it ends the connection.

What comes before the body is not in reach of a function: gunicorn's threaded worker waits for the rest of a request's
head without a limit of time, and lingers after a head that is not valid. Cloud Run's front end sends only whole heads.
"""

import contextlib
import io
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import flask
import msgspec
from werkzeug.wsgi import ClosingIterator, get_content_length, get_input_stream

from common.platform.causes import cause_of
from common.platform.clock import Deadline
from common.platform.errors import BodyTooSlow, MalformedRequest

_KEY = "bridge.body"
_BLOCK_BYTES = 64 * 1024
_TICK_S = 0.1
_MOST_IDLE_TICKS = 50
_DISCARD_S = 0.25
"How long the rest of a refused body is discarded, so that the caller reads the answer instead of a reset."


class Pace(msgspec.Struct, frozen=True):
    """A rate that a body must keep after a grace."""

    grace_s: float
    bytes_per_s: float

    def is_missed(self, elapsed_s: float, received_bytes: int) -> bool:
        return elapsed_s > self.grace_s + received_bytes / self.bytes_per_s


AT_ONCE = Pace(1.0, 64 * 1024)
"A slower body may go on while few are slow: Looker can wait for its database between two rows."
LEAST = Pace(30.0, 16 * 1024)
"A slower body is refused."


def _threads() -> int:
    """Return the number of threads that functions-framework gives to gunicorn."""
    return int(os.environ.get("THREADS") or (os.cpu_count() or 1) * 4)


_MOST_SLOW = max(1, _threads() * 3 // 4)
"How many bodies may be slow at the same time. The other threads are left for callers that are not."
_discarding = threading.Semaphore(max(1, _threads() // 4))


class RequestBody:
    """The body of one request. Nothing else can read it."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self._stream = get_input_stream(environ)
        self._announced_bytes = get_content_length(environ)
        self._socket: socket.socket | None = environ.get("gunicorn.socket")
        self.is_complete = False
        "Whether it was read to its end."
        # Flask uses the stream as it is if it is marked as terminated, and does not miss the announced bytes.
        environ.update({"wsgi.input": io.BytesIO(), "wsgi.input_terminated": True})

    def read(self, longest_bytes: int, deadline: Deadline) -> bytes | None:
        """Return the body, or None if it is longer than allowed.

        Raises:
            BodyTooSlow: it does not keep the pace `LEAST`, not even `AT_ONCE` while too many do not, or misses the
                deadline.
            MalformedRequest: it ends early, or is not valid HTTP.
        """
        reading = _Reading(self._socket, deadline, deadline.clock.monotonic_s())
        with _watch.over(reading):
            parts = list(self._blocks(reading, longest_bytes + 1))
        if reading.stopped is not None:
            raise BodyTooSlow(reading.stopped)
        if reading.received_bytes > longest_bytes:
            return None
        if self._announced_bytes is not None and reading.received_bytes < self._announced_bytes:
            raise _cut(f"{reading.received_bytes} of {self._announced_bytes} bytes arrived")
        self.is_complete = True
        return b"".join(parts)

    def _blocks(self, reading: "_Reading", most_bytes: int) -> Iterator[bytes]:
        try:
            while reading.stopped is None and (part := self._stream.read(min(most_bytes, _BLOCK_BYTES))):
                reading.received_bytes += len(part)
                most_bytes -= len(part)
                yield part
        except TimeoutError:
            reading.stop("The server waited too long for the next bytes of the body.")
        except Exception as error:  # each server has errors of its own for a body that is not valid
            if reading.stopped is None:
                raise _cut(cause_of(error)) from error

    def hang_up(self) -> None:
        """Close the connection if the body was not read to its end, and do not let the server wait for the caller."""
        if self.is_complete or self._socket is None:
            return
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            if _discarding.acquire(blocking=False):
                try:
                    _discard(self._socket)
                finally:
                    _discarding.release()
            self._socket.shutdown(socket.SHUT_RD)


class _App:
    """A WSGI application from whose requests the body is taken out."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = environ[_KEY] = RequestBody(environ)

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Callable[[bytes], object]:
            if not body.is_complete:
                headers.append(("Connection", "close"))
                _force_close(start_response)
            return start_response(status, headers, *more)

        return ClosingIterator(self._app(environ, start), body.hang_up)


def guard() -> None:
    """Take the body out of every request of this function, also of those that functions-framework answers itself, such
    as `/robots.txt`. It must be called while functions-framework imports the function.
    """
    if flask.has_app_context():
        app: Any = flask.current_app
        app.wsgi_app = _App(app.wsgi_app)


def body_of(request: flask.Request) -> RequestBody:
    """Return the body that was taken out of a request."""
    found: RequestBody | None = request.environ.get(_KEY)
    return found or RequestBody(request.environ)


def _force_close(start_response: StartResponse) -> None:
    """Let the server close the connection after the answer.

    gunicorn ignores the header `Connection` of an application. Its `start_response` is a method of an object that can
    close.
    """
    close = getattr(getattr(start_response, "__self__", None), "force_close", None)
    if close is not None:
        close()


class _Reading(msgspec.Struct, eq=False):
    """A body that a thread is reading."""

    socket: socket.socket | None
    deadline: Deadline
    began_s: float
    received_bytes: int = 0
    is_slow: bool = False
    stopped: str | None = None
    "Why the reading was stopped."

    @property
    def elapsed_s(self) -> float:
        return self.deadline.clock.monotonic_s() - self.began_s

    def misses(self, pace: Pace) -> bool:
        # If bytes are waiting, it is this process that is slow, not the caller.
        return pace.is_missed(self.elapsed_s, self.received_bytes) and not _has_bytes(self.socket)

    def stop(self, why: str) -> None:
        """End a read that blocks. Without a socket, it ends with the next block."""
        self.stopped = why
        if self.socket is not None:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RD)


class _Watch:
    """Stops readings that are too slow, from a thread that runs while there are any, and a little longer: starting one
    for each body would take as long as reading it.

    The thread that reads cannot do so itself: gunicorn returns from a read only when a whole block has arrived.
    """

    def __init__(self) -> None:
        self._readings: set[_Reading] = set()
        self._lock = threading.Lock()
        self._is_running = False
        self._idle_ticks = 0

    @contextlib.contextmanager
    def over(self, reading: _Reading) -> Iterator[None]:
        with self._lock:
            self._readings.add(reading)
            if not self._is_running:
                self._is_running, self._idle_ticks = True, 0
                threading.Thread(target=self._run, name="request bodies", daemon=True).start()
        try:
            yield
        finally:
            with self._lock:
                self._readings.remove(reading)

    def _run(self) -> None:
        try:
            while self._judge_all():
                time.sleep(_TICK_S)
        except BaseException:
            self._is_running = False
            raise

    def _judge_all(self) -> bool:
        """Return whether to go on."""
        with self._lock:
            for reading in self._readings:
                self._judge(reading)
            self._idle_ticks = 0 if self._readings else self._idle_ticks + 1
            self._is_running = self._idle_ticks < _MOST_IDLE_TICKS
            return self._is_running

    def _judge(self, reading: _Reading) -> None:
        if reading.stopped is not None:
            return
        arrived = f"{reading.received_bytes} bytes of the body arrived in {reading.elapsed_s:.0f} s"
        if reading.misses(LEAST) or reading.deadline.remaining_s() <= 0:
            reading.stop(f"Only {arrived}.")
        elif not reading.is_slow and reading.misses(AT_ONCE):
            slow = sum(each.is_slow for each in self._readings)
            if slow >= _MOST_SLOW:
                reading.stop(f"Only {arrived}, and {slow} other requests are as slow.")
            reading.is_slow = True


_watch = _Watch()


def _cut(how: str) -> MalformedRequest:
    return MalformedRequest(f"The request's body is not complete: {how}.", next_step="Send the request again.")


def _has_bytes(connection: socket.socket | None) -> bool:
    if connection is None:
        return False
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        return bool(selector.select(0))


def _discard(connection: socket.socket) -> None:
    ends_s = time.monotonic() + _DISCARD_S
    while (left_s := ends_s - time.monotonic()) > 0:
        connection.settimeout(left_s)
        if not connection.recv(_BLOCK_BYTES):
            return
