"""Custom metadata and names have the limits of Cloud Storage, in bytes, however they are written; within them, any
Unicode comes back.
"""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from google.api_core import exceptions
from google.cloud.storage import Blob
from google.cloud.storage.exceptions import InvalidResponse

from tests.support.storage_client import Running, running

Write = Callable[[Blob], None]


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as cloud:
        cloud.bucket.blob("source").upload_from_string("content")
        cloud.bucket.blob("there").upload_from_string("content")
        yield cloud


def upload(blob: Blob) -> None:
    blob.upload_from_string("content")


def upload_by_session(blob: Blob) -> None:
    blob.upload_from_file(io.BytesIO(b"content"), size=None)


def stream(blob: Blob) -> None:
    file = blob.open("wb")
    file.write(b"content")
    try:
        file.close()
    finally:
        # Otherwise Python closes it again when it deletes it, at any time and in any thread.
        file._buffer.close()


def rewrite(blob: Blob) -> None:
    blob.content_type = "text/plain"
    blob.rewrite(blob.bucket.blob("source"))


def compose(blob: Blob) -> None:
    blob.compose([blob.bucket.blob("source")])


def patch(blob: Blob) -> None:
    blob.patch()


def update(blob: Blob) -> None:
    blob.update()


WRITES = [upload, upload_by_session, stream, rewrite, compose, patch, update]
TOO_LARGE = {
    "a key over 1 KiB": {"k" * 1025: "v"},
    "a value over 4 KiB": {"k": "é" * 2049},
    "over 8 KiB in all": {"a": "v" * 4096, "b": "v" * 4095},
}


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
@pytest.mark.parametrize("metadata", TOO_LARGE.values(), ids=TOO_LARGE.keys())
def test_metadata_over_a_limit_is_refused(cloud: Running, write: Write, metadata: dict[str, str]) -> None:
    blob = cloud.bucket.blob("there")
    blob.metadata = metadata

    with pytest.raises((exceptions.BadRequest, InvalidResponse)):
        write(blob)

    stored = cloud.bucket.get_blob("there")
    assert (stored.metadata, stored.metageneration) == (None, 1)


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
def test_metadata_at_the_limits_comes_back_unchanged(cloud: Running, write: Write) -> None:
    metadata = {"k" * 1024: "é" * 1535, "b": "🛫" * 1024}
    assert sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items()) == 8 * 1024 - 1
    blob = cloud.bucket.blob("there")
    blob.metadata = metadata

    write(blob)

    assert cloud.bucket.get_blob("there").metadata == metadata


@pytest.mark.parametrize("value", ["", "two\nlines\r\n", "\x01\x1b[31m\x7f\x85\u2028", "🛫 ≠ ü", '"quoted" \\ '])
@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
def test_any_character_comes_back_unchanged(cloud: Running, write: Write, value: str) -> None:
    blob = cloud.bucket.blob("there")
    blob.metadata = {"key": value}

    write(blob)

    assert cloud.bucket.get_blob("there").metadata == {"key": value}


@pytest.mark.parametrize(
    "write", [upload, upload_by_session, stream, rewrite, compose], ids=lambda write: write.__name__
)
def test_a_name_has_at_most_1024_bytes(cloud: Running, write: Write) -> None:
    longest = "é" * 510 + "🛫"
    assert len(longest.encode()) == 1024

    write(cloud.bucket.blob(longest))
    with pytest.raises((exceptions.BadRequest, InvalidResponse)):
        write(cloud.bucket.blob(longest + "x"))

    assert [blob.name for blob in cloud.bucket.list_blobs(prefix="é")] == [longest]
