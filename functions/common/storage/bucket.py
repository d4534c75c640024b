"""The bucket. All state that the bridge shares is stored there in objects, changed under a generation precondition.

Google's client retries an upload whose answer was lost, so a 412 can refer to our own first write. Before it is treated
as a conflict, the stored object is compared with what was to be written.
"""

import base64
import contextlib
import hashlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec
from google.api_core import exceptions as google_errors
from google.api_core.retry import Retry
from google.cloud.storage.retry import DEFAULT_RETRY

from common.platform.errors import StorageRefused
from common.storage.background import read_ahead
from common.storage.client import FirstAnswer, answered_at, note_date, open_client
from common.storage.metadata import fitting
from common.storage.objects import Dated, Described, ListedObject, Stale, Stored, StoredObject
from common.storage.refusals import storage_errors
from common.storage.writer import ObjectWriter, writing_to

CHUNK_BYTES = 4 * 1024 * 1024
"How much a stream keeps in memory; Cloud Storage requires multiples of 256 KiB."

PATIENCE_S = 40.0
"For how long a call of Google's client is repeated while Cloud Storage does not answer."

_TIMEOUT_S = 30.0

T = TypeVar("T")


class Bucket:
    """The bridge's bucket, or one of the user's. It can be used by several threads, like Google's client."""

    def __init__(
        self,
        name: str,
        client: Any = None,
        patience_s: float = PATIENCE_S,
        retry: Retry = DEFAULT_RETRY,
        first: FirstAnswer | None = None,
    ) -> None:
        self.name = name
        self._client = client or open_client()
        self._bucket = self._client.bucket(name)
        self.patience_s, self.retry = patience_s, retry
        self._first = first or FirstAnswer()
        hooks = self._client._http.hooks["response"]  # noqa: SLF001  # no public way leads to an answer's headers
        hooks += [note for note in (note_date, first and first.note) if note and note not in hooks]

    @property
    def _options(self) -> dict[str, Any]:
        """Of every call of Google's client."""
        patience_s = self._first.patience_s(self.patience_s)
        return {"timeout": min(_TIMEOUT_S, patience_s), "retry": self.retry.with_timeout(patience_s)}

    def beside(self, name: str) -> "Bucket":
        """Return another bucket, with the same client."""
        return Bucket(name, self._client, self.patience_s, self.retry, self._first)

    def with_patience(self, seconds: float) -> "Bucket":
        """Return the same bucket, whose calls give up after so many seconds if that is sooner."""
        return Bucket(self.name, self._client, min(seconds, self.patience_s), self.retry)

    def read_json(self, path: str, kind: type[T]) -> Stored[T] | None:
        """Return the object at a path, if there is one. Raises StorageRefused if the bridge did not write it."""
        blob = self._bucket.blob(path)
        with storage_errors(f"read {path}"):
            try:
                content = blob.download_as_bytes(**self._options)
            except google_errors.NotFound:
                # A missing bucket also answers 404.
                self._expect_bucket()
                return None
        try:
            return Stored(msgspec.json.decode(content, type=kind), int(blob.generation))
        except msgspec.DecodeError as error:
            message = f"The object {path} in {self.name} is not in the format that the bridge writes: {error}."
            raise StorageRefused(message) from None

    def read_dated(self, path: str, kind: type[T]) -> Dated[T] | None:
        """Return the object at a path and its age, if there is one. Raises as `read_json` does."""
        with storage_errors(f"look up {path}"):
            blob = self._bucket.get_blob(path, **self._options)
        if blob is None:
            return None
        age_s = _age_s(blob)
        stored = self.read_json(path, kind)
        if stored is None:
            return None
        # An object that was replaced between the two requests is new.
        return Dated(stored.value, stored.generation, age_s if stored.generation == blob.generation else 0.0)

    def write_json(
        self,
        path: str,
        value: object,
        *,
        over: int | None,
        in_one_line: bool = False,
        metadata: dict[str, str] | None = None,
    ) -> int:
        """Write an object and return its generation. Raises Stale if another writer was first.

        Args:
            over: the generation that it replaces; 0 if there must be no object; None to replace any.
            in_one_line: as BigQuery reads JSON; otherwise indented, for people.
        """
        encoded = msgspec.json.encode(value)
        content = encoded + b"\n" if in_one_line else msgspec.json.format(encoded, indent=1)
        blob = self._bucket.blob(path)
        if metadata:
            blob.metadata = fitting(metadata)
        with storage_errors(f"write {path}"):
            try:
                blob.upload_from_string(
                    content, content_type="application/json", if_generation_match=over, **self._options
                )
            except google_errors.PreconditionFailed:
                return self._own_generation(path, content)
        return int(blob.generation)

    def write_json_unless(self, path: str, value: T, is_kept: Callable[[T], bool], *, in_one_line: bool = False) -> T:
        """Write an object, unless there is one that `is_kept` accepts; return the object that is there now."""
        over = 0
        while True:
            try:
                self.write_json(path, value, over=over, in_one_line=in_one_line)
            except Stale:
                there = self.read_json(path, type(value))
                if there is not None and is_kept(there.value):
                    return there.value
                over = there.generation if there else 0
            else:
                return value

    def _own_generation(self, path: str, content: bytes) -> int:
        blob = self._bucket.blob(path)
        with contextlib.suppress(google_errors.NotFound):
            if blob.download_as_bytes(**self._options) == content:
                return int(blob.generation)
        raise Stale(path)

    def delete(self, path: str, *, generation: int | None = None) -> bool:
        """Delete an object if it still exists; return False if it has another generation and stays."""
        with storage_errors(f"delete {path}"), contextlib.suppress(google_errors.NotFound):
            try:
                self._bucket.blob(path).delete(if_generation_match=generation, **self._options)
            except google_errors.PreconditionFailed:
                return False
        return True

    def names(self, prefix: str, *, since: str | None = None) -> Iterator[str]:
        """Yield the names with a prefix, in order.

        Args:
            since: the first name; those that sort before it are left out.
        """
        with storage_errors(f"list {prefix}"):
            for blob in self._client.list_blobs(self._bucket, prefix=prefix, start_offset=since, **self._options):
                yield blob.name

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield the folders directly below one, in order, each with its whole path and a slash at the end."""
        options = {"prefix": prefix, "delimiter": "/", "fields": "prefixes,nextPageToken", **self._options}
        with storage_errors(f"list the folders of {prefix}"):
            for page in self._client.list_blobs(self._bucket, **options).pages:
                yield from sorted(page.prefixes)

    def entries(self, prefix: str, *, since: str | None = None) -> Iterator[ListedObject]:
        """Yield the objects with a prefix, in the order of their names.

        Args:
            since: the first name; those that sort before it are left out.
        """
        with storage_errors(f"list {prefix}"):
            for blob in self._client.list_blobs(self._bucket, prefix=prefix, start_offset=since, **self._options):
                yield ListedObject.of(blob)

    def page(
        self, prefix: str, size: int, *, since: str | None = None, before: str | None = None
    ) -> tuple[list[ListedObject], bool]:
        """Return the first objects with a prefix, at most 1,000, and whether there are no more of them.

        Args:
            since: the first name; those that sort before it are left out.
            before: the names from this one on are left out.
        """
        options = {"start_offset": since, "end_offset": before, "max_results": size, **self._options}
        with storage_errors(f"list {prefix}"):
            blobs = self._client.list_blobs(self._bucket, prefix=prefix, **options)
            return [ListedObject.of(blob) for blob in blobs], blobs.next_page_token is None

    def count(self, prefix: str, at_most: int) -> int:
        """Count the objects with a prefix, up to a number."""
        options = {"max_results": at_most, "fields": "items(name),nextPageToken", **self._options}
        with storage_errors(f"list {prefix}"):
            return sum(1 for _ in self._client.list_blobs(self._bucket, prefix=prefix, **options))

    def read(self, path: str) -> bytes:
        """Return an object's content. Raises StorageRefused if there is no such object."""
        with storage_errors(f"read {path}"):
            return bytes(self._bucket.blob(path).download_as_bytes(**self._options))

    def replace(self, path: str, content: bytes) -> None:
        """Write an object, whatever is there."""
        with storage_errors(f"write {path}"):
            self._bucket.blob(path).upload_from_string(
                content, content_type="application/octet-stream", **self._options
            )

    def put_page(self, path: str, content: bytes, metadata: dict[str, str], *, over: int) -> None:
        """Write a page that browsers show and do not keep. Raises Stale if another writer was first.

        Args:
            over: the generation that it replaces; 0 if there must be no object.
        """
        blob = self._bucket.blob(path)
        blob.metadata, blob.cache_control = fitting(metadata), "no-store"
        with storage_errors(f"write {path}"):
            try:
                blob.upload_from_string(
                    content, content_type="text/html; charset=utf-8", if_generation_match=over, **self._options
                )
            except google_errors.PreconditionFailed:
                self._own_generation(path, content)

    def age_s(self, path: str) -> float | None:
        """Return how long an object has been stored, by the clock of Cloud Storage alone; None if there is none."""
        with storage_errors(f"look up {path}"):
            blob = self._bucket.get_blob(path, **self._options)
        return None if blob is None else _age_s(blob)

    def exists(self, path: str) -> bool:
        with storage_errors(f"look up {path}"):
            return bool(self._bucket.blob(path).exists(**self._options))

    def create(self, path: str, content: bytes, metadata: dict[str, str], *, content_type: str) -> bool:
        """Write a new object; return False if the same object already exists. Raises Stale if another object exists."""
        blob = self._bucket.blob(path)
        blob.metadata = fitting(metadata)
        with storage_errors(f"write {path}"):
            try:
                blob.upload_from_string(content, content_type=content_type, if_generation_match=0, **self._options)
            except google_errors.PreconditionFailed:
                there = self._bucket.get_blob(path, **self._options)
                if there is None or there.md5_hash != base64.b64encode(hashlib.md5(content).digest()).decode():  # noqa: S324  # the digest that Cloud Storage stores
                    raise Stale(path) from None
                return False
        return True

    def copy_with(self, path: str, to_path: str, metadata: dict[str, str], described: Described | None = None) -> bool:
        """Copy an object to a new name with more metadata, unless there is a copy. Return False if it is missing.

        Args:
            described: the object's own metadata, if they are known.
        """
        source, target = self._bucket.blob(path), self._bucket.blob(to_path)
        with storage_errors(f"copy {path} to {to_path}"):
            try:
                if described is None:
                    source.reload(**self._options)
                    described = Described(source.metadata or {}, source.content_type)
                target.metadata = fitting({**described.metadata, **metadata})
                target.content_type = described.content_type or None
                _rewrite(source, target, self._options, over=0)
            except google_errors.PreconditionFailed:
                return True
            except google_errors.NotFound:
                return False
            return True

    def add_metadata(self, path: str, metadata: dict[str, str]) -> None:
        """Add metadata to an object. Raises StorageRefused if there is no such object."""
        blob = self._bucket.blob(path)
        blob.metadata = metadata
        with storage_errors(f"describe {path}"):
            blob.patch(**self._options)

    @contextlib.contextmanager
    def writing(
        self,
        path: str,
        metadata: dict[str, str] | None = None,
        *,
        content_type: str = "text/csv",
        chunk_bytes: int = CHUNK_BYTES,
    ) -> Iterator[ObjectWriter]:
        """Open a stream into a new object, which is created at the end, unless there was an exception or `discard`."""
        blob = self._bucket.blob(path)
        blob.metadata = fitting(metadata or {})
        with writing_to(blob, chunk_bytes, content_type=content_type, **self._options) as stream:
            yield stream

    def blocks(self, path: str) -> Iterator[bytes]:
        """Yield an object's content, one chunk at a time, and read the next one meanwhile. Raises StorageRefused if
        there is no such object.
        """
        chunks = self._chunks(path)
        first = next(chunks, b"")
        if first:
            # Some callers need only the beginning.
            yield first
        if len(first) == CHUNK_BYTES:
            # A short file needs no thread.
            yield from read_ahead(chunks)

    def _chunks(self, path: str) -> Iterator[bytes]:
        """Yield chunks up to the one that is not full; asking for another one would be a request in vain."""
        blob, position, length = self._bucket.blob(path), 0, CHUNK_BYTES
        while length == CHUNK_BYTES and (chunk := self._chunk(blob, position)):
            length = len(chunk)
            position += length
            yield chunk

    def _chunk(self, blob: Any, position: int) -> bytes:
        # In a single shot, Google's client takes a third of the time: it does not loop over pieces of 8 KiB. Cloud
        # Storage has a checksum of the whole object only.
        options = {"checksum": None, "single_shot_download": True, **self._options}
        with storage_errors(f"read {blob.name}"), contextlib.suppress(google_errors.RequestRangeNotSatisfiable):
            return bytes(blob.download_as_bytes(start=position, end=position + CHUNK_BYTES - 1, **options))
        return b""

    def find(self, path: str) -> StoredObject | None:
        """Return the current object of a name; None if there is none."""
        with storage_errors(f"look up {path}"):
            blob = self._bucket.get_blob(path, **self._options)
        return None if blob is None else StoredObject.of(blob)

    def publish(
        self, path: str, to: "Bucket", to_path: str, metadata: dict[str, str], content_type: str, *, over: int
    ) -> StoredObject:
        """Copy an object to its public name. A reader finds either the earlier object or the complete new one.

        Args:
            metadata: of the new object; that of the old one is not kept.
            over: the generation that it may replace, or 0 for no object; Stale is raised if the name has another.
        """
        target = to._bucket.blob(to_path)  # noqa: SLF001  # the same class
        stored = fitting(metadata)
        target.metadata, target.content_type = stored, content_type
        with storage_errors(f"publish {to.name}/{to_path}"):
            return self._replace(path, to, target, over=over, is_copy=lambda there: there.metadata == stored)

    def copy(self, path: str, to: "Bucket", to_path: str, *, over: int) -> None:
        """Copy an object to a name in another bucket, within Cloud Storage. Raises Stale if another writer was first.

        Args:
            over: the generation that it replaces; 0 if there must be no object.
        """
        target = to._bucket.blob(to_path)  # noqa: SLF001  # the same class
        with storage_errors(f"copy {path} to {to.name}/{to_path}"):
            self._replace(path, to, target, over=over, is_copy=lambda there: self._has_content_of(there, path))

    def _has_content_of(self, there: StoredObject, path: str) -> bool:
        copied = self.find(path)
        return copied is not None and copied.crc32c == there.crc32c

    def _replace(
        self, path: str, to: "Bucket", target: Any, *, over: int, is_copy: Callable[[StoredObject], bool]
    ) -> StoredObject:
        """Copy an object over one generation of a name, unless `is_copy` finds that an earlier request has done so."""
        try:
            _rewrite(self._bucket.blob(path), target, self._options, over=over)
        except google_errors.PreconditionFailed:
            there = to.find(target.name)
            if there is not None and is_copy(there):
                return there
            raise Stale(target.name) from None
        return StoredObject.of(target)

    def location(self) -> str:
        """Return where the bucket is, in capitals: `EUROPE-WEST1`, `EU`. The right to list its objects includes it."""
        with storage_errors(f"look up the bucket {self.name}"):
            return str(self._client.get_bucket(self.name, **self._options).location)

    def bindings(self) -> Iterator[tuple[str, frozenset[str]]]:
        """Yield the roles that are granted on the bucket, each with its members. Raises StorageRefused without the
        permission to see them.
        """
        with storage_errors(f"read the policy of {self.name}"):
            policy = self._bucket.get_iam_policy(requested_policy_version=3, **self._options)
        yield from ((binding["role"], frozenset(binding["members"])) for binding in policy.bindings)

    def _expect_bucket(self) -> None:
        # A listing needs only the permission on objects that the functions have.
        next(iter(self._client.list_blobs(self._bucket, max_results=1, **self._options)), None)


def _age_s(blob: Any) -> float:
    # The date of an answer has no fractions of a second: an object that was just written can be later.
    return max(0.0, float((answered_at() - blob.updated).total_seconds()))


def _rewrite(source: Any, target: Any, options: dict[str, Any], *, over: int | None) -> None:
    """Copy an object; a large one, or one in another location, needs several calls."""
    token, _, _ = target.rewrite(source, if_generation_match=over, **options)
    while token is not None:
        token, _, _ = target.rewrite(source, token=token, if_generation_match=over, **options)
