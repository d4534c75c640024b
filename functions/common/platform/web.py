"""The thin edge over HTTP: a request becomes a typed call, a receipt or an error becomes an answer."""

import contextvars
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

import flask
import msgspec
from werkzeug.datastructures import Headers

from common.platform import log
from common.platform.errors import BridgeError, MalformedRequest
from common.runs.receipts import ErrorReport, Receipt
from common.runs.run import as_bridge_error, status_of_receipt

_LONGEST_REQUEST_BYTES = 64 * 1024
_BLOCK_BYTES = 1024 * 1024
_LINE_END_EVERY_S = 30.0

C = TypeVar("C", bound=msgspec.Struct)


def answer(request: flask.Request, kind: type[C], act: Callable[[C, Headers], Receipt]) -> flask.Response:
    """Decode the call, act on it, answer with the receipt it ended in, or the error before it came to one."""
    log.begin(request.headers)
    try:
        receipt = act(_decode(request, kind), request.headers)
    except Exception as error:  # noqa: BLE001  # the edge: nothing may leave it but an answer
        return refusal(as_bridge_error(error))
    if receipt.error is None:
        return respond(receipt, status_of_receipt(receipt))
    return respond({"error": receipt.error, "receipt": receipt}, status_of_receipt(receipt), receipt.error)


def refusal(error: BridgeError, **more: Any) -> flask.Response:
    """An error that came before there was a receipt."""
    trouble = tell(error)
    return respond({"error": trouble, **more}, error.status, trouble)


def tell(error: BridgeError) -> ErrorReport:
    """Say in the log that a call was refused, and why."""
    trouble = ErrorReport.of(error)
    log.log.error("request refused", error=msgspec.structs.asdict(trouble))
    return trouble


def respond(value: Any, status: int, trouble: ErrorReport | None = None) -> flask.Response:
    response = flask.Response(msgspec.json.encode(value), status, mimetype="application/json")
    if trouble is not None and trouble.retry_after_s is not None:
        response.headers["Retry-After"] = str(max(1, round(trouble.retry_after_s)))
    return response


def respond_in_time(act: Callable[[], Any], line_end_every_s: float = _LINE_END_EVERY_S) -> flask.Response:
    """A 200 with the JSON of what `act` returns, and line ends until it does.

    A connection that is silent for minutes may be cut on its way; Looker's own hub keeps it alive like this
    (looker-open-source/actions, src/server/server.ts, `jsonKeepAlive`). `act` goes on to its end even if the caller
    leaves, and turns its errors into what it returns.
    """
    context = contextvars.copy_context()

    def lines() -> Iterator[bytes]:
        with ThreadPoolExecutor(1) as pool:
            outcome: Future[Any] = pool.submit(context.run, act)
            while wait([outcome], line_end_every_s).not_done:
                yield b"\n"
            yield msgspec.json.encode(outcome.result())

    return flask.Response(lines(), 200, mimetype="application/json")


def base_url(request: flask.Request) -> str:
    """The function's own address as its caller sees it: TLS ends before it, and a proxy may have a name of its own."""
    forwarded = {name: request.headers.get(f"X-Forwarded-{name}", "").partition(",")[0] for name in ("Proto", "Host")}
    scheme, host = forwarded["Proto"].strip() or request.scheme, forwarded["Host"].strip() or request.host
    return f"{scheme}://{host}{request.script_root}"


def read_body(request: flask.Request, longest_bytes: int) -> bytes | None:
    """The request's body, announced or not, in blocks; None where it is longer."""
    parts: list[bytes] = []
    left = longest_bytes + 1
    while left and (part := request.stream.read(min(left, _BLOCK_BYTES))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts) if left else None


def _decode(request: flask.Request, kind: type[C]) -> C:
    if request.method != "POST":
        raise MalformedRequest(f"{request.method} is not a method this function takes.")
    body = read_body(request, _LONGEST_REQUEST_BYTES)
    if body is None:
        raise MalformedRequest(f"The request is longer than {_LONGEST_REQUEST_BYTES} bytes.")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest(f"The request's body is not a call: {error}.") from None
