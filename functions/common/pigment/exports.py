"""Pigment's export API: ask for a view or a block, and read the answer as it comes.

Over HTTP/2 wherever the server speaks it: "HTTP/1.0 and HTTP/1.1 don't have the mechanism to report streaming errors,
so if an error occurs during your API call, your response is truncated without error notification" (Pigment community,
"Export raw data from a Pigment Block"). `requests` knows HTTP/1.1 alone.
"""

import contextlib
import functools
import os
import random
import ssl
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec

from common import bridge_yaml
from common.platform import http
from common.platform.clock import Deadline
from common.platform.errors import (
    AnswerNotUnderstood,
    BlockNotFound,
    BridgeError,
    PigmentBusy,
    PigmentKeyRefused,
    PigmentRefused,
    StreamCut,
    ViewNotSupported,
    ViewTooBig,
)
from common.platform.retry import retry, retry_after_s
from common.platform.secrets import Secrets

_LATE = "Pigment was still sending rows when the time budget ended; nothing was published."
_DELIMITERS = {",": "Comma", ";": "Semicolon"}


class Question(msgspec.Struct, frozen=True):
    """A request to the export API."""

    method: str
    path: str
    what: str
    "In words: `the view 9b2c…`."
    parameters: dict[str, str] = {}
    body: dict[str, Any] | None = None


class ExportAnswer:
    """A file on its way."""

    def __init__(self, response: httpx.Response, deadline: Deadline) -> None:
        self._response = response
        self._deadline = deadline
        self._is_http2 = response.http_version == "HTTP/2"
        self.warnings: list[str] = []
        if not self._is_http2:
            self.warnings.append(
                f"Pigment answered over {response.http_version}, where it cuts a broken export short without a word: "
                "a cut at the end of a record would show only in guards.max_shrink."
            )

    @property
    def proves_its_end(self) -> bool:
        """Whether the last byte is known to be the last: by HTTP/2's end of stream, or by a length announced before."""
        return self._is_http2 or "Content-Length" in self._response.headers

    def blocks(self) -> Iterator[bytes]:
        """Its bytes, in blocks of about a megabyte.

        Raises:
            StreamCut: it ended before its end, or went silent.
            OutOfTime: the budget did.
        """
        if not self.proves_its_end and "chunked" not in self._response.headers.get("Transfer-Encoding", "").lower():
            raise StreamCut(
                "Pigment's answer announced no end, so that a cut could not be told from it.",
                next_step="Let the function reach Pigment without the proxy that takes the answer's framing away.",
            )
        try:
            # In its own pieces: httpx would make blocks of a size by growing them, which copies twice.
            yield from http.blocks_of(self._response.iter_bytes(), self._deadline, _LATE)
        except (httpx.TransportError, httpx.StreamError) as error:
            raise StreamCut(f"Pigment's answer broke off: {http.kind_of(error)}.") from error


@contextlib.contextmanager
def ask(
    question: Question, where: bridge_yaml.PigmentSettings, secrets: Secrets, deadline: Deadline, chance: random.Random
) -> Iterator[ExportAnswer]:
    """Begin an export.

    Raises:
        PigmentKeyRefused, BlockNotFound, ViewTooBig, ViewNotSupported, PigmentRefused, AnswerNotUnderstood: Pigment
            does not give it.
        PigmentBusy: not now.
    """
    timeout = httpx.Timeout(http.patience_s(deadline), connect=http.CONNECT_TIMEOUT_S)
    headers = {"User-Agent": http.USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}
    trust = _trust(os.environ.get("SSL_CERT_FILE"), os.environ.get("REQUESTS_CA_BUNDLE"))
    with httpx.Client(http2=True, verify=trust, timeout=timeout, headers=headers) as client:

        def begin() -> httpx.Response:
            return _begin(client, question, where, secrets, deadline)

        response = retry(begin, deadline, chance)
        with contextlib.closing(response):
            yield ExportAnswer(response, deadline)


