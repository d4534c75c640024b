"""Objects of a bucket: new objects, stored versions, and notices of a write."""

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Self

from local.sandbox.storage.conditions import Conditions
from local.sandbox.storage.refusal import malformed

_WRITABLE = (
    "cacheControl",
    "contentDisposition",
    "contentEncoding",
    "contentLanguage",
    "contentType",
    "contexts",
    "customTime",
    "metadata",
    "storageClass",
)
"The fields that a client can write."

_OF_CONTENT = ("size", "crc32c", "md5Hash", "componentCount")
"The fields that describe the content."

_LONGEST_NAME_BYTES = 1024

# https://docs.cloud.google.com/storage/docs/reference/rpc/google.storage.v1, ServiceConstants.Values
_LONGEST_KEY_BYTES = 1024
_LONGEST_VALUE_BYTES = 4 * 1024
_LONGEST_METADATA_BYTES = 8 * 1024


@dataclasses.dataclass(frozen=True)
class NewObject:
    """An object that a client wants to write."""

    bucket: str
    name: str
    fields: Mapping[str, Any]
    conditions: Conditions

    @classmethod
    def from_json(cls, text: str) -> Self:
        values = json.loads(text)
        return cls(**{**values, "conditions": Conditions(**values["conditions"])})

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    def check(self, current: "Version | None") -> None:
        """Check that the object can replace the current version. Raises StorageRefusal 400 or 412."""
        # https://cloud.google.com/storage/docs/objects#naming
        try:
            size = len(self.name.encode())
        except UnicodeEncodeError:
            size = 0
        if not 0 < size <= _LONGEST_NAME_BYTES or {"\r", "\n"} & set(self.name) or self.name in (".", ".."):
            raise malformed("The specified object name is not valid.")
        if self.name.startswith(".well-known/acme-challenge/"):
            raise malformed("The specified object name is not valid.")
        check_metadata(self.fields)
        if current is None:
            self.conditions.check(0, 0)
        else:
            current.check(self.conditions)


@dataclasses.dataclass(frozen=True)
class Version:
    """One generation of an object."""

    bucket: str
    name: str
    generation: int
    resource: Mapping[str, Any]
    "The API's resource, without the fields that derive from those above."

    @classmethod
    def first(cls, announced: NewObject, content: Mapping[str, Any], generation: int, now: str) -> Self:
        resource = {
            "contentType": "application/octet-stream",
            "storageClass": "STANDARD",
            **writable_fields(announced.fields),
            **content,
            "metageneration": "1",
            "timeCreated": now,
            "timeStorageClassUpdated": now,
            "updated": now,
        }
        return cls(announced.bucket, announced.name, generation, resource)

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @property
    def metageneration(self) -> int:
        return int(self.resource["metageneration"])

    @property
    def size(self) -> int:
        return int(self.resource["size"])

    @property
    def etag(self) -> str:
        return f"{self.generation:x}/{self.metageneration:x}"

    @property
    def fields(self) -> dict[str, Any]:
        """The fields that its client wrote."""
        return writable_fields(self.resource)

    @property
    def content(self) -> dict[str, Any]:
        """The fields that describe its content."""
        return {field: self.resource[field] for field in _OF_CONTENT if field in self.resource}

    def check(self, conditions: Conditions) -> None:
        conditions.check(self.generation, self.metageneration)

    def check_reading(self, conditions: Conditions) -> None:
        conditions.check_reading(self.generation, self.metageneration)

    def described(self, fields: Mapping[str, Any], now: str) -> Self:
        """Return the version with other metadata."""
        kept = {key: value for key, value in self.resource.items() if key not in _WRITABLE}
        changed = {"metageneration": str(self.metageneration + 1), "updated": now}
        return dataclasses.replace(
            self, resource={"storageClass": "STANDARD", **kept, **writable_fields(fields), **changed}
        )


@dataclasses.dataclass(frozen=True)
class Notice:
    """A notification that an object was written."""

    bucket: str
    name: str
    generation: int
    size: int
    metadata: Mapping[str, str]

    @classmethod
    def of(cls, version: Version) -> Self:
        metadata = dict(version.resource.get("metadata") or {})
        return cls(version.bucket, version.name, version.generation, version.size, metadata)


def writable_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {field: fields[field] for field in _WRITABLE if fields.get(field) is not None}


def check_metadata(fields: Mapping[str, Any]) -> None:
    """Check the limits of custom metadata. Raises StorageRefusal 400, in words that Google does not document."""
    metadata = fields.get("metadata") or {}
    try:
        sizes = [(len(key.encode()), len(str(value).encode())) for key, value in metadata.items() if value is not None]
    except UnicodeEncodeError:
        raise malformed("The metadata is not valid Unicode.") from None
    is_too_long = any(key > _LONGEST_KEY_BYTES or value > _LONGEST_VALUE_BYTES for key, value in sizes)
    if is_too_long or sum(map(sum, sizes)) > _LONGEST_METADATA_BYTES:
        raise malformed("The metadata of the object is too large.")


def merge(old: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Merge a change as PATCH does: null removes, objects are merged, all else is replaced (RFC 7396)."""
    result = dict(old)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = merge(old[key] if isinstance(old.get(key), dict) else {}, value)
        else:
            result[key] = value
    return result


def timestamp(seconds: float) -> str:
    """Format seconds since 1970 as the API does."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
