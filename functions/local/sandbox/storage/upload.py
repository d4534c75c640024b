"""The three kinds of upload: content only, metadata and content in one body, and a resumable session."""

import dataclasses
import re
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from email.message import Message
from typing import Any

from local.sandbox.storage.conditions import Conditions, json_object
from local.sandbox.storage.disk import Disk
from local.sandbox.storage.draft import Draft
from local.sandbox.storage.object import NewObject, Version
from local.sandbox.storage.refusal import StorageRefusal, disk_failed, malformed
from local.sandbox.wire import Body, Request

_BLOCK_BYTES = 256 * 1024


class RelatedParts:
    """A `multipart/related` body of metadata and content (RFC 2387), read as a stream.

    Cloud Storage also reads one with bare line feeds, as gcsfs sends it.
    """

    def __init__(self, body: Body, content_type: str) -> None:
        header = Message()
        header["Content-Type"] = content_type
        boundary = header.get_param("boundary")
        if not isinstance(boundary, str):
            raise malformed("A multipart body needs a boundary.")
        self._boundary = b"--" + boundary.encode()
        self._body = body
        self._held = b""
        self._line_end = b"\r\n"

    def read_description(self) -> dict[str, Any]:
        """Return the JSON object of the first part; the type of the second part is the default content type."""
        # The first delimiter is at the very start, without the line break that precedes the others.
        self._read_until(self._boundary)
        self._line_end = self._read_until(b"\n") + b"\n"
        self._held = self._line_end + self._held
        self._read_until(2 * self._line_end)
        described = json_object(self._read_until(self._delimiter))
        header = self._read_until(2 * self._line_end).decode("latin-1")
        content_type = re.search(r"(?im)^content-type:\s*(.+?)\s*$", header)
        return ({"contentType": content_type.group(1)} if content_type else {}) | described

    def content(self) -> Iterator[bytes]:
        return self._blocks_until(self._delimiter)

    @property
    def _delimiter(self) -> bytes:
        return self._line_end + self._boundary

    def _read_until(self, mark: bytes) -> bytes:
        return b"".join(self._blocks_until(mark))

    def _blocks_until(self, mark: bytes) -> Iterator[bytes]:
        while (at := self._held.find(mark)) < 0:
            # The mark may begin in the last bytes of the buffer.
            ready = max(len(self._held) - len(mark) + 1, 0)
            if ready:
                yield self._held[:ready]
            block = self._body.read(_BLOCK_BYTES)
            if not block:
                raise malformed("The multipart body ends too early.")
            self._held = self._held[ready:] + block
        content, self._held = self._held[:at], self._held[at + len(mark) :]
        yield content


def upload_in_one_request(disk: Disk, request: Request, bucket: str) -> Version:
    """Store an upload with `uploadType=media` or `uploadType=multipart`."""
    if request.argument("uploadType") == "multipart":
        parts = RelatedParts(request.body, request.headers.get("Content-Type", ""))
        described, blocks = parts.read_description(), parts.content()
    else:
        content_type = request.headers.get("Content-Type")
        described, blocks = {"contentType": content_type} if content_type else {}, request.body.blocks()
    announced = _new_object(request, bucket, described)
    with disk.drafting() as draft:
        draft.append(blocks)
        _check_sums(draft, announced, request.headers)
        return disk.publish(draft.path, draft.content, announced)


@dataclasses.dataclass(frozen=True)
class UploadProgress:
    """The progress of an upload."""

    received_bytes: int
    version: Version | None = None
    "The object, if the upload is complete."
    is_new: bool = False
    "Whether this request wrote the object."


