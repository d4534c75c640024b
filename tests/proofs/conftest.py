"""The world of the models, and of other proofs that break connections many times."""

import gc
import logging
from collections.abc import Iterator

import pytest

from common.storage import bucket
from tests.support.world import World


@pytest.fixture
def patient(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world without quotas, where Google's client retries after a millisecond, not a second, and gives up soon."""
    brisk = bucket._CALL_OPTIONS["retry"].with_delay(initial=0.001, maximum=0.002).with_timeout(0.1)
    monkeypatch.setitem(bucket._CALL_OPTIONS, "retry", brisk)
    world.pigment.requests.limit = world.pigment.imports_per_configuration.limit = None
    logging.disable(logging.CRITICAL)
    yield world
    logging.disable(logging.NOTSET)
    # What is left of broken connections goes here, where it is expected, and not in the middle of another test.
    gc.collect()
