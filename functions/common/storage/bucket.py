"""The bucket. All state that the bridge shares is stored there in objects, changed under a generation precondition.

Google's client retries an upload whose answer was lost, so a 412 can refer to our own first write. Before it is treated
as a conflict, the stored object is compared with what was to be written.
"""

import base64
import contextlib
import email.utils
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import msgspec
import requests
from google.api_core import exceptions as google_errors
from google.api_core.retry import Retry
from google.auth import exceptions as auth_errors
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY

from common.platform import emulator
from common.platform.causes import cause_of, in_words
from common.platform.errors import DiskFull, StorageBusy, StorageRefused
from common.storage.background import read_ahead
from common.storage.metadata import fitting

CHUNK_BYTES = 4 * 1024 * 1024
"How much a stream keeps in memory; Cloud Storage requires multiples of 256 KiB."

PATIENCE_S = 40.0
"For how long a call of Google's client is repeated while Cloud Storage does not answer."

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_TIMEOUT_S = 30.0

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


class FirstAnswer:
    """Whether Cloud Storage has answered a client at all.

    The first connection of an instance in a network can take a minute or more (Google's documentation of Direct VPC
    egress), which is no reason to give up. Later ones are as fast as without a network.
    """

    def __init__(self, patience_s: float = 0) -> None:
        self._patience_s = patience_s
        self._has_come = False

    def note(self, _: requests.Response, **__: Any) -> None:
        self._has_come = True

    def patience_s(self, usual_s: float) -> float:
        """Return for how long a call is repeated now."""
        return usual_s if self._has_come else max(usual_s, self._patience_s)


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
        hooks += [note for note in (_note_date, first and first.note) if note and note not in hooks]

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
        with _google(f"read {path}"):
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
        with _google(f"look up {path}"):
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
        with _google(f"write {path}"):
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
        with _google(f"delete {path}"), contextlib.suppress(google_errors.NotFound):
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
        with _google(f"list {prefix}"):
            for blob in self._client.list_blobs(self._bucket, prefix=prefix, start_offset=since, **self._options):
                yield blob.name

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield the folders directly below one, in order, each with its whole path and a slash at the end."""
        options = {"prefix": prefix, "delimiter": "/", "fields": "prefixes,nextPageToken", **self._options}
        with _google(f"list the folders of {prefix}"):
            for page in self._client.list_blobs(self._bucket, **options).pages:
                yield from sorted(page.prefixes)

    def entries(self, prefix: str, *, since: str | None = None) -> Iterator[ListedObject]:
        """Yield the objects with a prefix, in the order of their names.

        Args:
            since: the first name; those that sort before it are left out.
        """
        with _google(f"list {prefix}"):
            for blob in self._client.list_blobs(self._bucket, prefix=prefix, start_offset=since, **self._options):
                yield _listed(blob)

    def page(
        self, prefix: str, size: int, *, since: str | None = None, before: str | None = None
    ) -> tuple[list[ListedObject], bool]:
        """Return the first objects with a prefix, at most 1,000, and whether there are no more of them.

        Args:
            since: the first name; those that sort before it are left out.
            before: the names from this one on are left out.
        """
        options = {"start_offset": since, "end_offset": before, "max_results": size, **self._options}
        with _google(f"list {prefix}"):
            blobs = self._client.list_blobs(self._bucket, prefix=prefix, **options)
            return [_listed(blob) for blob in blobs], blobs.next_page_token is None

    def count(self, prefix: str, at_most: int) -> int:
        """Count the objects with a prefix, up to a number."""
        options = {"max_results": at_most, "fields": "items(name),nextPageToken", **self._options}
        with _google(f"list {prefix}"):
            return sum(1 for _ in self._client.list_blobs(self._bucket, prefix=prefix, **options))

    def read(self, path: str) -> bytes:
        """Return an object's content. Raises StorageRefused if there is no such object."""
        with _google(f"read {path}"):
            return bytes(self._bucket.blob(path).download_as_bytes(**self._options))

    def replace(self, path: str, content: bytes) -> None:
        """Write an object, whatever is there."""
        with _google(f"write {path}"):
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
        with _google(f"write {path}"):
            try:
                blob.upload_from_string(
                    content, content_type="text/html; charset=utf-8", if_generation_match=over, **self._options
                )
            except google_errors.PreconditionFailed:
                self._own_generation(path, content)

    def age_s(self, path: str) -> float | None:
        """Return how long an object has been stored, by the clock of Cloud Storage alone; None if there is none."""
        with _google(f"look up {path}"):
            blob = self._bucket.get_blob(path, **self._options)
        return None if blob is None else _age_s(blob)

    def exists(self, path: str) -> bool:
        with _google(f"look up {path}"):
            return bool(self._bucket.blob(path).exists(**self._options))

    def create(self, path: str, content: bytes, metadata: dict[str, str], *, content_type: str) -> bool:
        """Write a new object; return False if the same object already exists. Raises Stale if another object exists."""
        blob = self._bucket.blob(path)
        blob.metadata = fitting(metadata)
        with _google(f"write {path}"):
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
        with _google(f"copy {path} to {to_path}"):
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
        with _google(f"describe {path}"):
            blob.patch(**self._options)

    @contextlib.contextmanager
    def writing(
        self,
        path: str,
        metadata: dict[str, str] | None = None,
        *,
        content_type: str = "text/csv",
        chunk_bytes: int = CHUNK_BYTES,
    ) -> Iterator["ObjectWriter"]:
        """Open a stream into a new object, which is created at the end, unless there was an exception or `discard`."""
        blob = self._bucket.blob(path)
        blob.metadata = fitting(metadata or {})
        options = {"chunk_size": chunk_bytes, "ignore_flush": True, "content_type": content_type, **self._options}
        with _google(f"write {path}"):
            writer = blob.open("wb", if_generation_match=0, **options)
        writer._buffer = _OneChunk()  # noqa: SLF001  # no public option changes it
        chunks = _WholeChunks(writer, chunk_bytes)
        stream = ObjectWriter(chunks, path)
        try:
            yield stream
            if stream.is_discarded:
                _abandon(writer)
                return
            with _google(f"write {path}"):
                chunks.close()
        except BaseException:
            _abandon(writer)
            raise

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
        with _google(f"read {blob.name}"), contextlib.suppress(google_errors.RequestRangeNotSatisfiable):
            return bytes(blob.download_as_bytes(start=position, end=position + CHUNK_BYTES - 1, **options))
        return b""

    def find(self, path: str) -> StoredObject | None:
        """Return the current object of a name; None if there is none."""
        with _google(f"look up {path}"):
            blob = self._bucket.get_blob(path, **self._options)
        return None if blob is None else _object(blob)

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
        with _google(f"publish {to.name}/{to_path}"):
            return self._replace(path, to, target, over=over, is_copy=lambda there: there.metadata == stored)

    def copy(self, path: str, to: "Bucket", to_path: str, *, over: int) -> None:
        """Copy an object to a name in another bucket, within Cloud Storage. Raises Stale if another writer was first.

        Args:
            over: the generation that it replaces; 0 if there must be no object.
        """
        target = to._bucket.blob(to_path)  # noqa: SLF001  # the same class
        with _google(f"copy {path} to {to.name}/{to_path}"):
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
        return _object(target)

    def location(self) -> str:
        """Return where the bucket is, in capitals: `EUROPE-WEST1`, `EU`. The right to list its objects includes it."""
        with _google(f"look up the bucket {self.name}"):
            return str(self._client.get_bucket(self.name, **self._options).location)

    def bindings(self) -> Iterator[tuple[str, frozenset[str]]]:
        """Yield the roles that are granted on the bucket, each with its members. Raises StorageRefused without the
        permission to see them.
        """
        with _google(f"read the policy of {self.name}"):
            policy = self._bucket.get_iam_policy(requested_policy_version=3, **self._options)
        yield from ((binding["role"], frozenset(binding["members"])) for binding in policy.bindings)

    def _expect_bucket(self) -> None:
        # A listing needs only the permission on objects that the functions have.
        next(iter(self._client.list_blobs(self._bucket, max_results=1, **self._options)), None)


