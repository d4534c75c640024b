"""What the two vendor clients share on the way to `requests`: a session, a bearer, and errors turned at the border."""

import functools
import os
import re
import ssl
import urllib.parse
from collections.abc import Iterable, Iterator
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from common.platform.clock import Deadline
from common.platform.errors import OutOfTime

USER_AGENT = "looker-pigment-bridge"

BLOCK_BYTES = 1024 * 1024
CONNECT_TIMEOUT_S = 10
LONGEST_READ_TIMEOUT_S = 600
"A database may think for minutes before the first byte of a query's answer."

BUSY_STATUSES = frozenset({429, 502, 503, 504})

# A vendor's own words are shown to a person, but neither a key it may echo nor a page of HTML.
_SECRET = re.compile(r"(?i)(bearer\s+|token\s+|api_key=|client_secret=|pgmt_)[^\s\"'&,}]+")
_LONGEST_WORDS = 300


class Bearer(AuthBase):
    """Sets the header itself: without an `auth` of its own `requests` would let a `.netrc` entry replace it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _OpenSslTrust(HTTPAdapter):
    """Trusts what OpenSSL does, which reads `SSL_CERT_FILE`, beside what `requests` trusts (`REQUESTS_CA_BUNDLE`)."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        context = _trust_of(os.environ["SSL_CERT_FILE"])
        super().init_poolmanager(*arguments, ssl_context=context, **options)


@functools.cache
def _trust_of(_cert_file: str) -> ssl.SSLContext:
    """Once per process and file: reading the authorities takes some 40 ms."""
    return ssl.create_default_context()


def open_session() -> requests.Session:
    """A session for one run: no retries of its own; a private certificate authority where the environment names one."""
    session = requests.Session()
    session.headers["User-Agent"] = USER_AGENT
    # A compressed stream that breaks off can look whole (the decoder is not asked whether it had finished).
    session.headers["Accept-Encoding"] = "identity"
    if os.environ.get("SSL_CERT_FILE"):
        session.mount("https://", _OpenSslTrust())
    return session


def accepted(response: requests.Response) -> bool:
    """A 2xx. A redirect is none: it is not followed, for the token would travel with it."""
    return bool(requests.codes.ok <= response.status_code < requests.codes.multiple_choices)


def words_of(response: requests.Response) -> str:
    """A vendor's explanation of a refusal, short and without secrets; empty where there is none worth showing."""
    try:
        text = next(response.iter_content(4096), b"").decode("utf-8", "replace")
    except requests.RequestException:
        return ""
    return words_in(text, _secrets_of(response.request))


def words_in(text: str, secrets: Iterable[str]) -> str:
    """What a refusal's text explains, without what the request proved itself with."""
    for secret in secrets:
        text = text.replace(secret, "…")
    message = re.search(r'"(?:looker_error|message|detail|title|error)"\s*:\s*"((?:[^"\\]|\\.)*)"', text)
    if message:
        text = message.group(1)
    if text.lstrip().startswith("<"):
        return ""
    return redacted(" ".join(text.split()))[:_LONGEST_WORDS]


def _secrets_of(request: requests.PreparedRequest) -> list[str]:
    """What a request proves itself with, which its answer may echo in any shape: the token, or a login's form."""
    token = request.headers.get("Authorization", "").partition(" ")[2]
    form = urllib.parse.parse_qs(request.body) if isinstance(request.body, str) else {}
    return [secret for secret in (token, *form.get("client_secret", [])) if secret]


def blocks_of(pieces: Iterable[bytes], deadline: Deadline, late: str) -> Iterator[bytes]:
    """An answer's pieces as they come, in blocks of about a megabyte, joined once.

    Args:
        late: the cause, where the budget ends first.

    Raises:
        OutOfTime: it did.
    """
    waiting: list[bytes] = []
    waiting_bytes = 0
    for piece in pieces:
        waiting.append(piece)
        waiting_bytes += len(piece)
        if waiting_bytes >= BLOCK_BYTES:
            yield b"".join(waiting)
            waiting, waiting_bytes = [], 0
        if not deadline.allows(0):
            raise OutOfTime(late)
    if waiting:
        yield b"".join(waiting)


def patience_s(deadline: Deadline) -> float:
    """How long a read may stay silent."""
    return max(1.0, min(LONGEST_READ_TIMEOUT_S, deadline.remaining_s()))


def kind_of(error: Exception) -> str:
    """The innermost cause's kind: `ConnectionResetError` says more than `ConnectionError`, and no address is shown."""
    while isinstance(inner := error.__cause__ or error.__context__, Exception):
        error = inner
    return type(error).__name__


def redacted(text: str) -> str:
    return _SECRET.sub(r"\1…", text)
