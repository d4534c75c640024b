"""Calls of the deployed function `looker_pull`, with the Google Cloud identity of this machine's user."""

import subprocess
from collections.abc import Callable

import msgspec
import requests

from common.platform import http
from common.platform.causes import cause_of
from common.platform.errors import ErrorReport, MalformedRequest, SettingMissing
from common.runs.receipts import Receipt
from looker_pull import PullCall

PullFunction = Callable[[PullCall], Receipt]
"The function `looker_pull`, on this machine or deployed."

_CALL_TIMEOUT_S = 3700
"A function on Cloud Run runs for an hour at most."


def deployed(url: str) -> PullFunction:
    """Return the function at an address. Over plain HTTP, it is called without an identity."""

    def call_function(call: PullCall) -> Receipt:
        headers = {} if url.startswith("http://") else {"Authorization": f"Bearer {_identity_token(url)}"}
        try:
            response = requests.post(
                url,
                data=msgspec.json.encode(call),
                headers=headers,
                timeout=(http.CONNECT_TIMEOUT_S, _CALL_TIMEOUT_S),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise _FunctionUnreachable(f"The function cannot be reached: {cause_of(error)}.") from error
        return _parse(response)

    return call_function


class _ErrorAnswer(msgspec.Struct, frozen=True):
    error: ErrorReport
    receipt: Receipt | None = None


class _FunctionUnreachable(MalformedRequest):
    next_step = (
        "Check the address (`terraform output function_uris`), and that you have the role roles/run.invoker on the "
        "function. Then start again: the backfill continues after the last window that landed."
    )


def _parse(response: requests.Response) -> Receipt:
    """Return the receipt in an answer.

    Raises:
        BridgeError: the answer is an error without a receipt.
    """
    try:
        if response.ok:
            return msgspec.json.decode(response.content, type=Receipt)
        answer = msgspec.json.decode(response.content, type=_ErrorAnswer)
    except msgspec.DecodeError:
        raise _FunctionUnreachable(
            f"The address answered {response.status_code}, but not in the format of the function."
        ) from None
    if answer.receipt is None:
        raise answer.error.kind(answer.error.message, next_step=answer.error.next_step)
    return msgspec.structs.replace(answer.receipt, error=answer.error)


def _identity_token(url: str) -> str:
    """Return a token of this machine's service account, or of the person who is logged in to gcloud."""
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415  # no other command needs it
    from google.auth.transport.requests import Request  # noqa: PLC0415
    from google.oauth2.id_token import fetch_id_token  # noqa: PLC0415

    try:
        return str(fetch_id_token(Request(), url))
    except GoogleAuthError:
        pass
    try:
        printed = subprocess.run(
            ["gcloud", "auth", "print-identity-token"],  # noqa: S607  # wherever it is installed
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    except (OSError, subprocess.SubprocessError):
        raise SettingMissing(
            "Nobody is logged in to Google Cloud on this machine.",
            next_step="Run `gcloud auth login`, then start again.",
        ) from None
    return printed.stdout.strip()
