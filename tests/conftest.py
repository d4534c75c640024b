"""Fixtures: the functions served once, and a world of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local import function_server
from tests.support.world import World, open_world


@pytest.fixture(scope="session")
def addresses() -> Iterator[dict[str, str]]:
    """The functions behind functions-framework, on a port of this machine."""
    with function_server.serve_functions() as addresses:
        yield addresses


@pytest.fixture
def world(tmp_path: Path, addresses: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with open_world(tmp_path, addresses, monkeypatch) as world:
        yield world
