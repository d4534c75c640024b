"""One request whose answer is read as a stream, over HTTP/2 if the server supports it.

libcurl parses the frames: for the same rows it needs a fifth of the instructions of a parser in Python.
"""

import contextlib
import functools
import os
import ssl
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pycurl
import requests
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from common.platform import http

_BUFFER_BYTES = 256 * 1024
_LONGEST_WAIT_S = 0.5
"libcurl checks its own timeouts when it is called."
_SHORTEST_WAIT_S = 0.001
_VERSIONS = {1: "HTTP/1.0", 2: "HTTP/1.1", 3: "HTTP/2"}
"Of libcurl's numbers, those that a server can answer with."
_ERROR_NAMES = {number: name for name, number in vars(pycurl).items() if name.startswith("E_")}


class NotAnswered(Exception):  # its callers convert it
    """There is no answer, or not all of it; the message says why in libcurl's words, without an address."""


class Answer:
    """The answer to one request. Its body can be read once."""

    def __init__(self, handle: Any, patience_s: float) -> None:
        self.headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
        self._handle = handle
        self._patience_s = patience_s
        self._pieces: deque[bytes] = deque()
        self._has_head = self._is_whole = False
        self._failure: NotAnswered | None = None
        "It may come together with the last bytes, which are read first."
        self._multi: Any = pycurl.CurlMulti()
        handle.setopt(pycurl.HEADERFUNCTION, self._take_header)
        handle.setopt(pycurl.WRITEFUNCTION, self._pieces.append)
        self._multi.add_handle(handle)

    @property
    def status(self) -> int:
        return int(self._handle.getinfo(pycurl.RESPONSE_CODE))

    @property
    def version(self) -> str:
        return _VERSIONS.get(self._handle.getinfo(pycurl.INFO_HTTP_VERSION), "another version of HTTP")

    def wait_for_head(self) -> None:
        """Return once the status and the headers are known. Raises NotAnswered."""
        # The status is 0 while only a proxy has answered, and below 200 for an interim answer.
        while not (self._has_head and self.status >= requests.codes.ok):
            self._advance()

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it arrives. Raises NotAnswered if the server sends nothing for long, or not all of it."""
        while True:
            while self._pieces:
                yield self._take_pieces()
            if self._is_whole:
                return
            self._advance()

    def stop(self) -> None:
        """End soon what another thread reads of the body, by NotAnswered."""
        self._failure = NotAnswered("it is not wanted any more")

    def close(self) -> None:
        self._multi.remove_handle(self._handle)
        self._handle.close()
        self._multi.close()

    def _take_pieces(self) -> bytes:
        """Join what has arrived, up to the size of a buffer: over HTTP/2 libcurl gives at most a frame of 16 KiB at a
        time, and every later step takes time for each piece.
        """
        taken, taken_bytes = [], 0
        while self._pieces and taken_bytes < _BUFFER_BYTES:
            taken.append(self._pieces.popleft())
            taken_bytes += len(taken[-1])
        return b"".join(taken)

    def _take_header(self, line: bytes) -> None:
        text = line.decode("latin-1").strip()
        if line.startswith(b"HTTP/"):
            # The head of the final answer follows those of a proxy and of interim answers.
            self.headers.clear()
            self._has_head = False
        elif not text:
            self._has_head = True
        else:
            name, _, value = text.partition(":")
            earlier = [self.headers[name]] if name in self.headers else []
            self.headers[name] = ", ".join([*earlier, value.strip()])

    def _advance(self) -> None:
        """Let libcurl work until something has arrived, or the answer has ended."""
        if self._failure:
            raise self._failure
        silent_until_s = time.monotonic() + self._patience_s
        had_head = self._has_head
        while True:
            self._multi.perform()
            self._note_end()
            if self._is_whole or self._failure or self._pieces or (self._has_head and not had_head):
                return
            if time.monotonic() > silent_until_s:
                raise NotAnswered("it was silent for too long")
            began_s = time.monotonic()
            self._multi.select(_LONGEST_WAIT_S)
            if time.monotonic() - began_s < _SHORTEST_WAIT_S:
                # Without a socket to wait for, such as while a name is looked up, it returns at once.
                time.sleep(_SHORTEST_WAIT_S)

    def _note_end(self) -> None:
        _, succeeded, failed = self._multi.info_read()
        self._is_whole = self._is_whole or bool(succeeded)
        for _, number, _ in failed:
            name = _ERROR_NAMES.get(number, f"E_{number}")
            self._failure = NotAnswered(name.removeprefix("E_").lower().replace("_", " "))


@contextlib.contextmanager
def asking(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None, patience_s: float
) -> Iterator[Answer]:
    """Send a request over a connection of its own, and give its answer once it has begun. It follows no redirect.

    Args:
        patience_s: for how many seconds the server may send nothing.

    Raises NotAnswered.
    """
    handle = pycurl.Curl()
    options = {
        pycurl.URL: url.encode(),
        pycurl.CUSTOMREQUEST: method,
        pycurl.HTTPHEADER: [f"{name}: {value}".encode() for name, value in headers.items()],
        pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_2TLS,
        pycurl.CONNECTTIMEOUT: http.CONNECT_TIMEOUT_S,
        pycurl.BUFFERSIZE: _BUFFER_BYTES,
        # Signals would interrupt other threads.
        pycurl.NOSIGNAL: 1,
        pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
    }
    if body is not None:
        options[pycurl.POSTFIELDS] = body
    if url.startswith("https:"):
        trusted = _trusted(os.environ.get("SSL_CERT_FILE"), os.environ.get("REQUESTS_CA_BUNDLE"))
        options |= {pycurl.CAINFO_BLOB: trusted, pycurl.PROXY_CAINFO_BLOB: trusted}
        if authorities := ssl.get_default_verify_paths().capath:
            options[pycurl.CAPATH] = authorities
    for option, value in options.items():
        handle.setopt(option, value)
    with contextlib.closing(Answer(handle, patience_s)) as answer:
        answer.wait_for_head()
        yield answer


@functools.cache
def _trusted(_cert_file: str | None, bundle: str | None) -> bytes:
    """Return the certificate authorities of this machine, or those of `requests`, and those of a bundle.

    libcurl would look for them where they were on the machine that built it.
    """
    files = [ssl.get_default_verify_paths().cafile or DEFAULT_CA_BUNDLE_PATH, *([bundle] if bundle else [])]
    return b"\n".join(Path(file).read_bytes() for file in files)
