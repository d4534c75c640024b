"""The other actors of the load run: Pub/Sub, the schedule, an operator, and the source of kills."""

import contextlib
import random
import threading
from collections.abc import Callable, Sequence

import requests

from common.platform.errors import BridgeError
from local.sandbox.storage import Notice
from tests.support.settling import settle

from .cloud import Cloud, Process

_STALL_S = 8
"Longer than a lease of the load run, so that another process takes over."


class PubSub:
    """Calls a deliverer for each new delivery until a call succeeds."""

    def __init__(self, processes: Sequence[Process], relays: Sequence[str], chance: random.Random) -> None:
        self._processes = processes
        self._chance = chance
        self._news = {relay: threading.Event() for relay in relays}

    def notice(self, notice: Notice) -> None:
        folder, _, rest = notice.name.partition("/")
        if folder == "inbox":
            self._news[rest.partition("/")[0]].set()

    def jobs(self) -> "list[Repeated]":
        return [Repeated(0.01, lambda relay=relay: self._wake(relay)) for relay in self._news]  # type: ignore[misc]

    def sweep(self) -> None:
        """Call a deliverer for every relay, as the schedule does."""
        self._call({})

    def _wake(self, relay: str) -> None:
        news = self._news[relay]
        if not news.wait(0.2):
            return
        news.clear()
        if not self._call({"message": {"attributes": {"objectId": f"inbox/{relay}/x"}}}):
            news.set()

    def _call(self, envelope: dict[str, object]) -> bool:
        process = self._chance.choice(self._processes)
        try:
            return requests.post(process.address("deliver"), json=envelope, timeout=120).ok
        except requests.RequestException:
            return False


class Repeated:
    """An action that a thread repeats."""

    def __init__(self, every_s: float, act: Callable[[], None]) -> None:
        self._every_s = every_s
        self._act = act
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            self._act()


class Operator:
    """A person who settles unknown runs."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.settled = 0

    def look(self) -> None:
        for configuration in self._cloud.configurations.values():
            with contextlib.suppress(BridgeError):
                self.settled += settle(self._cloud, configuration)


class Chaos:
    """Kills and stops processes and lets imports fail, by the number of deliveries: the same on all machines."""

    def __init__(
        self, cloud: Cloud, receiver: Process, deliverers: Sequence[Process], chance: random.Random, kill_every: int
    ) -> None:
        self._cloud = cloud
        self._processes = [receiver, *deliverers]
        self._deliverers = deliverers
        self._chance = chance
        self._kill_every = kill_every

    def posted(self, number: int) -> None:
        if number % self._kill_every == 0:
            self._chance.choice(self._processes).kill()
        if (number + self._kill_every // 2) % self._kill_every == 0:
            self._chance.choice(self._deliverers).stall(_STALL_S)
        if number % max(1, self._kill_every // 2) == 0:
            self._spoil()

    def _spoil(self) -> None:
        configuration = self._chance.choice(list(self._cloud.configurations.values()))
        if self._chance.random() < 0.5:
            self._cloud.pigment.fail_next(configuration, "Broken", "No")
        else:
            self._cloud.pigment.skip_next(configuration, 1)
