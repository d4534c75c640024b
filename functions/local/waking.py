"""What Pub/Sub is in the cloud: a delivery that arrives in the inbox wakes `webhook_deliver`, again if need be."""

import queue
import threading
from typing import Self

import requests

from local.sandbox.storage import Notice

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 10.0


class Waker:
    """Posts the envelope of a bucket notification until it is answered with a 2xx."""

    def __init__(self) -> None:
        self._notices: queue.SimpleQueue[Notice | None] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="waker", daemon=True)
        self._address = ""

    def notice(self, notice: Notice) -> None:
        """An object was written; only the inbox is of interest."""
        if notice.name.startswith("inbox/"):
            self._notices.put(notice)

    def start(self, address: str) -> Self:
        """Begin, with what waits from an earlier life."""
        self._address = address
        self._thread.start()
        self._notices.put(Notice("", "inbox/", 0, 0, {}))
        return self

    def close(self) -> None:
        self._ended.set()
        self._notices.put(None)
        self._thread.join()

    def _run(self) -> None:
        wait_s = _FIRST_WAIT_S
        while (notice := self._notices.get()) is not None and not self._ended.is_set():
            if self._wakes(notice):
                wait_s = _FIRST_WAIT_S
                continue
            if self._ended.wait(wait_s):
                return
            wait_s = min(_LONGEST_WAIT_S, wait_s * 2)
            self._notices.put(notice)

    def _wakes(self, notice: Notice) -> bool:
        envelope = {"message": {"attributes": {"objectId": notice.name, "bucketId": notice.bucket}}}
        try:
            return requests.post(self._address, json=envelope, timeout=3600).ok
        except requests.RequestException:
            return False
