"""The local stand-in for Pub/Sub: calls `webhook_deliver` when a delivery is stored in the inbox."""

import queue
import threading
from typing import Self

import requests

from common.storage import paths
from local.sandbox.storage import Notice

_FIRST_WAIT_S = 0.5
_MAX_WAIT_S = 10.0


class InboxNotifier:
    """Posts the notification of a new object, as Pub/Sub does, until the answer is a 2xx."""

    def __init__(self) -> None:
        self._notices: queue.SimpleQueue[Notice | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="inbox notifier", daemon=True)
        self._address = ""

    def on_finalize(self, notice: Notice) -> None:
        """Queue the notification if the new object is in the inbox."""
        if notice.name.startswith(paths.deliveries("inbox")):
            self._notices.put(notice)

    def start(self, address: str) -> Self:
        """Start to post to an address. The first notification covers deliveries that an earlier process left."""
        self._address = address
        self._thread.start()
        self._notices.put(Notice("", paths.deliveries("inbox"), 0, 0, {}))
        return self

    def close(self) -> None:
        self._closed.set()
        self._notices.put(None)
        self._thread.join()

    def _run(self) -> None:
        wait_s = _FIRST_WAIT_S
        while (notice := self._notices.get()) is not None and not self._closed.is_set():
            if self._post(notice):
                wait_s = _FIRST_WAIT_S
                continue
            if self._closed.wait(wait_s):
                return
            wait_s = min(_MAX_WAIT_S, wait_s * 2)
            self._notices.put(notice)

    def _post(self, notice: Notice) -> bool:
        envelope = {"message": {"attributes": {"objectId": notice.name, "bucketId": notice.bucket}}}
        try:
            return requests.post(self._address, json=envelope, timeout=3600).ok
        except requests.RequestException:
            return False
