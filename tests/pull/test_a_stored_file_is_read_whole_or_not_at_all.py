"""A file in Cloud Storage is read chunk by chunk: whole, whatever breaks in between, or with an error."""

import hashlib
import random
from typing import Any

import pytest
from google.cloud.storage.retry import DEFAULT_RETRY

from common.platform.errors import BridgeError, StorageRefused
from common.storage.bucket import CHUNK_BYTES, Bucket
from local.sandbox.wire import Response
from tests.support.world import World

PATH = "staged/flights/file.csv"
CHUNK = "GET /download/"
SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES]


def store(world: World, size_bytes: int) -> str:
    """Store a file, and return its digest."""
    content = random.Random(size_bytes).randbytes(size_bytes)
    world.bucket.replace(PATH, content)
    return hashlib.sha256(content).hexdigest()


def read(world: World) -> str:
    digest = hashlib.sha256()
    bucket = Bucket(world.bucket.name, retry=DEFAULT_RETRY.with_delay(initial=0.001, maximum=0.001))
    for block in bucket.blocks(PATH):
        assert len(block) <= CHUNK_BYTES
        digest.update(block)
    return digest.hexdigest()


@pytest.mark.parametrize("size_bytes", SIZES)
def test_a_file_of_any_size_is_read_once(world: World, size_bytes: int) -> None:
    stored = store(world, size_bytes)
    asked: list[int] = []
    world.storage_server.fault(CHUNK, times=-1, act=lambda: asked.append(1))

    assert read(world) == stored
    # A file of whole chunks does not show its end: one more is asked for.
    assert len(asked) == size_bytes // CHUNK_BYTES + 1


@pytest.mark.parametrize(
    "how",
    [
        {"cut_after_bytes": 100_000},
        {"reset_after_bytes": 100_000},
        {"reset_before": True},
        {"refuse": Response(503, b"")},
        {"refuse": Response(429, b"", {"Retry-After": "0"})},
    ],
    ids=["cut", "reset", "not answered", "503", "429"],
)
@pytest.mark.parametrize("after", [0, 1])
def test_a_chunk_that_breaks_off_is_read_again(world: World, how: dict[str, Any], after: int) -> None:
    stored = store(world, CHUNK_BYTES + 17)
    world.storage_server.fault(CHUNK, times=2, after=after, **how)

    assert read(world) == stored


def test_a_chunk_that_is_refused_ends_the_reading_with_an_error(world: World) -> None:
    store(world, 2 * CHUNK_BYTES)
    world.storage_server.fault(CHUNK, times=-1, after=1, refuse=Response(403, b""))

    with pytest.raises(BridgeError, match="permission is denied"):
        read(world)


def test_a_file_that_is_missing_is_no_empty_file(world: World) -> None:
    with pytest.raises(StorageRefused, match=PATH):
        read(world)
