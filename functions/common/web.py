"""The thin edge over HTTP: a request becomes a typed call, a receipt or an error becomes an answer."""

from collections.abc import Callable
from typing import Any, TypeVar

import flask
import msgspec
from werkzeug.datastructures import Headers

from common import log
from common.errors import MalformedRequest
from common.receipts import Receipt, Trouble
from common.runs import as_bridge_error, status_of_receipt

_LONGEST_REQUEST_BYTES = 64 * 1024

C = TypeVar("C", bound=msgspec.Struct)


def answer(request: flask.Request, kind: type[C], act: Callable[[C, Headers], Receipt]) -> flask.Response:
    """Decode the call, act on it, answer with the receipt it ended in, or the error before it came to one."""
    log.begin(request.headers)
    try:
        receipt = act(_decode(request, kind), request.headers)
    except Exception as error:  # noqa: BLE001  # the edge: nothing may leave it but an answer
        bridge_error = as_bridge_error(error)
        trouble = Trouble.of(bridge_error)
        log.log.error("call refused", error=msgspec.structs.asdict(trouble))
        return _answer({"error": trouble}, bridge_error.status, trouble)
    if receipt.error is None:
        return _answer(receipt, status_of_receipt(receipt))
    return _answer({"error": receipt.error, "receipt": receipt}, status_of_receipt(receipt), receipt.error)


def _decode(request: flask.Request, kind: type[C]) -> C:
    if request.method != "POST":
        raise MalformedRequest(f"{request.method} is not a method this function takes.")
    body = request.stream.read(_LONGEST_REQUEST_BYTES + 1)
    if len(body) > _LONGEST_REQUEST_BYTES:
        raise MalformedRequest(f"The request is longer than {_LONGEST_REQUEST_BYTES} bytes.")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest(f"The request's body is not a call: {error}.") from None


def _answer(value: Any, status: int, trouble: Trouble | None = None) -> flask.Response:
    response = flask.Response(msgspec.json.encode(value), status, mimetype="application/json")
    if trouble is not None and trouble.retry_after_s is not None:
        response.headers["Retry-After"] = str(max(1, round(trouble.retry_after_s)))
    return response
