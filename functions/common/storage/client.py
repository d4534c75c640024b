"""Google's client of Cloud Storage, and what its answers say besides their content."""

import email.utils
import os
import threading
from datetime import datetime
from typing import Any

import requests
from google.cloud import storage

from common.platform import emulator
from common.platform.errors import StorageRefused
from common.storage.refusals import storage_errors


class FirstAnswer:
    """Whether Cloud Storage has answered a client at all.

    The first connection of an instance in a network can take a minute or more (Google's documentation of Direct VPC
    egress), which is no reason to give up. Later ones are as fast as without a network.
    """

    def __init__(self, patience_s: float = 0) -> None:
        self._patience_s = patience_s
        self._has_come = False

    def note(self, _: requests.Response, **__: Any) -> None:
        self._has_come = True

    def patience_s(self, usual_s: float) -> float:
        """Return for how long a call is repeated now."""
        return usual_s if self._has_come else max(usual_s, self._patience_s)


_answers = threading.local()


def note_date(response: requests.Response, **_: Any) -> None:
    _answers.date = response.headers.get("Date")


def answered_at() -> datetime:
    """Return when Cloud Storage sent its last answer to this thread, by its own clock and in whole seconds."""
    try:
        return email.utils.parsedate_to_datetime(_answers.date)
    except (AttributeError, TypeError, ValueError):
        raise StorageRefused("Cloud Storage's answer does not say when it was sent.") from None


def open_client() -> Any:
    """Return Google's client; `STORAGE_EMULATOR_HOST` connects it to an emulator."""
    with storage_errors("open a client"):
        if emulator.has_storage():
            project = os.environ.get("GOOGLE_CLOUD_PROJECT", "local")
            client = storage.Client(project=project, credentials=emulator.credentials())
        else:
            client = storage.Client()
    # For traces, which the bridge does not use, it looks up the bucket on a thread of its own, at first and after each
    # object that is missing. No public option turns off both.
    client._bucket_metadata_cache = None  # noqa: SLF001
    return client
