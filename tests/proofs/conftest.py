"""The world of the models and of other proofs with many broken connections."""

import gc
import logging
from collections.abc import Iterator

import pytest

from tests.support.world import World


@pytest.fixture
def patient(world: World) -> Iterator[World]:
    """A world without quotas, in which Google's client retries after a millisecond, not a second, and fails soon."""
    world.bucket.retry = world.bucket.retry.with_delay(initial=0.001, maximum=0.002)
    world.bucket.patience_s = 1
    world.pigment.requests.limit = world.pigment.imports_per_configuration.limit = None
    logging.disable(logging.CRITICAL)
    yield world
    logging.disable(logging.NOTSET)
    # Collect broken connections here, where their warnings are expected, and not during another test.
    gc.collect()
