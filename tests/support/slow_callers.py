"""Callers that send a request a byte at a time, or longer than it is read, over sockets of their own."""

import contextlib
import re
import selectors
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import cast

_BETWEEN_BYTES_S = 0.1
_PATIENCE_S = 30


def begin(port: int, head: str, first: bytes = b"") -> socket.socket:
    """Send the head of a request and the first bytes of its body. Lines of the head are joined with line ends."""
    caller = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S)
    caller.sendall("\r\n".join([*head.splitlines(), "", ""]).encode() + first)
    return caller


def whole_answer_of(caller: socket.socket) -> bytes:
    """Read until the server closes. Raises ConnectionError at a reset."""
    return b"".join(iter(lambda: caller.recv(65_536), b""))


def answer_of(caller: socket.socket) -> bytes:
    """Read until the server closes; a reset ends the answer too."""
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := caller.recv(65_536):
            parts.append(part)
    return b"".join(parts)


def exchange(port: int, head: str, body: bytes = b"", *, and_close: bool = True) -> bytes:
    """Send a whole request, tell the server that no more follows unless told otherwise, and return all answers."""
    with begin(port, head, body) as caller:
        if and_close:
            with contextlib.suppress(OSError):
                caller.shutdown(socket.SHUT_WR)
        return answer_of(caller)


def first_answer(callers: Sequence[socket.socket]) -> bytes:
    """The answer of the caller that is answered first."""
    with selectors.DefaultSelector() as selector:
        for caller in callers:
            selector.register(caller, selectors.EVENT_READ)
        key, _ = selector.select(_PATIENCE_S)[0]
        return answer_of(cast(socket.socket, key.fileobj))


def flood(port: int, head: str, count: int) -> bytes:
    """Send a body of so many bytes in chunks, as far as the server takes it, and return the answer."""
    chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    with begin(port, head) as caller:
        with contextlib.suppress(ConnectionError):
            for _ in range(count // (1 << 20)):
                caller.sendall(chunk)
        return answer_of(caller)


def statuses_of(answers: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answers)]


def status_of(answer: bytes) -> int:
    """The status of the only answer; 0 if there is none."""
    return (*statuses_of(answer), 0)[0]


@contextlib.contextmanager
def dripping(callers: Sequence[socket.socket], byte: bytes = b" ") -> Iterator[None]:
    """Let each caller send one byte after another inside the block, and close them after it."""
    over = threading.Event()

    def drip() -> None:
        while not over.wait(_BETWEEN_BYTES_S):
            for caller in callers:
                with contextlib.suppress(OSError):
                    caller.sendall(byte)

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        for caller in callers:
            caller.close()
