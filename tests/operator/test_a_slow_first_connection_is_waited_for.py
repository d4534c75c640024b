"""An instance in a network waits for its first connection to Cloud Storage, and for no later one."""

import gc
import time
from collections.abc import Callable, Iterator

import pytest

from common.platform.errors import SettingMissing, StorageBusy
from common.runs.instance import Instance
from common.storage.bucket import Bucket
from tests.support.world import World

RESETS = 6
"More than a call survives that gives up at once."


Fresh = Callable[..., Bucket]


@pytest.fixture
def fresh(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fresh]:
    """Make the bucket of a new instance, whose usual patience and pauses between two requests are short."""
    made: list[Bucket] = []

    def make(**settings: str) -> Bucket:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        made.append(Instance(world.clock).bucket)
        made[-1].patience_s = 0.01
        made[-1].retry = made[-1].retry.with_delay(initial=0.02, maximum=0.04)
        return made[-1]

    yield make
    world.heal()
    for bucket in made:
        bucket._client.close()
    # Collect broken connections here, where their warnings are expected.
    made.clear()
    gc.collect()


def test_the_first_call_goes_on_until_cloud_storage_answers(world: World, fresh: Fresh) -> None:
    bucket = fresh(BRIDGE_FIRST_ANSWER_S="120")
    world.storage_server.fault(".*", times=RESETS, reset_before=True)

    assert bucket.exists("config/bridge.json")


def test_without_a_network_it_gives_up_as_ever(world: World, fresh: Fresh) -> None:
    bucket = fresh()
    world.storage_server.fault(".*", times=RESETS, reset_before=True)

    with pytest.raises(StorageBusy):
        bucket.exists("config/bridge.json")


def test_after_an_answer_no_call_waits_longer_than_usual(world: World, fresh: Fresh) -> None:
    bucket = fresh(BRIDGE_FIRST_ANSWER_S="120")
    bucket.exists("config/bridge.json")
    world.storage_server.fault(".*", times=-1, reset_before=True)

    for each in (bucket, bucket.beside("another")):
        with pytest.raises(StorageBusy):
            each.exists("config/bridge.json")


def test_a_caller_in_a_hurry_does_not_wait_for_the_first_one_either(world: World, fresh: Fresh) -> None:
    bucket = fresh(BRIDGE_FIRST_ANSWER_S="120").with_patience(0.01)
    world.storage_server.fault(".*", times=-1, reset_before=True)

    with pytest.raises(StorageBusy):
        bucket.exists("config/bridge.json")


def test_the_wait_ends_within_the_time_of_the_call(world: World, fresh: Fresh) -> None:
    bucket = fresh(BRIDGE_FIRST_ANSWER_S="120", BRIDGE_DEADLINE_S="0.5")
    world.storage_server.fault(".*", times=-1, reset_before=True)

    began_s = time.monotonic()
    with pytest.raises(StorageBusy):
        bucket.exists("config/bridge.json")
    assert time.monotonic() - began_s < 10


def test_a_setting_that_is_no_number_is_named(fresh: Fresh) -> None:
    with pytest.raises(SettingMissing, match="BRIDGE_FIRST_ANSWER_S is 'soon'"):
        fresh(BRIDGE_FIRST_ANSWER_S="soon")


def test_many_callers_in_a_hurry_make_no_later_answer_slower(fresh: Fresh) -> None:
    bucket = fresh()
    called_at_each_answer = bucket._client._http.hooks["response"]
    before = len(called_at_each_answer)

    for _ in range(3):
        bucket.with_patience(1)

    assert len(called_at_each_answer) == before
