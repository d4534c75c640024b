"""Pigment's export API: request a view or a block, and read the answer as a stream.

It uses HTTP/2 if the server supports it: "HTTP/1.0 and HTTP/1.1 don't have the mechanism to report streaming errors,
so if an error occurs during your API call, your response is truncated without error notification" (Pigment community,
"Export raw data from a Pigment Block"). `requests` supports only HTTP/1.1.
"""

import contextlib
import functools
import os
import random
import ssl
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import httpx
import msgspec

from common import bridge_yaml
from common.pigment.refusals import PigmentRequest, error_of
from common.platform import http
from common.platform.clock import Deadline
from common.platform.errors import AnswerNotUnderstood, PigmentBusy, StreamCut
from common.platform.explanations import beginning_of, explanation_in
from common.platform.retry import retry
from common.platform.secrets import Secrets

T = TypeVar("T")

_LATE = "Pigment was still sending rows when the time budget ended; nothing was published."
_DELIMITERS = {",": "Comma", ";": "Semicolon"}


class ExportRequest(msgspec.Struct, frozen=True):
    method: str
    path: str
    what: str
    "In words: `the view 9b2c…`."
    parameters: dict[str, str] = {}
    body: dict[str, Any] | None = None


class _BrokenOff(StreamCut):
    """The connection ended before the answer did, so that another attempt can bring all of it."""


class ExportAnswer:
    def __init__(self, response: httpx.Response, deadline: Deadline) -> None:
        self._response = response
        self._deadline = deadline
        self._is_http2 = response.http_version == "HTTP/2"
        self.warnings: list[str] = []
        if not self._is_http2:
            silent = (
                f"Pigment answered over {response.http_version}, where it truncates a failed export without an error"
            )
            self.warnings.append(f"{silent}. Only guards.max_shrink detects a truncation at the end of a record.")

    @property
    def proves_its_end(self) -> bool:
        """Whether a truncation would be noticed: by HTTP/2's end of stream, or by a Content-Length."""
        return self._is_http2 or "Content-Length" in self._response.headers

    def blocks(self) -> Iterator[bytes]:
        """Yield blocks of about a megabyte. Raises StreamCut if the answer ends too early or stops, OutOfTime if late,
        AnswerNotUnderstood if they are compressed.
        """
        http.expect_uncompressed(self._response.headers, "Pigment")
        if not self.proves_its_end and "chunked" not in self._response.headers.get("Transfer-Encoding", "").lower():
            next_step = "Connect the function to Pigment without the proxy that removes the answer's framing."
            cause = "Pigment's answer has no length and no chunks, so a truncated answer could not be detected."
            raise StreamCut(cause, next_step=next_step)
        yield from http.blocks_of(self._pieces(), self._deadline, _LATE)

    def _pieces(self) -> Iterator[bytes]:
        try:
            # In the pieces that arrive: httpx would build blocks of a fixed size by copying twice.
            yield from self._response.iter_bytes()
        except Exception as error:  # see `_begin`
            raise _BrokenOff(f"Pigment's answer broke off: {http.kind_of(error)}.") from error


def ask(
    request: ExportRequest,
    settings: bridge_yaml.PigmentSettings,
    secrets: Secrets,
    deadline: Deadline,
    chance: random.Random,
    read: Callable[[ExportAnswer], T],
) -> T:
    """Export, and return what `read` makes of the answer.

    An export changes nothing in Pigment. While Pigment is busy, or if the answer breaks off, it is asked for again from
    its beginning, over a new connection; `read` is then called again, and must replace what it has made before.

    Raises what `read` raises; PigmentKeyRefused, BlockNotFound, ViewTooBig, ViewNotSupported, PigmentRefused or
    AnswerNotUnderstood if Pigment does not return it, PigmentBusy if it does not now.
    """
    headers = {"User-Agent": http.USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}
    trust = _trust(os.environ.get("SSL_CERT_FILE"), os.environ.get("REQUESTS_CA_BUNDLE"))

    def attempt() -> T:
        timeout = httpx.Timeout(http.patience_s(deadline), connect=http.CONNECT_TIMEOUT_S)
        with (
            httpx.Client(http2=True, verify=trust, timeout=timeout, headers=headers) as client,
            contextlib.closing(_begin(client, request, settings, secrets, deadline)) as response,
        ):
            return read(ExportAnswer(response, deadline))

    return retry(attempt, deadline, chance, on=(PigmentBusy, _BrokenOff))


