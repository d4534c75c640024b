"""Secrets from Secret Manager. They are read on first use, and read again when a vendor refuses one.

A rotated key therefore needs no deployment. Secrets in memory do not expire.
"""

import contextlib
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, Literal, TypeVar

import msgspec

from common.platform import emulator, keys
from common.platform.causes import cause_of
from common.platform.clock import Clock, Deadline, SystemClock
from common.platform.errors import SIGN_IN, SecretUnreadable

LOOKER_CREDENTIALS = '{"client_id": "…", "client_secret": "…"}'
"What Looker's secret contains."

_REREAD_EVERY_S = 5.0
_READ_WITHIN_S = 20.0
"For all requests of one reading, with the repetitions that Google's client makes."
_SHORTEST_TIMEOUT_S = 1.0
_READINGS_OF_A_DAMAGED_VALUE = 2
_MOST_WAITING = 2
"How many calls with a token that is not known wait for a slow Secret Manager."
_SLOW_AFTER_S = 1.0
"So long after a reading began, the others do not wait for it."

T = TypeVar("T")


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


class _Unusable(SecretUnreadable):
    """The content of one version is at fault; another version may be usable."""

    def __init__(self, name: str, fault: str) -> None:
        command = f"`gcloud secrets versions add {name.rpartition('/')[2]} --data-file=-`"
        key = f"the key alone as plain text (of Looker: {LOOKER_CREDENTIALS})"
        next_step = f"Run {command}, paste {key}, press Enter and Ctrl-D."
        super().__init__(f"The secret {name} {fault}.", next_step=next_step)


class _Versions(msgspec.Struct, frozen=True):
    """The newest versions of a secret, as they were read last."""

    values: list[Secret]
    fault: SecretUnreadable | None
    "Why the last reading failed, the values being of an earlier one, or why a version is missing here."
    read_at_s: float

    def match(self, matches: Callable[[bytes], bool]) -> bool:
        results = [matches(value.reveal().encode()) for value in self.values]
        return any(results)

    def refuse(self) -> Literal[False]:
        """Return that no version matches, or raise SecretUnreadable if a version that was not read could match."""
        if self.fault is not None:
            # A new one each time: an exception that is raised again and again collects all its traces.
            raise SecretUnreadable(self.fault.cause, next_step=self.fault.next_step)
        return False


