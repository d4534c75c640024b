"""The bulk load of an incremental pull, driven call by call: the function lands the windows, and keeps how far it is.

What was landed stays landed: stopped at any time, the next start goes on from there.
"""

import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime

import msgspec
import requests

from common.loads import positions
from common.platform import http
from common.platform.errors import ErrorReport, Internal, MalformedRequest, SettingMissing, code_of, every_error
from common.runs.receipts import Progress, Receipt
from looker_pull import PullCall

Function = Callable[[PullCall], Receipt]
"The function `looker_pull`, wherever it runs."

_SHOWN_EVERY_S = 15.0
"About how long one call should take, so that somebody who watches sees it move."
_MOST_WINDOWS = 50
_PATIENCE = 10
"How often in a row a busy vendor, or another run, is waited for."
_LONGEST_CALL_S = 3700
"A function on Cloud Run may take an hour."


class Landed(msgspec.Struct, frozen=True):
    """What one call has landed, and how far that is."""

    receipt: Receipt
    progress: Progress
    rows: int
    "Read so far, in all calls."


def drive(function: Function, call: PullCall, wait: Callable[[float], None] = time.sleep) -> Iterator[Landed | Receipt]:
    """Call until everything has landed; a receipt alone is one that has not, and the last.

    Args:
        call: the job, and `from` and `to` where only a stretch is to be loaded again.
    """
    rows, most, patience = 0, 1, _PATIENCE
    while True:
        began_s = time.monotonic()
        receipt = function(msgspec.structs.replace(call, windows=most))
        progress = receipt.progress if isinstance(receipt.progress, Progress) else None
        if progress is not None:
            rows += progress.rows.read or 0
            yield Landed(receipt, progress, rows)
            if progress.done:
                return
            each_s = (time.monotonic() - began_s) / max(1, progress.windows)
            most = min(_MOST_WINDOWS, max(1, int(_SHOWN_EVERY_S / max(each_s, 0.01))))
            patience = _PATIENCE
        wait_s = _wait_s(receipt)
        if wait_s is None or not patience:
            yield receipt
            return
        if wait_s:
            patience -= 1
            wait(wait_s)


def foresee(function: Function, call: PullCall) -> Iterator[Receipt]:
    """Every window with its rows, read and checked and not sent."""
    begin: str | int | None = call.from_
    end: str | int | None = call.to
    while True:
        receipt = function(msgspec.structs.replace(call, preview=True, from_=begin, to=end, windows=1))
        yield receipt
        progress = receipt.progress
        if receipt.error or not isinstance(progress, Progress) or progress.done:
            return
        begin, end = progress.reached, progress.until


def share(progress: Progress, since: str) -> float:
    """How much of the way from where it began is done, 0 to 1."""
    begin, reached, until = (_number(text) for text in (since, progress.reached, progress.until))
    return 1.0 if until <= begin else min(1.0, max(0.0, (reached - begin) / (until - begin)))


def deployed(url: str) -> Function:
    """The function at an address, called as whoever is logged in to Google Cloud here."""

    def ask(call: PullCall) -> Receipt:
        headers = {} if url.startswith("http://") else {"Authorization": f"Bearer {_identity_token(url)}"}
        body = msgspec.json.encode(call)
        try:
            response = requests.post(
                url,
                data=body,
                headers=headers,
                timeout=(http.CONNECT_TIMEOUT_S, _LONGEST_CALL_S),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise _NoAnswer(f"The function cannot be reached: {http.kind_of(error)}.") from error
        return _receipt_in(response)

    return ask


class _Answer(msgspec.Struct, frozen=True):
    error: ErrorReport
    receipt: Receipt | None = None


class _NoAnswer(MalformedRequest):
    next_step = (
        "Check the address (`terraform output`), and that you may call the function: roles/run.invoker on it. What has "
        "landed stays landed: start again, and it goes on."
    )


def _receipt_in(response: requests.Response) -> Receipt:
    try:
        if response.ok:
            return msgspec.json.decode(response.content, type=Receipt)
        answer = msgspec.json.decode(response.content, type=_Answer)
    except msgspec.DecodeError:
        raise _NoAnswer(f"The address answered {response.status_code}, and not as the function does.") from None
    if answer.receipt is None:
        kind = next((kind for kind in every_error() if code_of(kind) == answer.error.code), Internal)
        raise kind(answer.error.message, next_step=answer.error.next_step)
    return msgspec.structs.replace(answer.receipt, error=answer.error)


def _identity_token(url: str) -> str:
    """Of the service account this runs as, else of the person who is logged in to gcloud."""
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415  # no other command needs it
    from google.auth.transport.requests import Request  # noqa: PLC0415
    from google.oauth2.id_token import fetch_id_token  # noqa: PLC0415

    try:
        return str(fetch_id_token(Request(), url))
    except GoogleAuthError:
        pass
    try:
        shown = subprocess.run(
            ["gcloud", "auth", "print-identity-token"],  # noqa: S607  # wherever it was installed
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    except (OSError, subprocess.SubprocessError):
        raise SettingMissing(
            "Nobody is logged in to Google Cloud here.", next_step="Run `gcloud auth login`, then start again."
        ) from None
    return shown.stdout.strip()


def _wait_s(receipt: Receipt) -> float | None:
    """How long to wait before the next call; None where calling again is no use."""
    if receipt.outcome == "importing":
        return 5.0
    if receipt.error is None:
        return 0.0
    if receipt.error.code == "configuration_occupied":
        return 30.0
    return receipt.error.retry_after_s


def _number(text: str) -> float:
    position = positions.parse_value(text)
    return position.timestamp() if isinstance(position, datetime) else float(position)
