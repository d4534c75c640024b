"""Without credentials for Google, each of its services names the command to sign in, and sends nothing."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from common.platform import bigquery, secrets
from common.platform.clock import Deadline, SystemClock
from common.platform.errors import BridgeError
from common.storage import client


@pytest.fixture(autouse=True)
def nobody_is_signed_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    # Otherwise Google's library looks for a metadata server for some seconds.
    monkeypatch.setenv("NO_GCE_CHECK", "true")


def open_storage() -> None:
    client.open_client()


def read_a_secret() -> None:
    secrets.Secrets("acme-planning", secrets.open_client).read("looker-api")


def query_bigquery() -> None:
    queries = bigquery.BigQuery("acme-planning", "EU", random.Random(1))
    queries.try_to_run(Deadline.after(SystemClock(), 30))


@pytest.mark.parametrize("ask", [open_storage, read_a_secret, query_bigquery])
def test_the_next_step_is_to_sign_in(ask: Callable[[], None]) -> None:
    with pytest.raises(BridgeError) as caught:
        ask()

    assert "obody is signed in to Google" in caught.value.cause
    assert "gcloud auth application-default login" in caught.value.next_step
