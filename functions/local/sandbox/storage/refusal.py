"""Errors in the format of Google's JSON API."""

import errno
import sqlite3
from pathlib import Path

from local.sandbox.wire import Response

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"No space, no quota, or over the limit on the size of a file."


class StorageRefusal(Exception):
    """An answer with an error; `google.api_core` raises it in the bridge as an exception."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message

    def response(self) -> Response:
        error = {"message": self.message, "domain": "global", "reason": self.reason}
        return Response.of_json(
            {"error": {"code": self.status, "message": self.message, "errors": [error]}}, self.status
        )


def disk_failed(error: OSError | sqlite3.Error, folder: Path) -> StorageRefusal:
    """Return 507, which Google's client does not repeat, if the disk is full; otherwise 503."""
    if is_full(error):
        return StorageRefusal(507, "diskFull", full_disk(folder))
    return StorageRefusal(503, "backendError", f"The disk failed: {error}")


def full_disk(folder: Path) -> str:
    """Return what is said of a full disk."""
    return f"The disk with the folder {folder} is full or cannot be written."


def is_full(error: OSError | sqlite3.Error) -> bool:
    if isinstance(error, sqlite3.Error):
        # For a quota or a limit on the size of files, SQLite says that it cannot write.
        return error.sqlite_errorcode in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)
    return error.errno in _FULL


def no_such_bucket() -> StorageRefusal:
    return StorageRefusal(404, "notFound", "The specified bucket does not exist.")


def no_such_object(bucket: str, name: str) -> StorageRefusal:
    return StorageRefusal(404, "notFound", f"No such object: {bucket}/{name}")


def malformed(message: str) -> StorageRefusal:
    return StorageRefusal(400, "invalid", message)


def condition_not_met() -> StorageRefusal:
    return StorageRefusal(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")


def not_modified() -> StorageRefusal:
    return StorageRefusal(304, "notModified", "Not Modified")