_answers = threading.local()


def _note_date(response: requests.Response, **_: Any) -> None:
    _answers.date = response.headers.get("Date")


def _answered_at() -> datetime:
    """Return when Cloud Storage sent its last answer to this thread, by its own clock and in whole seconds."""
    try:
        return email.utils.parsedate_to_datetime(_answers.date)
    except (AttributeError, TypeError, ValueError):
        raise StorageRefused("Cloud Storage's answer does not say when it was sent.") from None


def _age_s(blob: Any) -> float:
    # The date of an answer has no fractions of a second: an object that was just written can be later.
    return max(0.0, float((_answered_at() - blob.updated).total_seconds()))


def open_client() -> Any:
    """Return Google's client; `STORAGE_EMULATOR_HOST` connects it to an emulator."""
    with _google("open a client"):
        if emulator.has_storage():
            project = os.environ.get("GOOGLE_CLOUD_PROJECT", "local")
            client = storage.Client(project=project, credentials=emulator.credentials())
        else:
            client = storage.Client()
    # For traces, which the bridge does not use, it looks up the bucket on a thread of its own, at first and after each
    # object that is missing. No public option turns off both.
    client._bucket_metadata_cache = None  # noqa: SLF001
    return client


class ObjectWriter:
    """A blob's writer that raises the bridge's errors."""

    is_discarded = False
    "Whether it creates no object."

    def __init__(self, stream: Any, path: str) -> None:
        self._stream, self._path = stream, path

    def write(self, content: bytes) -> int:
        with _google(f"write {self._path}"):
            return int(self._stream.write(content))

    def discard(self) -> None:
        """Create no object of what was written."""
        self.is_discarded = True


