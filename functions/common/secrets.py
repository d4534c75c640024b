"""Secrets, read from Secret Manager when first needed and again when one stops working.

Nothing is read at start and nothing expires by time: a rotated key is noticed by its refusal, which costs one more read
and no redeploy.
"""

import os
import threading
from collections.abc import Callable
from typing import Any

from common.errors import SecretUnreadable


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

    def forget(self, name: str) -> None:
        """Read it afresh next time: what it holds is of no use."""
        with self._lock:
            self._known.pop(name, None)

    def _fetch(self, name: str) -> Secret:
        from google.api_core.exceptions import GoogleAPIError  # noqa: PLC0415  # a warm call reads no secret
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
        from requests import RequestException  # noqa: PLC0415

        resource = name if name.startswith("projects/") else f"projects/{self._project}/secrets/{name}"
        try:
            if self._client is None:
                self._client = self._open_client()
            answer = self._client.access_secret_version(name=f"{resource}/versions/latest", timeout=20)
            value = answer.payload.data.decode().strip()
        except (GoogleAPIError, GoogleAuthError, RequestException) as error:
            raise SecretUnreadable(f"The secret {name} cannot be read: {type(error).__name__}.") from error
        except UnicodeDecodeError:
            raise SecretUnreadable(f"The secret {name} does not hold text.") from None
        if not value:
            raise SecretUnreadable(f"The secret {name} is empty.")
        return Secret(value)


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
