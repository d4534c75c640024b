"""A Looker that posts deliveries and records the answers."""

import dataclasses
import itertools
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import requests

from .cloud import TOKEN

_PATIENCE = 5
"How often a delivery that was not acknowledged is posted again."


@dataclasses.dataclass
class LoadDelivery:
    """A delivery and its acknowledgement."""

    id: str
    relay: str
    acknowledged_s: float | None = None
    "The time of the 200, or None without one."
    waited_s: float = 0
    "The seconds until that answer."


class Looker:
    def __init__(self, relays: list[str], count: int, chance: random.Random) -> None:
        self.posted = [LoadDelivery(f"d{number}", chance.choice(relays)) for number in range(count)]
        self._chance = chance
        self._next = itertools.count()

    def post_all(
        self,
        address: Callable[[], str],
        may_go_on: Callable[[], bool],
        posted: Callable[[int], None],
        hands: int = 6,
    ) -> None:
        """Post every delivery, several at a time, slightly faster than the bridge can land them.

        Args:
            posted: called after each delivery with its number, from 1, on the thread that posted it.
        """
        with ThreadPoolExecutor(hands) as pool:
            for hand in [pool.submit(self._work, address, may_go_on, posted) for _ in range(hands)]:
                hand.result()

    def _work(self, address: Callable[[], str], may_go_on: Callable[[], bool], done: Callable[[int], None]) -> None:
        pause = threading.Event()
        while (number := next(self._next)) < len(self.posted):
            while not may_go_on():
                pause.wait(0.05)
            posted = self.posted[number]
            for _ in range(_PATIENCE):
                if self._post(posted, address()):
                    break
                pause.wait(0.2)
            if self._chance.random() < 0.05:
                self._post(posted, address())
            done(number + 1)

    def _post(self, posted: LoadDelivery, address: str) -> bool:
        headers = {"X-Looker-Webhook-Token": TOKEN}
        # Some deliveries have an event ID; the others are identified by their content.
        if int(posted.id[1:]) % 2:
            headers["X-Looker-Webhook-Id"] = posted.id
        began_s = time.perf_counter()
        try:
            answer = requests.post(f"{address}/{posted.relay}", data=_blocks(posted.id), headers=headers, timeout=60)
        except requests.RequestException:
            return False
        if answer.ok and posted.acknowledged_s is None:
            posted.acknowledged_s, posted.waited_s = time.time(), time.perf_counter() - began_s
        return answer.ok


def _blocks(identity: str) -> Iterator[bytes]:
    """Split a body into two chunks, without a length, as Looker sends it."""
    # Each is a schedule of its own: of one schedule, content that returns after other content is a new delivery.
    plan = {"scheduled_plan_id": identity, "title": "Sales"}
    data = f"Id,Amount\n{identity}/first,1\n{identity}/last,2\n"
    attachment = {"mimetype": "text/csv", "extension": "csv", "data": data}
    body = json.dumps({"type": "query", "scheduled_plan": plan, "attachment": attachment}).encode()
    yield body[:64]
    yield body[64:]