def request_for(source: bridge_yaml.ExportSource, date_format: str) -> ExportRequest:
    """Build the request for a source (Pigment's external API)."""
    if isinstance(source, bridge_yaml.ViewSource):
        # The newer address of views, under /api/v1, has no date format.
        parameters = {"dateFormat": date_format, "fieldDelimiter": _DELIMITERS[source.delimiter]}
        return ExportRequest("GET", f"/api/export/view/{source.view}", f"the view {source.view}", parameters)
    options = msgspec.to_builtins(source)
    kind = next(kind for kind in ("list", "metric", "table") if kind in options)
    block = options.pop(kind)
    for column in options.get("fields", []):
        # Required, and null for a column of scenarios (Pigment's external API, `ExportField`).
        column.setdefault("sourceId", None)
    options |= {"dateFormat": date_format, "fieldDelimiter": _DELIMITERS[source.delimiter]}
    return ExportRequest("POST", f"/api/v1/export/{kind}/{block}", f"the {kind} {block}", body=options)


@functools.cache
def _trust(_cert_file: str | None, bundle: str | None) -> ssl.SSLContext:
    """Load the certificate authorities once per process and file, which takes about 40 ms. The context of `requests` is
    not used: httpx would offer HTTP/2 in it, which `requests` does not support.
    """
    trust = ssl.create_default_context()
    if bundle:
        trust.load_verify_locations(bundle)
    return trust


def _begin(
    client: httpx.Client,
    request: ExportRequest,
    settings: bridge_yaml.PigmentSettings,
    secrets: Secrets,
    deadline: Deadline,
) -> httpx.Response:
    """Send one request; a 401 is retried if the secret now has a newer version."""
    key = secrets.read(settings.export_key)
    prepared = client.build_request(
        request.method, settings.url + request.path, params=request.parameters, json=request.body
    )
    try:
        response = client.send(prepared, auth=_Bearer(key.reveal()), stream=True)
    except Exception as error:
        # httpx lets errors of the packages beneath it through: of h2 after a GOAWAY, of httpcore for a connection that
        # another request uses up, ValueError for a status that is not a number. They have no base in common.
        raise PigmentBusy(f"Pigment cannot be reached: {http.kind_of(error)}.") from error
    if response.status_code == httpx.codes.OK:
        return _expect_csv(response)
    with contextlib.closing(response):
        is_refused = response.status_code == httpx.codes.UNAUTHORIZED
        if is_refused and secrets.read_again(settings.export_key, key) is not None:
            raise PigmentBusy("The Pigment key was replaced while it was in use.", retry_after_s=0)
        refused = PigmentRequest("export", request.what, settings.export_key)
        body, kind = beginning_of(response.iter_bytes()), response.headers.get("Content-Type", "")
        explanation, now = explanation_in(body, kind, [key.reveal()]), deadline.clock.now()
        raise error_of(refused, response.status_code, response.headers, explanation, key.reveal(), now)


class _Bearer(httpx.Auth):
    def __init__(self, key: str) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        request.headers["Authorization"] = f"Bearer {self._key}"
        yield request


def _expect_csv(response: httpx.Response) -> httpx.Response:
    """Refuse a web page; Pigment's exports never have that content type."""
    if "html" in response.headers.get("Content-Type", "").lower():
        response.close()
        raise AnswerNotUnderstood("The answer is a web page, not Pigment's export.")
    return response
