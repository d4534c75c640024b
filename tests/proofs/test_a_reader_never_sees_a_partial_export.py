"""A reader downloads the published object constantly while exports under faults replace it."""

import hashlib
import random
import threading
from collections.abc import Callable
from typing import Self

import pytest
from google.api_core.exceptions import NotFound
from google.cloud import storage

from tests.support.world import World

pytestmark = pytest.mark.long


class Reader:
    """Downloads the object repeatedly with Google's own client, and compares it with the digest in its metadata."""

    def __init__(self, client: storage.Client) -> None:
        self._bucket = client.bucket("bucket")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self.generations: set[int] = set()
        self.halves: list[int] = []

    def _read(self) -> None:
        while not self._over.is_set():
            blob = self._bucket.get_blob("exports/revenue.csv")
            if blob is None:
                continue
            try:
                content = blob.download_as_bytes(if_generation_match=blob.generation)
            except NotFound:
                continue  # replaced after get_blob
            self.generations.add(blob.generation)
            if hashlib.sha256(content).hexdigest() != blob.metadata["sha256"]:
                self.halves.append(blob.generation)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def rows(count: int) -> bytes:
    return b"Id;Amount\n" + b"".join(b"%d;1\n" % number for number in range(count))


def spoil(world: World, chance: random.Random) -> None:
    """Add a random fault, or none."""
    storage_trouble: list[Callable[[], object]] = [
        lambda: world.storage_server.fault(r"POST ", after=chance.randrange(6), reset_after=True),
        lambda: world.storage_server.fault(r"(POST|PUT) ", after=chance.randrange(6), reset_before=True),
        lambda: None,
        lambda: None,
    ]
    chance.choice(storage_trouble)()


@pytest.mark.parametrize(
    "publications", [pytest.param(10, id="10"), pytest.param(200, id="200", marks=pytest.mark.slow)]
)
def test_a_reader_never_sees_a_partial_export(patient: World, publications: int) -> None:
    world, chance = patient, random.Random(publications)
    world.add_export("revenue")
    published = 0
    with Reader(storage.Client(project="test", credentials=None)) as reader:
        while published < publications:
            world.storage_server.heal()
            content = rows(chance.randrange(1, 3000))
            cut = {"cut_after_bytes": chance.randrange(len(content))} if chance.random() < 0.3 else {}
            world.answer_exports([content], **cut)
            spoil(world, chance)
            published += world.run_export("revenue").status == 200
            world.clock.advance(100)

    assert reader.halves == []
    assert len(reader.generations) >= publications / 10
    assert world.objects("leases/") == []