class _OneChunk:
    """The buffer of Google's writer, with one chunk at a time. Its own one copies each chunk several times, which takes
    longer than to send it.
    """

    def __init__(self) -> None:
        self.closed = False
        self._chunk = b""
        self._position = 0

    def write(self, chunk: bytes) -> int:
        self._chunk = chunk
        return len(chunk)

    def read(self, _size: int) -> bytes:
        chunk, self._chunk = self._chunk, b""
        self._position += len(chunk)
        return chunk

    def tell(self) -> int:
        return self._position

    def __len__(self) -> int:
        return len(self._chunk)

    def flush(self) -> None:
        """What was read is no longer kept."""

    def close(self) -> None:
        self.closed, self._chunk = True, b""


class _WholeChunks:
    """Gives Google's writer one whole chunk at a time."""

    def __init__(self, writer: Any, chunk_bytes: int) -> None:
        self._writer = writer
        self._chunk_bytes = self._missing_bytes = chunk_bytes
        self._parts: list[bytes | memoryview] = []

    def write(self, content: bytes) -> int:
        rest = memoryview(content)
        while len(rest) >= self._missing_bytes:
            self._parts.append(rest[: self._missing_bytes])
            rest = rest[self._missing_bytes :]
            self._send()
        if rest:
            self._parts.append(rest)
            self._missing_bytes -= len(rest)
        return len(content)

    def close(self) -> None:
        self._send()
        self._writer.close()

    def _send(self) -> None:
        chunk, self._parts, self._missing_bytes = b"".join(self._parts), [], self._chunk_bytes
        self._writer.write(chunk)


def _abandon(writer: Any) -> None:
    """Never finalise an upload; its session expires within a week.

    Python closes a writer that is left open when it deletes it. Google's writer then uploads the rest, and creates an
    object that may be incomplete.
    """
    with contextlib.suppress(Exception):
        writer.terminate()
    writer._buffer.close()  # noqa: SLF001  # `terminate` leaves it open if Cloud Storage does not answer


def _rewrite(source: Any, target: Any, options: dict[str, Any], *, over: int | None) -> None:
    """Copy an object; a large one, or one in another location, needs several calls."""
    token, _, _ = target.rewrite(source, if_generation_match=over, **options)
    while token is not None:
        token, _, _ = target.rewrite(source, token=token, if_generation_match=over, **options)


def _listed(blob: Any) -> ListedObject:
    created_at = blob.time_created or _LONG_AGO
    generation = int(blob.generation or 0)
    return ListedObject(blob.name, blob.size, blob.metadata or {}, blob.content_type or "", created_at, generation)


def _object(blob: Any) -> StoredObject:
    return StoredObject(int(blob.generation), int(blob.size), blob.crc32c or "", dict(blob.metadata or {}))


@contextlib.contextmanager
def _google(doing: str) -> Iterator[None]:
    """Convert the errors of Google's client and of its libraries."""
    try:
        yield
    except InvalidResponse as error:
        status = error.response.status_code
        _expect_space(error.response)
        is_busy = status == requests.codes.too_many_requests or status >= requests.codes.server_error
        kind = StorageBusy if is_busy else StorageRefused
        raise kind(f"Cloud Storage answered {status} when asked to {doing}.") from error
    except DataCorruption as error:
        raise StorageBusy(f"The transferred data did not match its checksum when asked to {doing}.") from error
    except (google_errors.ServerError, google_errors.TooManyRequests, google_errors.RetryError) as error:
        raise StorageBusy(f"Cloud Storage could not {doing}: {_cause(error)}.") from error
    except google_errors.GoogleAPIError as error:
        _expect_space(getattr(error, "response", None))
        raise StorageRefused(f"Cloud Storage refused to {doing}: {_cause(error)}.") from error
    except auth_errors.TransportError as error:
        raise StorageBusy(f"Google's sign-in service could not be reached to {doing}.") from error
    except auth_errors.GoogleAuthError as error:
        raise StorageRefused(f"There are no usable Google credentials to {doing}: {cause_of(error)}.") from error
    except (requests.RequestException, ConnectionError) as error:
        raise StorageBusy(f"Cloud Storage could not be reached to {doing}: {cause_of(error)}.") from error


def _cause(error: google_errors.GoogleAPIError) -> str:
    last = error.cause if isinstance(error, google_errors.RetryError) else error
    # What caused an answer's error says only that the answer was not the expected one.
    return in_words(type(last).__name__) if isinstance(last, google_errors.GoogleAPICallError) else cause_of(error)


def _expect_space(answer: requests.Response | None) -> None:
    """Raise DiskFull if the storage of a bridge on this machine says so; Cloud Storage never answers 507."""
    if answer is not None and answer.status_code == requests.codes.insufficient_storage:
        raise DiskFull(str(answer.json()["error"]["message"])) from None