class Secrets:
    """The newest version of each secret, cached until it is refused. Thread-safe.

    Secret Manager is asked by one thread at a time for each secret, and never under a lock: while it is slow, a call
    that the cache can answer is not delayed.
    """

    def __init__(self, project: str, open_client: Callable[[], Any], clock: Clock | None = None) -> None:
        self._project = project
        self._open_client = open_client
        self._clock = clock or SystemClock()
        self._client: Any = None
        self._known: dict[str, Secret] = {}
        self._versions: dict[str, _Versions] = {}
        self._running: dict[object, tuple[Future[Any], float]] = {}
        self._lock = threading.Lock()
        self._waiting = threading.Semaphore(_MOST_WAITING)

    def read(self, name: str) -> Secret:
        """Return the newest version, from the cache if it was read before.

        Args:
            name: as in bridge.yaml: an ID, or `projects/…/secrets/…`.

        Raises:
            SecretUnreadable: Secret Manager did not return it, or what it contains cannot be a key (`keys.fault_of`).
        """
        return self._known.get(name) or self._once(self._fetch, name)

    def expect(self, names: Iterable[str]) -> None:
        """Raise SecretUnreadable, as `read` does, if one of these secrets cannot be read; with the faults of all."""
        faults = []
        for name in names:
            try:
                self.read(name)
            except SecretUnreadable as fault:
                faults.append(fault)
        if faults:
            next_steps = dict.fromkeys(fault.next_step for fault in faults)
            raise SecretUnreadable(" ".join(fault.cause for fault in faults), next_step=" ".join(next_steps))

    def read_again(self, name: str, refused: Secret) -> Secret | None:
        """Return a newer value than the refused one, or None. Raises SecretUnreadable as `read` does."""
        known = self._known.get(name, refused)
        newest = self._once(self._fetch, name) if known == refused else known
        return None if newest == refused else newest

    def has_matching_version(self, name: str, matches: Callable[[bytes], bool]) -> bool:
        """Whether one of the two newest enabled versions matches, so that a token can be rotated without interruption.

        All versions are compared, so that the time taken does not show which one matched. If none matches, the versions
        are read again, but not within `_REREAD_EVERY_S` seconds after the last reading, whether it succeeded or failed.

        Args:
            name: as for `read`.
            matches: compares the bytes of a version with the token, in constant time.

        Raises:
            SecretUnreadable: as for `read`, or Secret Manager is slow and other calls wait for it already.
        """
        known = self._versions.get(name)
        if known is None or not known.values:
            fresh = self._once(self._refresh, name)
        elif known.match(matches):
            return True
        else:
            fresh = self._refresh_with_others(name)
        return fresh.match(matches) or fresh.refuse()

    def forget(self, name: str) -> None:
        """Remove a value from the cache, so that the next `read` fetches it again."""
        self._known.pop(name, None)

    def _refresh_with_others(self, name: str) -> "_Versions":
        """Read the versions, but do not let wrong tokens occupy every thread while Secret Manager is slow."""
        may_wait_long = self._waiting.acquire(blocking=False)
        try:
            return self._once(self._refresh, name, None if may_wait_long else _SLOW_AFTER_S)
        except TimeoutError:
            cause = f"The secret {name} cannot be read: Secret Manager is slow, and other calls wait for it already."
            raise SecretUnreadable(cause, next_step="If the token is right, send it again in a minute.") from None
        finally:
            if may_wait_long:
                self._waiting.release()

    def _once(self, read: Callable[[str], T], name: str, longest_s: float | None = None) -> T:
        """Call `read`, or wait for the thread that is calling it for the same secret and take its outcome.

        Raises what `read` raises, and TimeoutError if that thread has been reading for longer than `longest_s`.
        """
        mine: Future[T] = Future()
        now_s = self._clock.monotonic_s()
        with self._lock:
            shared, began_s = self._running.setdefault((read, name), (mine, now_s))
        if shared is not mine:
            outcome: T = shared.result(None if longest_s is None else max(0.0, began_s + longest_s - now_s))
            return outcome
        try:
            mine.set_result(read(name))
        except BaseException as error:
            mine.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._running[read, name]
        return mine.result()

    def _fetch(self, name: str) -> Secret:
        self._known[name] = self._access(f"{self._resource(name)}/versions/latest", name, self._deadline())
        return self._known[name]

    def _refresh(self, name: str) -> "_Versions":
        """Read the newest versions, unless they were read a moment ago. If that fails, the known ones stay."""
        known = self._versions.get(name)
        if known is not None and self._clock.monotonic_s() - known.read_at_s < _REREAD_EVERY_S:
            return known
        try:
            values, fault = self._fetch_newest(name)
        except SecretUnreadable as error:
            values, fault = known.values if known else [], error
        # The time after the reading: a slow one would otherwise be followed by the next one at once.
        self._versions[name] = _Versions(values, fault, self._clock.monotonic_s())
        return self._versions[name]

    def _fetch_newest(self, name: str) -> tuple[list[Secret], SecretUnreadable | None]:
        """Return the usable ones of the two newest versions, and why another is not usable."""
        deadline = self._deadline()
        request = {"parent": self._resource(name), "filter": "state:ENABLED", "page_size": 2}
        with _google(name):
            listed = self._open().list_secret_versions(request=request, timeout=_timeout_s(deadline))
            # Secret Manager lists the newest first (API reference, `projects.secrets.versions.list`).
            versions = list(itertools.islice(listed, 2))
        values, fault = [], None
        for version in versions:
            try:
                values.append(self._access(version.name, name, deadline))
            except _Unusable as error:
                fault = error
        return values, fault

    def _access(self, version: str, name: str, deadline: Deadline) -> Secret:
        for _ in range(_READINGS_OF_A_DAMAGED_VALUE):
            with _google(name):
                answer = self._open().access_secret_version(name=version, timeout=_timeout_s(deadline))
            if _is_intact(answer.payload):
                return _value_of(answer.payload.data, name)
        cause = f"The secret {name} was damaged on its way: it does not match Secret Manager's checksum (CRC32C)."
        raise SecretUnreadable(cause, next_step="Run again. If it persists, check the network and Secret Manager.")

    def _deadline(self) -> Deadline:
        return Deadline.after(self._clock, _READ_WITHIN_S)

    def _open(self) -> Any:
        if self._client is None:
            self._client = self._open_client()
        return self._client

    def _resource(self, name: str) -> str:
        return name if name.startswith("projects/") else f"projects/{self._project}/secrets/{name}"


def _timeout_s(deadline: Deadline) -> float:
    return max(_SHORTEST_TIMEOUT_S, deadline.remaining_s())


def _is_intact(payload: Any) -> bool:
    """Compare a payload with its checksum, if it has one (API reference, `SecretPayload`)."""
    import google_crc32c  # noqa: PLC0415  # a call with cached secrets does not need it

    checksum = payload.data_crc32c if "data_crc32c" in payload else None
    return checksum is None or checksum == google_crc32c.value(payload.data)


def _value_of(content: bytes, name: str) -> Secret:
    """Return the value without white space around it. Raises _Unusable for a key that no vendor can accept."""
    try:
        value = content.decode().strip()
    except UnicodeDecodeError:
        raise _Unusable(name, "is not text in UTF-8") from None
    # The fields of a JSON object are checked where they are used.
    fault = None if value.startswith("{") else keys.fault_of(value)
    if fault is not None:
        raise _Unusable(name, fault)
    return Secret(value)


@contextlib.contextmanager
def _google(name: str) -> Iterator[None]:
    """Turn errors of Google's clients into SecretUnreadable."""
    from google.api_core.exceptions import GoogleAPIError  # noqa: PLC0415  # a call with cached secrets does not need it
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError  # noqa: PLC0415
    from requests import RequestException  # noqa: PLC0415

    try:
        yield
    except DefaultCredentialsError as error:
        cause = f"The secret {name} cannot be read: nobody is signed in to Google."
        raise SecretUnreadable(cause, next_step=SIGN_IN) from error
    except (GoogleAPIError, GoogleAuthError, RequestException, ConnectionError) as error:
        raise SecretUnreadable(f"The secret {name} cannot be read: {cause_of(error)}.") from error


def open_client() -> Any:
    """Return Google's client. `SECRET_MANAGER_EMULATOR_HOST`, a URL, makes it use an emulator over REST."""
    from google.cloud.secretmanager import SecretManagerServiceClient  # noqa: PLC0415  # a quarter of a cold start

    address = os.environ.get("SECRET_MANAGER_EMULATOR_HOST")
    if not address:
        return SecretManagerServiceClient()
    return SecretManagerServiceClient(
        transport="rest", client_options={"api_endpoint": address}, credentials=emulator.credentials()
    )
