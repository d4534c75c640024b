"""Secrets from Secret Manager. They are read on first use, and read again when a vendor refuses one.

A rotated key therefore needs no deployment. Secrets in memory do not expire.
"""

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from common.platform import emulator
from common.platform.errors import SecretUnreadable

_REREAD_EVERY_S = 5.0


class Secret:
    """A value that only `reveal` returns, so that it never appears in a log line, a traceback or a receipt."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(…)"


class Secrets:
    """The newest version of each secret, cached until it is refused. Thread-safe."""

    def __init__(self, project: str, open_client: Callable[[], Any]) -> None:
        self._project = project
        self._open_client = open_client
        self._client: Any = None
        self._known: dict[str, Secret] = {}
        self._versions: dict[str, tuple[float, list[Secret]]] = {}
        self._lock = threading.Lock()

    def read(self, name: str) -> Secret:
        """Return the newest version, from the cache if it was read before.

        Args:
            name: as in bridge.yaml: an ID, or `projects/…/secrets/…`.

        Raises:
            SecretUnreadable: Secret Manager did not return it, or it is empty or not text.
        """
        with self._lock:
            if name not in self._known:
                self._known[name] = self._fetch(name)
            return self._known[name]

    def read_again(self, name: str, refused: Secret) -> Secret | None:
        """Return a newer value than the refused one, or None. Raises SecretUnreadable as `read` does."""
        with self._lock:
            if self._known.get(name, refused) == refused:
                self._known[name] = self._fetch(name)
            newest = self._known[name]
        return None if newest == refused else newest

    def has_matching_version(self, name: str, matches: Callable[[bytes], bool]) -> bool:
        """Whether one of the two newest enabled versions matches, so that a token can be rotated without interruption.

        All versions are compared, so that the time taken does not show which one matched. If none matches, the versions
        are read again, at most once in `_REREAD_EVERY_S` seconds.

        Args:
            name: as for `read`.
            matches: compares the bytes of a version with the token, in constant time.

        Raises:
            SecretUnreadable: as for `read`.
        """
        for newest in self._newest(name):
            results = [matches(value.reveal().encode()) for value in newest]
            if any(results):
                return True
        return False

    def _newest(self, name: str) -> Iterator[list[Secret]]:
        """Yield the cached versions, then fresh ones unless the cache is recent."""
        with self._lock:
            known = self._versions.get(name)
        if known is not None:
            yield known[1]
            if time.monotonic() - known[0] < _REREAD_EVERY_S:
                return
        with self._lock:
            self._versions[name] = (time.monotonic(), self._fetch_newest(name))
            fresh = self._versions[name][1]
        yield fresh

    def forget(self, name: str) -> None:
        """Remove a value from the cache, so that the next `read` fetches it again."""
        with self._lock:
            self._known.pop(name, None)

    def _fetch(self, name: str) -> Secret:
        return self._access(f"{self._resource(name)}/versions/latest", name)

    def _fetch_newest(self, name: str) -> list[Secret]:
        request = {"parent": self._resource(name), "filter": "state:ENABLED", "page_size": 2}
        with _google(name):
            # Secret Manager lists the newest first (API reference, `projects.secrets.versions.list`).
            versions = list(itertools.islice(self._open().list_secret_versions(request=request, timeout=20), 2))
        return [self._access(version.name, name) for version in versions]

    def _access(self, version: str, name: str) -> Secret:
        with _google(name):
            answer = self._open().access_secret_version(name=version, timeout=20)
        try:
            value = answer.payload.data.decode().strip()
        except UnicodeDecodeError:
            raise SecretUnreadable(f"The secret {name} is not text.") from None
        if not value:
            raise SecretUnreadable(f"The secret {name} is empty.")
        return Secret(value)

    def _open(self) -> Any:
        if self._client is None:
            self._client = self._open_client()
        return self._client

    def _resource(self, name: str) -> str:
        return name if name.startswith("projects/") else f"projects/{self._project}/secrets/{name}"


@contextlib.contextmanager
def _google(name: str) -> Iterator[None]:
    """Turn errors of Google's clients into SecretUnreadable."""
    from google.api_core.exceptions import GoogleAPIError  # noqa: PLC0415  # a call with cached secrets does not need it
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
    from requests import RequestException  # noqa: PLC0415

    try:
        yield
    except (GoogleAPIError, GoogleAuthError, RequestException, ConnectionError) as error:
        raise SecretUnreadable(f"The secret {name} cannot be read: {type(error).__name__}.") from error


def open_client() -> Any:
    """Return Google's client. `SECRET_MANAGER_EMULATOR_HOST`, a URL, makes it use an emulator over REST."""
    from google.cloud.secretmanager import SecretManagerServiceClient  # noqa: PLC0415  # a quarter of a cold start

    address = os.environ.get("SECRET_MANAGER_EMULATOR_HOST")
    if not address:
        return SecretManagerServiceClient()
    return SecretManagerServiceClient(
        transport="rest", client_options={"api_endpoint": address}, credentials=emulator.credentials()
    )
