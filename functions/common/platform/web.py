"""HTTP: decode a request into a typed call, and encode a result or an error as the answer."""

import contextvars
import math
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import flask
import msgspec
from werkzeug.datastructures import Headers

from common.platform import log
from common.platform.body import body_of
from common.platform.clock import Deadline
from common.platform.errors import BridgeError, ErrorReport, MalformedRequest, as_bridge_error

SCHEDULE_TIME = "X-CloudScheduler-ScheduleTime"
"Cloud Scheduler's header: the time for which it makes a call, and each retry of that call."

_LONGEST_REQUEST_BYTES = 64 * 1024
_LINE_END_EVERY_S = 30.0

C = TypeVar("C", bound=msgspec.Struct)


class Result(Protocol):
    """The result of a call, such as a receipt, with the HTTP status of its answer."""

    @property
    def error(self) -> ErrorReport | None: ...

    @property
    def status(self) -> int: ...


def answer(
    request: flask.Request,
    deadline: Callable[[], Deadline],
    kind: type[C],
    act: Callable[[C, Headers], Result],
) -> flask.Response:
    """Decode the call, run it, and answer with its receipt, or with the error that prevented a receipt.

    Args:
        deadline: returns the deadline of this call. Raises SettingMissing.
    """
    log.begin(request.headers)
    try:
        result = act(_decode(request, kind, deadline()), request.headers)
    except Exception as error:  # noqa: BLE001  # the outermost handler: every request gets an answer
        return refuse(as_bridge_error(error))
    if result.error is None:
        return respond(result, result.status)
    return respond({"error": result.error, "receipt": result}, result.status, result.error)


def refuse(error: BridgeError, **more: Any) -> flask.Response:
    """Answer with an error that occurred before there was a receipt."""
    report = log_refusal(error)
    return respond({"error": report, **more}, error.status, report)


def log_refusal(error: BridgeError) -> ErrorReport:
    """Write to the log that a request was refused, and why."""
    report = ErrorReport.of(error)
    log.log.error("request refused", error=msgspec.structs.asdict(report))
    return report


def respond(value: Any, status: int, error: ErrorReport | None = None) -> flask.Response:
    response = flask.Response(msgspec.json.encode(value), status, mimetype="application/json")
    if error is not None and (wait_s := error.next_attempt_after_s) is not None:
        response.headers["Retry-After"] = str(max(1, math.ceil(wait_s)))
    return response


def respond_in_time(act: Callable[[], Any], line_end_every_s: float = _LINE_END_EVERY_S) -> flask.Response:
    """Answer 200 with the JSON of the result of `act`; send line ends until `act` returns.

    A proxy may close a connection that is silent for minutes. Looker's own hub keeps it open like this
    (looker-open-source/actions, src/server/server.ts, `jsonKeepAlive`). `act` runs to its end even if the caller
    disconnects, and returns its errors as part of its result.
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
    """Return the function's address as its caller sees it: a proxy terminates TLS and may have another host name."""
    forwarded = {name: request.headers.get(f"X-Forwarded-{name}", "").partition(",")[0] for name in ("Proto", "Host")}
    scheme, host = forwarded["Proto"].strip() or request.scheme, forwarded["Host"].strip() or request.host
    return f"{scheme}://{host}{request.script_root}"


def scheduled_at(headers: Headers) -> datetime | None:
    """Return the time for which Cloud Scheduler makes this call; None if somebody else makes it."""
    text = headers.get(SCHEDULE_TIME)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        log.log.warning("schedule time not understood", header=SCHEDULE_TIME, value=text)
        return None


def _decode(request: flask.Request, kind: type[C], deadline: Deadline) -> C:
    if request.method != "POST":
        raise MalformedRequest(f"This function does not accept {request.method}.")
    body = body_of(request).read(_LONGEST_REQUEST_BYTES, deadline)
    if body is None:
        raise MalformedRequest(f"The request is longer than {_LONGEST_REQUEST_BYTES} bytes.")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest(f"The request's body is not a valid call: {error}.") from None
