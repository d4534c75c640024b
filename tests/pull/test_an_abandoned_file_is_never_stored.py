"""A file whose writing failed is not stored later, when Python deletes the writer."""

import gc
from typing import Any

import pytest

from common.platform.errors import StorageRefused
from local.sandbox.wire import Response
from tests.support.world import World

BLOCK = b"x" * (5 * 1024 * 1024)
"More than the writer keeps in memory: a part is uploaded at once."
REFUSED = Response(403, b"{}")


def write(world: World, *blocks: bytes, fails: bool = False) -> None:
    with world.bucket.writing("staged/flights/file.csv") as file:
        for block in blocks:
            file.write(block)
        if fails:
            raise EOFError


def stored_after_deletion(world: World) -> list[str]:
    world.storage_server.heal()
    gc.collect()
    return world.objects("staged/")


@pytest.mark.parametrize("how", [{"refuse": REFUSED}, {"reset_before": True}], ids=["refused", "reset"])
def test_a_broken_stream_whose_upload_cannot_be_cancelled(world: World, how: dict[str, Any]) -> None:
    world.storage_server.fault("DELETE /", times=-1, **how)

    with pytest.raises(EOFError):
        write(world, BLOCK, b"the rest", fails=True)

    assert stored_after_deletion(world) == []


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", BLOCK + BLOCK], ids=["short", "long"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_an_upload_that_storage_refused(world: World, content: bytes, method: str) -> None:
    world.storage_server.fault(f"{method} /", times=-1, refuse=REFUSED)

    with pytest.raises(StorageRefused):
        write(world, content)

    assert stored_after_deletion(world) == []