def question_for(source: bridge_yaml.ExportSource, date_format: str) -> Question:
    """How Pigment is asked for a source (Pigment's external API)."""
    if isinstance(source, bridge_yaml.ViewSource):
        # The newer address of views, /api/v1, knows no date format.
        parameters = {"dateFormat": date_format, "fieldDelimiter": _DELIMITERS[source.delimiter]}
        return Question("GET", f"/api/export/view/{source.view}", f"the view {source.view}", parameters)
    options = msgspec.to_builtins(source)
    kind = next(kind for kind in ("list", "metric", "table") if kind in options)
    block = options.pop(kind)
    for column in options.get("fields", []):
        # Required, and null for a column of scenarios (Pigment's external API, `ExportField`).
        column.setdefault("sourceId", None)
    options |= {"dateFormat": date_format, "fieldDelimiter": _DELIMITERS[source.delimiter]}
    return Question("POST", f"/api/v1/export/{kind}/{block}", f"the {kind} {block}", body=options)


@functools.cache
def _trust(_cert_file: str | None, bundle: str | None) -> ssl.SSLContext:
    """Once per process and files: reading the authorities takes some 40 ms. Not the context of `requests`, which knows
    no HTTP/2 and would come to offer it.
    """
    trust = ssl.create_default_context()
    if bundle:
        trust.load_verify_locations(bundle)
    return trust


def _begin(
    client: httpx.Client, question: Question, where: bridge_yaml.PigmentSettings, secrets: Secrets, deadline: Deadline
) -> httpx.Response:
    """One request; a 401 is tried once more if the secret has a newer version by now."""
    key = secrets.read(where.export_key)
    try:
        request = client.build_request(
            question.method, where.url + question.path, params=question.parameters, json=question.body
        )
        response = client.send(request, auth=_Bearer(key.reveal()), stream=True)
    except httpx.TransportError as error:
        raise PigmentBusy(f"Pigment cannot be reached: {http.kind_of(error)}.") from error
    if response.status_code == httpx.codes.OK:
        return _expect_csv(response)
    with contextlib.closing(response):
        if response.status_code == httpx.codes.UNAUTHORIZED and secrets.read_again(where.export_key, key) is not None:
            raise PigmentBusy("The Pigment key was replaced while it was in use.", retry_after_s=0)
        raise _refusal(response, question, where.export_key, key.reveal(), deadline)


class _Bearer(httpx.Auth):
    def __init__(self, key: str) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        request.headers["Authorization"] = f"Bearer {self._key}"
        yield request


def _expect_csv(response: httpx.Response) -> httpx.Response:
    """The content type alone decides nothing but this: what calls itself a page is none of Pigment's files."""
    if "html" in response.headers.get("Content-Type", "").lower():
        response.close()
        raise AnswerNotUnderstood("A web page came in place of Pigment's export.")
    return response


def _refusal(response: httpx.Response, question: Question, key_name: str, key: str, deadline: Deadline) -> BridgeError:
    status = response.status_code
    if status == httpx.codes.UNAUTHORIZED:
        old = _OLD_KEY if key.count("-") == _DASHES_OF_AN_OLD_KEY else None
        return PigmentKeyRefused(f"Pigment answered 401 to the key in the secret {key_name}.", next_step=old)
    if status == httpx.codes.NOT_FOUND:
        return BlockNotFound(f"Pigment knows nothing of {question.what}, or the key's owner may not see it.")
    if status == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
        return ViewTooBig(f"Pigment says that {question.what} is too big to be exported.")
    if status == httpx.codes.UNPROCESSABLE_ENTITY:
        return ViewNotSupported(f"Pigment does not export {question.what}: it is of no list, metric or table.")
    said = f"Pigment answered {status} when asked for {question.what}. {_words_of(response, key)}".strip()
    if status in http.BUSY_STATUSES:
        return PigmentBusy(said, retry_after_s=retry_after_s(response.headers.get("Retry-After"), deadline.clock.now()))
    return PigmentRefused(said)


_DASHES_OF_AN_OLD_KEY = 4
_OLD_KEY = (
    "The key has the old format, with dashes, which exports do not take: make a new key with the scope Export in "
    "Pigment and add it as a new version of the secret."
)


def _words_of(response: httpx.Response, key: str) -> str:
    try:
        text = next(response.iter_bytes(4096), b"").decode("utf-8", "replace")
    except httpx.HTTPError:
        return ""
    return http.words_in(text, [key])