class Sessions:
    """Resumable uploads: https://cloud.google.com/storage/docs/performing-resumable-uploads"""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._open: dict[str, _Session] = {}
        self._lost: dict[str, OSError] = {}
        "Sessions whose content did not fit on the disk."

    def begin(self, request: Request, bucket: str) -> str:
        """Create a session and return its ID. Errors of the final write are reported here, before the upload."""
        described = json_object(request.body.read())
        if content_type := request.headers.get("X-Upload-Content-Type"):
            described.setdefault("contentType", content_type)
        announced = _new_object(request, bucket, described)
        self._disk.check(announced)
        identity = secrets.token_hex(16)
        with self._disk.lock, self._disk.database as database:
            database.execute("INSERT INTO uploads VALUES (?, ?, ?, NULL)", (identity, time.time(), announced.to_json()))
        return identity

    def receive(self, identity: str, request: Request) -> UploadProgress:
        """Receive the next bytes, or none if the client asks for the progress."""
        session = self._session(identity)
        with session.lock:
            if session.result:
                return UploadProgress(session.draft.size, session.result)
            if self._open.get(identity) is not session:
                raise _no_such_session()
            try:
                whole = session.take(request)
            except ConnectionError:
                raise
            except OSError as error:
                self.cancel(identity)
                self._lost[identity] = error
                raise
            if not whole:
                return UploadProgress(session.draft.size)
            return UploadProgress(session.draft.size, self._finish(identity, session, request), is_new=True)

    def cancel(self, identity: str) -> None:
        session = self._session(identity)
        self._end(identity)
        session.draft.discard()

    def _finish(self, identity: str, session: "_Session", request: Request) -> Version:
        try:
            _check_sums(session.draft, session.announced, request.headers)
            draft = session.draft
            session.result = self._disk.publish(draft.path, draft.content, session.announced, upload=identity)
        except StorageRefusal:
            self.cancel(identity)
            raise
        self._open.pop(identity, None)
        return session.result

    def _end(self, identity: str) -> None:
        with self._disk.lock, self._disk.database as database:
            database.execute("DELETE FROM uploads WHERE id = ?", (identity,))
            self._open.pop(identity, None)

    def _session(self, identity: str) -> "_Session":
        with self._disk.lock:
            if identity in self._lost:
                raise disk_failed(self._lost[identity], self._disk.folder)
            if identity not in self._open:
                row = self._disk.database.execute(
                    "SELECT announced, result FROM uploads WHERE id = ?", (identity,)
                ).fetchone()
                if row is None:
                    raise _no_such_session()
                result = Version.from_json(row[1]) if row[1] else None
                session = _Session(NewObject.from_json(row[0]), self._disk.draft(identity), result)
                if result:
                    return session
                self._open[identity] = session
            return self._open[identity]


@dataclasses.dataclass
class _Session:
    announced: NewObject
    draft: Draft
    result: Version | None
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def take(self, request: Request) -> bool:
        """Append the new bytes of a request; return True if the content is complete."""
        start, total = _content_range(request.headers.get("Content-Range"))
        if start is not None:
            if start > self.draft.size:
                raise malformed(f"The upload has {self.draft.size} bytes, but the new bytes begin at {start}.")
            # A client sends a chunk again if its answer was lost; the chunk may begin before the end.
            self.draft.append(_without_first(request.body.blocks(), self.draft.size - start))
        if total is None:
            return "Content-Range" not in request.headers
        if self.draft.size > total:
            raise malformed(f"The upload has {self.draft.size} bytes, more than the {total} announced.")
        return self.draft.size == total


def _content_range(text: str | None) -> tuple[int | None, int | None]:
    """Return the start of the body, None if it is empty, and the total size, None if it is unknown."""
    if text is None:
        return 0, None
    match = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(?:(\d+)|\*)", text)
    if not match:
        raise malformed(f"Invalid Content-Range: {text}")
    start, total = match.groups()
    return (None if start is None else int(start)), (None if total is None else int(total))


def _without_first(blocks: Iterator[bytes], count: int) -> Iterator[bytes]:
    for block in blocks:
        yield block[count:]
        count = max(count - len(block), 0)


def _new_object(request: Request, bucket: str, described: Mapping[str, Any]) -> NewObject:
    name = request.argument("name") or described.get("name")
    if not isinstance(name, str):
        raise malformed("Required object name is missing.")
    return NewObject(bucket, name, described, Conditions.of(request.query))


def _check_sums(draft: Draft, announced: NewObject, headers: Mapping[str, str]) -> None:
    """Compare the content with the checksums that the client sent at the start or at the end."""
    given = {field: announced.fields.get(field) for field in ("crc32c", "md5Hash")} | _header_hashes(headers)
    for field, value in given.items():
        if value is not None and value != draft.content[field]:
            raise malformed(f"Provided {field} {value!r} doesn't match calculated {field}.")


def _header_hashes(headers: Mapping[str, str]) -> dict[str, str]:
    """`X-Goog-Hash: crc32c=…,md5=…`, sent with the last bytes."""
    pairs = [pair.strip().split("=", 1) for pair in headers.get("X-Goog-Hash", "").split(",") if "=" in pair]
    fields = {"crc32c": "crc32c", "md5": "md5Hash"}
    return {fields[name]: value for name, value in pairs if name in fields}


def _no_such_session() -> StorageRefusal:
    return StorageRefusal(404, "notFound", "No such upload session.")
