"""Faults on demand: what a server does to a request, or to its answer."""

import dataclasses
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from local.sandbox.wire.messages import Response


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
    def interruption(self) -> tuple[int, Callable[[Sender], None]] | None:
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


def changed(response: Response, fault: Fault) -> Response:
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
