"""Pigment's export API: request a view or a block, and read the answer as a stream.

It uses HTTP/2 if the server supports it: "HTTP/1.0 and HTTP/1.1 don't have the mechanism to report streaming errors,
so if an error occurs during your API call, your response is truncated without error notification" (Pigment community,
"Export raw data from a Pigment Block"). `requests` supports only HTTP/1.1.
"""

import random
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec
import requests

from common import bridge_yaml
from common.pigment.refusals import PigmentRequest, error_of
from common.platform import http, http_stream
from common.platform.clock import Deadline
from common.platform.errors import AnswerNotUnderstood, PigmentBusy, StreamCut
from common.platform.explanations import beginning_of, explanation_in
from common.platform.http_stream import Answer, NotAnswered
from common.platform.retry import retry
from common.platform.secrets import Secret, Secrets

T = TypeVar("T")

_LATE = "Pigment was still sending rows when the time budget ended; nothing was published."
_BLOCK_BYTES = 256 * 1024
"A block and the copies that its check makes fit into the cache of a core, and come from memory that is freed at once."
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
    def __init__(self, response: Answer, deadline: Deadline) -> None:
        self._response = response
        self._deadline = deadline
        self.is_http2 = response.version == "HTTP/2"
        self.warnings: list[str] = []
        if not self.is_http2:
            silent = f"Pigment answered over {response.version}, where it truncates a failed export without an error"
            self.warnings.append(f"{silent}. Only guards.max_shrink detects a truncation at the end of a record.")

    @property
    def proves_its_end(self) -> bool:
        """Whether a truncation would be noticed: by HTTP/2's end of stream, or by a Content-Length."""
        return self.is_http2 or "Content-Length" in self._response.headers

    def blocks(self) -> Iterator[bytes]:
        """Yield blocks of about 256 KiB. Raises StreamCut if the answer ends too early or stops, OutOfTime if late,
        AnswerNotUnderstood if they are compressed.
        """
        http.expect_uncompressed(self._response.headers, "Pigment")
        if not self.proves_its_end and "chunked" not in self._response.headers.get("Transfer-Encoding", "").lower():
            next_step = "Connect the function to Pigment without the proxy that removes the answer's framing."
            cause = "Pigment's answer has no length and no chunks, so a truncated answer could not be detected."
            raise StreamCut(cause, next_step=next_step)
        yield from http.blocks_of(self._pieces(), self._deadline, _LATE, _BLOCK_BYTES)

    def stop(self) -> None:
        """End soon what another thread reads, although Pigment may be silent for minutes."""
        self._response.stop()

    def _pieces(self) -> Iterator[bytes]:
        try:
            yield from self._response.pieces()
        except NotAnswered as error:
            raise _BrokenOff(f"Pigment's answer broke off: {error}.") from error


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

    def attempt() -> T:
        key = secrets.read(settings.export_key)
        patience_s = http.patience_s(deadline)
        try:
            with http_stream.asking(*_prepared(request, settings.url, key), patience_s) as answer:
                _expect_csv(answer, request, settings.export_key, secrets, key, deadline)
                return read(ExportAnswer(answer, deadline))
        except NotAnswered as error:
            raise PigmentBusy(f"Pigment cannot be reached: {error}.") from error

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


def _prepared(request: ExportRequest, base: str, key: Secret) -> tuple[str, str, dict[str, str], bytes | None]:
    query = f"?{urllib.parse.urlencode(request.parameters)}" if request.parameters else ""
    # Without a compression: see `http.expect_uncompressed`.
    headers = {"User-Agent": http.USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}
    headers["Authorization"] = f"Bearer {key.reveal()}"
    if request.body is None:
        return request.method, base + request.path + query, headers, None
    headers["Content-Type"] = "application/json"
    return request.method, base + request.path + query, headers, msgspec.json.encode(request.body)


def _expect_csv(
    answer: Answer, request: ExportRequest, key_name: str, secrets: Secrets, key: Secret, deadline: Deadline
) -> None:
    """Refuse another status than 200, and a web page; Pigment's exports never have that content type."""
    kind = answer.headers.get("Content-Type", "")
    if answer.status == requests.codes.ok:
        if "html" in kind.lower():
            raise AnswerNotUnderstood("The answer is a web page, not Pigment's export.")
        return
    if answer.status == requests.codes.unauthorized and secrets.read_again(key_name, key) is not None:
        raise PigmentBusy("The Pigment key was replaced while it was in use.", retry_after_s=0)
    refused = PigmentRequest("export", request.what, key_name)
    explanation, now = explanation_in(beginning_of(answer.pieces()), kind, [key.reveal()]), deadline.clock.now()
    raise error_of(refused, answer.status, answer.headers, explanation, key.reveal(), now)
