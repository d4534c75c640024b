"""A whole bridge for a test: the sandbox on sockets, the jobs of `bridge.yaml`, and the functions to call."""

import random
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from common.runs import instance
from common.runs.instance import Instance
from tests.support.calls import Calls, FunctionAnswer, delivery
from tests.support.clock import FakeClock
from tests.support.jobs import CONFIGURATION, FIELDS, HEADER, ROWS, VIEW, Jobs
from tests.support.sites import (
    EXPORT_KEY,
    EXPORTS,
    LOOKER_SECRET,
    PIGMENT_KEY,
    PULL_RUN,
    PUSH,
    STATUS,
    STORAGE_WRITES,
    WEBHOOK_TOKEN,
    Servers,
)

__all__ = [
    "CONFIGURATION",
    "EXPORTS",
    "EXPORT_KEY",
    "FIELDS",
    "HEADER",
    "LOOKER_SECRET",
    "PIGMENT_KEY",
    "PULL_RUN",
    "PUSH",
    "ROWS",
    "STATUS",
    "STORAGE_WRITES",
    "VIEW",
    "WEBHOOK_TOKEN",
    "FakeClock",
    "FunctionAnswer",
    "Servers",
    "World",
    "delivery",
    "open_world",
]


class World(Jobs, Calls):
    """The sandbox, its jobs and the functions, on a clock that the test moves."""

    def __init__(self, folder: Path, servers: Servers, addresses: dict[str, str]) -> None:
        super().__init__(folder, servers)
        self.addresses = addresses

    def prepare(self) -> None:
        """Make the functions of this process use this world, and add the pull `flights`.

        The environment must name the sandbox first.
        """
        self.clock.meanwhile = self.finish_imports
        self.instance = instance.current = Instance(self.clock, random.Random(1))
        self.bucket = self.instance.bucket
        self.add_list_of_flights()
        self.add_pull("flights")

    def objects(self, prefix: str) -> list[str]:
        return list(self.bucket.names(prefix))


@contextmanager
def open_world(
    folder: Path, servers: Servers, addresses: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    with closing(World(folder, servers, addresses)) as world:
        for name, value in world.environment().items():
            monkeypatch.setenv(name, value)
        world.prepare()
        yield world
