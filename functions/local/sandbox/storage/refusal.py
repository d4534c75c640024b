"""Errors in the format of Google's JSON API."""

from local.sandbox.wire import Response


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
