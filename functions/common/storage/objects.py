"""What is known of objects in a bucket."""

from datetime import UTC, datetime
from typing import Any, Generic, Self, TypeVar

import msgspec

_LONG_AGO = datetime.min.replace(tzinfo=UTC)

T = TypeVar("T")


class Stale(Exception):  # a signal between modules, which no user sees
    """The object does not have the expected generation: another writer was first."""


class Stored(msgspec.Struct, Generic[T], frozen=True):
    """The value of an object, and its generation when it was read or written."""

    value: T
    generation: int


class Dated(Stored[T], frozen=True):
    """A value, and how long it had been stored when it was read, by the clock of Cloud Storage alone."""

    age_s: float

    def left_s(self, lifetime_s: float) -> float:
        """Return how many seconds of a lifetime are left; 0 if it has ended."""
        return max(0.0, lifetime_s - self.age_s)


class ListedObject(msgspec.Struct, frozen=True):
    name: str
    size_bytes: int
    metadata: dict[str, str]
    content_type: str
    created_at: datetime
    generation: int

    @classmethod
    def of(cls, blob: Any) -> Self:
        created_at, generation = blob.time_created or _LONG_AGO, int(blob.generation or 0)
        return cls(blob.name, blob.size, blob.metadata or {}, blob.content_type or "", created_at, generation)


class Described(msgspec.Struct, frozen=True):
    """What is said of an object besides its content."""

    metadata: dict[str, str]
    content_type: str


class StoredObject(msgspec.Struct, frozen=True):
    """The current object of a name."""

    generation: int
    size_bytes: int
    crc32c: str
    "In the form that Cloud Storage uses: base64 of the big-endian bytes."
    metadata: dict[str, str]

    @classmethod
    def of(cls, blob: Any) -> Self:
        return cls(int(blob.generation), int(blob.size), blob.crc32c or "", dict(blob.metadata or {}))
