"""Map an answer of Pigment that refuses a request to the bridge's error, for imports and for exports.

Only 400, 413 and 422 to a push say something of the file: those are the statuses that Pigment describes for it. Any
other status, and every web page, comes from the environment: the same file can be accepted later.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

from common.platform import http
from common.platform.errors import (
    AnswerNotUnderstood,
    BlockNotFound,
    BridgeError,
    FileRefused,
    FileTooBig,
    ImportConfigurationNotFound,
    PigmentBusy,
    PigmentKeyRefused,
    PigmentRefused,
    ViewNotSupported,
    ViewTooBig,
)
from common.platform.explanations import Explanation
from common.platform.retry import retry_after_s

Purpose = Literal["push", "trigger", "read", "export"]

_HOUR_S = 3600.0
_DASHES_OF_AN_OLD_KEY = 4
_OLD_KEY = (
    "The key has the old format, with dashes, which exports do not accept: create a new key with the scope Export in "
    "Pigment and add it as a new version of the secret."
)


class PigmentRequest(msgspec.Struct, frozen=True):
    purpose: Purpose
    "`read` is any GET of the import and metadata API."
    what: str
    key_name: str


def error_of(
    request: PigmentRequest,
    status: int,
    headers: Mapping[str, str],
    explanation: Explanation,
    key: str,
    now: datetime,
) -> BridgeError:
    """Return the error for a status that is not 2xx.

    Args:
        headers: of the answer, case-insensitive; a date in `Retry-After` is compared with `now`.
        key: the key that was used; only its format matters.
    """
    said = f"Pigment answered {status} when asked for {request.what}. {explanation.words}".strip()
    if http.is_temporary(status):
        # 300 imports per configuration and hour: the hour never passes within one run.
        is_hourly = request.purpose != "export" and "per hour" in explanation.text
        return PigmentBusy(said, retry_after_s=_HOUR_S if is_hourly else retry_after_s(headers.get("Retry-After"), now))
    if status == http.TOO_LARGE and request.purpose == "push":
        return FileTooBig(said)
    if explanation.is_web_page:
        page = f"Pigment's address answered {status} with a web page when asked for {request.what}."
        return AnswerNotUnderstood(page)
    return _error_of_pigment(request, status, said, explanation, key)


def _error_of_pigment(  # noqa: PLR0911  # one return for each kind of refusal
    request: PigmentRequest, status: int, said: str, explanation: Explanation, key: str
) -> BridgeError:
    match status, request.purpose:
        case 401, purpose:
            is_old = purpose == "export" and key.count("-") == _DASHES_OF_AN_OLD_KEY
            cause = f"Pigment answered 401 to the key in the secret {request.key_name}."
            return PigmentKeyRefused(cause, next_step=_OLD_KEY if is_old else None)
        case 404, "export":
            return BlockNotFound(f"Pigment does not know {request.what}, or the key's owner may not see it.")
        case 404, _:
            return ImportConfigurationNotFound(f"Pigment does not know {request.what}.")
        case 413, "export":
            return ViewTooBig(f"Pigment answered 413: {request.what} is too big to be exported.")
        case 422, "export":
            return ViewNotSupported(f"Pigment does not export {request.what}: it is not of a list, metric or table.")
        # Pigment answers 400, not 413, to a file over its unpublished limit (external API, push/csv).
        case 400 | 422, "push":
            return FileTooBig(said) if "size limit" in explanation.text else FileRefused(said)
        case 400 | 413 | 422, _:
            return PigmentRefused(said)
        case _:
            return AnswerNotUnderstood(said)
