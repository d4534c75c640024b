"""Map an answer of Pigment that refuses a request to the bridge's error, for imports and for exports."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

from common.platform import http
from common.platform.errors import (
    BlockNotFound,
    BridgeError,
    FileTooBig,
    ImportConfigurationNotFound,
    PigmentBusy,
    PigmentKeyRefused,
    PigmentRefused,
    ViewNotSupported,
    ViewTooBig,
)
from common.platform.retry import retry_after_s

_HOUR_S = 3600.0
_DASHES_OF_AN_OLD_KEY = 4
_OLD_KEY = (
    "The key has the old format, with dashes, which exports do not accept: create a new key with the scope Export in "
    "Pigment and add it as a new version of the secret."
)


class PigmentRequest(msgspec.Struct, frozen=True):
    purpose: Literal["import", "export"]
    what: str
    key_name: str


def error_of(  # noqa: PLR0911  # one return for each kind of refusal
    request: PigmentRequest, status: int, headers: Mapping[str, str], words: str, key: str, now: datetime
) -> BridgeError:
    """Return the error for a status that is not 2xx.

    Args:
        headers: of the answer, case-insensitive; a date in `Retry-After` is compared with `now`.
        words: Pigment's explanation, without secrets.
        key: the key that was used; only its format matters.
    """
    said = f"Pigment answered {status} when asked for {request.what}. {words}".strip()
    match status, request.purpose:
        case 401, purpose:
            is_old = purpose == "export" and key.count("-") == _DASHES_OF_AN_OLD_KEY
            cause = f"Pigment answered 401 to the key in the secret {request.key_name}."
            return PigmentKeyRefused(cause, next_step=_OLD_KEY if is_old else None)
        case 404, "import":
            return ImportConfigurationNotFound(f"Pigment does not know {request.what}.")
        case 404, "export":
            return BlockNotFound(f"Pigment does not know {request.what}, or the key's owner may not see it.")
        case 413, "export":
            return ViewTooBig(f"Pigment answered 413: {request.what} is too big to be exported.")
        case 422, "export":
            return ViewNotSupported(f"Pigment does not export {request.what}: it is not of a list, metric or table.")
        case 429, "import" if "per hour" in words:
            # 300 imports per configuration and hour: the hour never passes within one run.
            return PigmentBusy(said, retry_after_s=_HOUR_S)
        case busy, _ if busy in http.BUSY_STATUSES:
            return PigmentBusy(said, retry_after_s=retry_after_s(headers.get("Retry-After"), now))
        # Pigment answers 400, not 413, to a file over its unpublished limit (external API, push/csv).
        case 413, "import":
            return FileTooBig(said)
        case _, "import" if "size limit" in words.lower():
            return FileTooBig(said)
        case _:
            return PigmentRefused(said)
