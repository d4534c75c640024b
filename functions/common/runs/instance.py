"""What one process of a function shares among its calls: made on first use, since the server forks after importing.

Everything a flow touches outside itself comes from here, so that a test or the command line can put its own clock,
chance, bucket or secrets in the place of `current`.
"""

import os
import random
from collections.abc import Callable
from functools import cached_property

from common import bridge_yaml
from common.platform import secrets
from common.platform.clock import Clock, Deadline, SystemClock
from common.platform.errors import SettingMissing, StorageRefused
from common.platform.secrets import Secrets
from common.storage.store import Store

CONFIG_PATH = "config/bridge.json"

_DEFAULT_TIMEOUT_S = 540
_MARGIN_S = 15
"Kept back from the function's timeout, so that it can still answer."


class Instance:
    """One deployment of the bridge, as a process of it sees it."""

    def __init__(self, clock: Clock | None = None, chance: random.Random | None = None) -> None:
        self.clock = clock or SystemClock()
        self.chance = chance or random.SystemRandom()
        self._config: tuple[float, bridge_yaml.Bridge | None] = (0.0, None)
        self.progress: Callable[[str, int], None] = lambda _what, _count: None
        "Told how many rows or bytes have come by; somebody may be watching."

    @cached_property
    def store(self) -> Store:
        """The bridge's bucket."""
        return Store(_setting("BRIDGE_BUCKET"))

    @cached_property
    def secrets(self) -> Secrets:
        return Secrets(_setting("GOOGLE_CLOUD_PROJECT"), secrets.open_client)

    def config(self, at_most_old_s: float = 0) -> bridge_yaml.Bridge:
        """bridge.yaml as the bucket holds it: a changed job needs no new deployment.

        Args:
            at_most_old_s: how old what is in memory may be; 0 reads it now.

        Raises:
            StorageRefused: the bucket does not hold it.
            BridgeFileInvalid: it is not valid.
        """
        read_at_s, known = self._config
        if known is not None and self.clock.monotonic_s() - read_at_s < at_most_old_s:
            return known
        stored = self.store.read_json(CONFIG_PATH, object)
        if stored is None:
            raise StorageRefused(
                f"The bucket {self.store.name} holds no {CONFIG_PATH}.",
                next_step="Run Terraform: it writes bridge.yaml there.",
            )
        bridge = bridge_yaml.decode(stored.value)
        self._config = (self.clock.monotonic_s(), bridge)
        return bridge

    def deadline(self) -> Deadline:
        """What a call that begins now may take."""
        return Deadline.after(self.clock, _budget_s())


def _budget_s() -> float:
    """`BRIDGE_DEADLINE_S`, or the function's own timeout less a margin."""
    given = os.environ.get("BRIDGE_DEADLINE_S")
    if not given:
        return float(os.environ.get("CLOUD_RUN_TIMEOUT_SECONDS", _DEFAULT_TIMEOUT_S)) - _MARGIN_S
    try:
        return float(given)
    except ValueError:
        raise SettingMissing(f"BRIDGE_DEADLINE_S is {given!r}, not a number of seconds.") from None


def _setting(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise SettingMissing(f"The environment variable {name} is not set.")
    return value


current = Instance()
