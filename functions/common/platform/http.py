"""The shared part of the clients of Looker and Pigment: sessions, authentication, statuses and blocks."""

import functools
import os
import re
import ssl
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from common.platform.clock import Deadline
from common.platform.errors import AnswerNotUnderstood, OutOfTime

USER_AGENT = "looker-pigment-bridge"

BLOCK_BYTES = 1024 * 1024
_SENT_BYTES = 256 * 1024
CONNECT_TIMEOUT_S = 10
LONGEST_READ_TIMEOUT_S = 600
"A database can take minutes before the first byte of a query's answer."

TOO_LARGE = requests.codes.request_entity_too_large
_TEMPORARY_REFUSALS = (requests.codes.request_timeout, requests.codes.too_early, requests.codes.too_many_requests)

# A vendor's explanation is shown to people, so secrets that it repeats are removed.
_SECRET = re.compile(r"(?i)(bearer\s+|token\s+|api_key=|client_secret=|pgmt_)[^\s\"'&,}]+")


class Bearer(AuthBase):
    """Sends a bearer token. It is an `auth` object, because `requests` replaces a plain header by a `.netrc` entry."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Adapter(HTTPAdapter):
    """Sends a body in large pieces, each of which takes a step in Python; and also trusts the authorities of OpenSSL
    (`SSL_CERT_FILE`), not only those of `requests` (`REQUESTS_CA_BUNDLE`).
    """

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        if cert_file := os.environ.get("SSL_CERT_FILE"):
            options["ssl_context"] = _ssl_context(cert_file)
        super().init_poolmanager(*arguments, blocksize=_SENT_BYTES, **options)


class _WithoutRedirects(requests.Session):
    """Follows no redirect. `requests` parses the target even if it is not followed, and fails at one that is no URL."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002
        return None


@functools.cache
def _ssl_context(_cert_file: str) -> ssl.SSLContext:
    """Create the context once per process and file, because reading the authorities takes about 40 ms."""
    return ssl.create_default_context()


def open_session() -> requests.Session:
    """Return a session for one run.

    It does not retry, and it accepts a private certificate authority that the environment names.
    """
    session = _WithoutRedirects()
    session.headers["User-Agent"] = USER_AGENT
    # A truncated compressed stream can look complete, because the decoder is not asked whether it has finished.
    session.headers["Accept-Encoding"] = "identity"
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Adapter())
    return session


def accepted(response: requests.Response) -> bool:
    """Whether the status is 2xx. Redirects are not followed, because the new address would receive the token."""
    return bool(requests.codes.ok <= response.status_code < requests.codes.multiple_choices)


def is_temporary(status: int) -> bool:
    """Whether a status says that the same request can succeed later: 408, 425, 429 and every 5xx."""
    return status in _TEMPORARY_REFUSALS or status >= requests.codes.server_error


def expect_uncompressed(headers: Mapping[str, str], vendor: str) -> None:
    """Raise AnswerNotUnderstood if rows come compressed, which no request of the bridge asks for.

    The decoders do not say whether a compressed stream has reached its own end, so that one which lost it looks whole.
    """
    if headers.get("Content-Encoding", "").strip().lower() not in ("", "identity"):
        next_step = f"Let what is between the bridge and {vendor} pass answers on as they are, without compression."
        cause = f"{vendor}'s rows came compressed although that was not asked for, so a lost end would not be noticed."
        raise AnswerNotUnderstood(cause, next_step=next_step)


def in_blocks(pieces: Iterable[bytes], least_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Join pieces into blocks of at least so many bytes, because checking and storing take time for each piece.

    The last block can be shorter, and empty.
    """
    block: list[bytes] = []
    block_bytes = 0
    for piece in pieces:
        block.append(piece)
        block_bytes += len(piece)
        if block_bytes >= least_bytes:
            yield b"".join(block)
            block, block_bytes = [], 0
    yield b"".join(block)


def blocks_of(
    pieces: Iterable[bytes], deadline: Deadline, late: str, least_bytes: int = BLOCK_BYTES
) -> Iterator[bytes]:
    """Join the pieces of an answer into blocks, until the deadline.

    Args:
        late: the message of the error after the deadline.

    Raises:
        OutOfTime: the deadline has passed.
    """
    return filter(None, in_blocks(_until(deadline, pieces, late), least_bytes))


def _until(deadline: Deadline, pieces: Iterable[bytes], late: str) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        if not deadline.allows(0):
            raise OutOfTime(late)


def patience_s(deadline: Deadline) -> float:
    """Return the read timeout in seconds: the rest of the budget, from 1 to `LONGEST_READ_TIMEOUT_S`."""
    return max(1.0, min(LONGEST_READ_TIMEOUT_S, deadline.remaining_s()))


def redacted(text: str) -> str:
    """Return the text with everything that looks like a secret replaced."""
    return _SECRET.sub(r"\1…", text)
