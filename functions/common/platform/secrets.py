"""Secrets, read from Secret Manager when first needed and again when one stops working.

Nothing is read at start and nothing expires by time: a rotated key is noticed by its refusal, which costs one more read
and no redeploy.
"""

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from common.platform.errors import SecretUnreadable

_REREAD_EVERY_S = 5.0


class Secret:
    """A value that shows itself only when asked, so that no log line, traceback or receipt can."""

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
    """The newest version of each secret, kept until it is refused. Safe to share across threads."""

    def __init__(self, project: str, open_client: Callable[[], Any]) -> None:
        self._project = project
        self._open_client = open_client
        self._client: Any = None
        self._known: dict[str, Secret] = {}
        self._versions: dict[str, tuple[float, list[Secret]]] = {}
        self._lock = threading.Lock()

    def read(self, name: str) -> Secret:
        """The newest version, from memory where it was read before.

        Args:
            name: as in bridge.yaml: an id, or `projects/…/secrets/…`.

        Raises:
            SecretUnreadable: Secret Manager does not give it, or it is empty.
        """
        with self._lock:
            if name not in self._known:
                self._known[name] = self._fetch(name)
            return self._known[name]

    def read_again(self, name: str, refused: Secret) -> Secret | None:
        """A newer value than the one that was just refused, or None where there is no newer one."""
        with self._lock:
            if self._known.get(name, refused) == refused:
                self._known[name] = self._fetch(name)
            newest = self._known[name]
        return None if newest == refused else newest

    def is_one_of_the_newest(self, name: str, fits: Callable[[bytes], bool]) -> bool:
        """Whether one of the secret's two newest enabled versions fits: a token rotates without a gap.

        Every version is tried, so that the time taken says nothing of which one fitted. A token that does not fit makes
        the versions be read again, but not more often than every few seconds, however many come.
        """
        for newest in self._newest(name):
            fitting = [fits(value.reveal().encode()) for value in newest]
            if any(fitting):
                return True
        return False

    def _newest(self, name: str) -> Iterator[list[Secret]]:
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
        """Read it afresh next time: what it holds is of no use."""
        with self._lock:
            self._known.pop(name, None)

    def _fetch(self, name: str) -> Secret:
        return self._access(f"{self._resource(name)}/versions/latest", name)

    def _fetch_newest(self, name: str) -> list[Secret]:
        request = {"parent": self._resource(name), "filter": "state:ENABLED", "page_size": 2}
        with _google(name):
            # Newest first, by Secret Manager's own order (docs, `projects.secrets.versions.list`).
            versions = list(itertools.islice(self._open().list_secret_versions(request=request, timeout=20), 2))
        return [self._access(version.name, name) for version in versions]

    def _access(self, version: str, name: str) -> Secret:
        with _google(name):
            answer = self._open().access_secret_version(name=version, timeout=20)
        try:
            value = answer.payload.data.decode().strip()
        except UnicodeDecodeError:
            raise SecretUnreadable(f"The secret {name} does not hold text.") from None
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
    """Google's errors end here."""
    from google.api_core.exceptions import GoogleAPIError  # noqa: PLC0415  # a warm call reads no secret
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
    from requests import RequestException  # noqa: PLC0415

    try:
        yield
    except (GoogleAPIError, GoogleAuthError, RequestException, ConnectionError) as error:
        raise SecretUnreadable(f"The secret {name} cannot be read: {type(error).__name__}.") from error


def open_client() -> Any:
    """Google's client; `SECRET_MANAGER_EMULATOR_HOST` (a URL) points it at a stand-in over REST."""
    from google.cloud.secretmanager import SecretManagerServiceClient  # noqa: PLC0415  # a quarter of a cold start

    address = os.environ.get("SECRET_MANAGER_EMULATOR_HOST")
    if not address:
        return SecretManagerServiceClient()
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415

    return SecretManagerServiceClient(
        transport="rest", client_options={"api_endpoint": address}, credentials=AnonymousCredentials()
    )
