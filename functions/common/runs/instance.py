"""The objects that all calls of one process share, created on first use: the server forks after the import.

Everything that a flow uses from outside comes from here, so that a test or the command line can replace `current` by an
instance with its own clock, random numbers, bucket or secrets.
"""

import os
import random
from collections import defaultdict
from collections.abc import Callable
from functools import cached_property

from common import bridge_yaml
from common.pigment.pace import ImportPace
from common.platform import bigquery, secrets
from common.platform.bigquery import BigQuery
from common.platform.clock import Clock, Deadline, SystemClock
from common.platform.errors import SettingMissing, StorageRefused
from common.platform.secrets import Secrets
from common.storage import paths
from common.storage.bucket import Bucket
from common.storage.client import FirstAnswer

_DEFAULT_TIMEOUT_S = 540
_MARGIN_S = 15
"Subtracted from the function's timeout, so that it can still answer."


class Instance:
    """A deployment of the bridge, as one of its processes sees it."""

    def __init__(self, clock: Clock | None = None, chance: random.Random | None = None) -> None:
        self.clock = clock or SystemClock()
        self.chance = chance or random.SystemRandom()
        self.import_paces: defaultdict[str, ImportPace] = defaultdict(ImportPace)
        "By the id of an import configuration."
        self._config: tuple[float, bridge_yaml.Bridge | None] = (0.0, None)
        self.progress: Callable[[str, int], None] = lambda _what, _count: None
        "Called with the number of rows or bytes so far, to show progress."
        self.expected: Callable[[str, int], None] = lambda _what, _count: None
        "Called with the number of rows or bytes in all, as far as it is known or can be guessed."
        self.waits_for: Callable[[str], None] = lambda _what: None
        "Called with what the run waits for."

    @cached_property
    def bucket(self) -> Bucket:
        # Within the budget of the call, which has to do its work after the first answer.
        first = FirstAnswer(min(_seconds("BRIDGE_FIRST_ANSWER_S", 0), _budget_s() / 2))
        return Bucket(_setting("BRIDGE_BUCKET"), first=first)

    @cached_property
    def secrets(self) -> Secrets:
        return Secrets(_setting("GOOGLE_CLOUD_PROJECT"), secrets.open_client, self.clock)

    @cached_property
    def bigquery(self) -> BigQuery:
        """BigQuery where the bucket is: it reads no file in another location. Raises StorageBusy or StorageRefused."""
        location = bigquery.location_of(self.bucket.location())
        return BigQuery(_setting("GOOGLE_CLOUD_PROJECT"), location, self.chance)

    def config(self, at_most_old_s: float = 0) -> bridge_yaml.Bridge:
        """Return bridge.yaml from the bucket, or a copy in memory that is not too old: a change needs no deployment.

        Raises StorageRefused if the bucket does not contain it, BridgeFileInvalid if it is not valid.
        """
        read_at_s, known = self._config
        if known is not None and self.clock.monotonic_s() - read_at_s < at_most_old_s:
            return known
        stored = self.bucket.read_json(paths.CONFIG, object)
        if stored is None:
            cause = f"The bucket {self.bucket.name} does not contain {paths.CONFIG}."
            raise StorageRefused(cause, next_step="Run Terraform, which writes bridge.yaml there.")
        bridge = bridge_yaml.decode(stored.value)
        self._config = (self.clock.monotonic_s(), bridge)
        return bridge

    def deadline(self) -> Deadline:
        """Return the deadline of a call that begins now."""
        return Deadline.after(self.clock, _budget_s())


def _budget_s() -> float:
    """Return `BRIDGE_DEADLINE_S`, or the function's timeout less a margin."""
    timeout_s = float(os.environ.get("CLOUD_RUN_TIMEOUT_SECONDS", _DEFAULT_TIMEOUT_S))
    return _seconds("BRIDGE_DEADLINE_S", timeout_s - _MARGIN_S)


def _seconds(name: str, default: float) -> float:
    given = os.environ.get(name)
    if not given:
        return default
    try:
        return float(given)
    except ValueError:
        raise SettingMissing(f"{name} is {given!r}, not a number of seconds.") from None


def _setting(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise SettingMissing(f"The environment variable {name} is not set.")
    return value


current = Instance()
