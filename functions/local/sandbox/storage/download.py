"""Downloads: the whole content, a range, or unpacked content for a client that does not accept gzip."""

import gzip
import io
import os
import re
import weakref
from collections.abc import Iterator
from datetime import datetime
from email.utils import format_datetime
from pathlib import Path
from typing import BinaryIO, cast

from local.sandbox.storage.draft import BLOCK_BYTES
from local.sandbox.storage.object import Version
from local.sandbox.storage.refusal import StorageRefusal
from local.sandbox.wire import Request, Response


def open_blob(path: Path) -> BinaryIO:
    """Open a file that stays readable after it is deleted, and that closes itself if the answer is never sent."""
    descriptor = os.open(path, os.O_RDONLY)
    file = io.FileIO(descriptor, closefd=False)
    weakref.finalize(file, os.close, descriptor)
    return cast("BinaryIO", file)


def read_blocks(file: BinaryIO, left: int | None = None) -> Iterator[bytes]:
    """Read to the end, or the given number of bytes."""
    while block := file.read(BLOCK_BYTES if left is None else min(BLOCK_BYTES, left)):
        yield block
        left = None if left is None else left - len(block)


def content_response(request: Request, version: Version, file: BinaryIO) -> Response:
    headers = _headers(version)
    if _is_unpacked(request, version):
        # https://cloud.google.com/storage/docs/transcoding: the length is unknown, and a range is ignored.
        del headers["Content-Encoding"]
        return Response(200, read_blocks(cast("BinaryIO", gzip.GzipFile(fileobj=file))), headers)
    wanted = _range(request.headers.get("Range"), version.size)
    if wanted is None:
        return Response(200, read_blocks(file), headers, version.size)
    start, end = wanted
    file.seek(start)
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{version.size}"
    return Response(206, read_blocks(file, end - start), headers, end - start)


def _headers(version: Version) -> dict[str, str]:
    resource = version.resource
    hashes = [f"crc32c={resource['crc32c']}"] + ([f"md5={resource['md5Hash']}"] if "md5Hash" in resource else [])
    headers = {
        "Content-Type": resource.get("contentType"),
        "Content-Encoding": resource.get("contentEncoding"),
        "Content-Disposition": resource.get("contentDisposition"),
        "Content-Language": resource.get("contentLanguage"),
        "Cache-Control": resource.get("cacheControl", "private, max-age=0"),
        "ETag": version.etag,
        "Last-Modified": format_datetime(datetime.fromisoformat(resource["updated"]), usegmt=True),
        "Accept-Ranges": "bytes",
        "X-Goog-Hash": ",".join(hashes),
        "X-Goog-Generation": str(version.generation),
        "X-Goog-Metageneration": str(version.metageneration),
        "X-Goog-Storage-Class": resource["storageClass"],
        "X-Goog-Stored-Content-Encoding": resource.get("contentEncoding", "identity"),
        "X-Goog-Stored-Content-Length": str(version.size),
    }
    return {name: _header(value) for name, value in headers.items() if value}


def _header(value: str) -> str:
    """Return the value on one line. http.server encodes headers as Latin-1, so UTF-8 bytes are passed in that form."""
    return " ".join(value.splitlines()).encode().decode("latin-1")


def _is_unpacked(request: Request, version: Version) -> bool:
    return (
        version.resource.get("contentEncoding") == "gzip"
        and "gzip" not in request.headers.get("Accept-Encoding", "")
        and "no-transform" not in version.resource.get("cacheControl", "")
    )


def _range(text: str | None, size: int) -> tuple[int, int] | None:
    """Return the start and end of a range; None for the whole content, also if the text is not a range (RFC 9110)."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", text or "")
    if not match or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first:
        start, end = int(first), min(int(last) + 1 if last else size, size)
    else:
        start, end = max(size - int(last), 0), size
    if start >= end:
        raise StorageRefusal(416, "requestedRangeNotSatisfiable", "Request range not satisfiable")
    return start, end
