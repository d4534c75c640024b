"""Pigment's external API, as far as a landing needs it: push a file or trigger an import, and ask how it ended.

An answer of 200 to a push means *queued*; only the import's status, with its detailed report, says what landed. Pigment
has no idempotency key, so a push whose answer is lost is `Uncertain`, and what that means is the caller's to decide.
"""

import random
from collections.abc import Callable, Iterable
from typing import Any, Literal, Self, TypeVar

import msgspec
import requests

from common import bridge_yaml
from common.platform import http
from common.platform.clock import Deadline
from common.platform.errors import (
    AnswerNotUnderstood,
    BridgeError,
    FileTooBig,
    ImportConfigurationNotFound,
    PigmentBusy,
    PigmentKeyRefused,
    PigmentRefused,
)
from common.platform.retry import retry, retry_after_s
from common.platform.secrets import Secret, Secrets

_HOUR_S = 3600.0
_SHORTEST_WAIT_S = 0.1
_LONGEST_WAIT_S = 30.0
_UNKNOWN_IMPORT_GRACE_S = 60.0
"How long a 404 for an import that was just accepted means: not yet."

T = TypeVar("T")


class Uncertain(Exception):
    """The push may have been accepted; nobody can tell from here."""

    def __init__(self, cause: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.retry_after_s = retry_after_s


class Skipped(msgspec.Struct, frozen=True, rename="camel"):
    """Rows Pigment left out for one reason (`ApiSkippedDataDto`); its samples are data and are not read."""

    count: int = 0
    reason: str = ""
    source_column_name: str | None = None


class _Block(msgspec.Struct, frozen=True, rename="camel"):
    skipped_data: list[Skipped] | None = None


class _Summary(msgspec.Struct, frozen=True, rename="camel"):
    inserted_count: int = 0
    updated_count: int = 0
    deleted_count: int = 0
    skipped_count: int = 0


class Report(msgspec.Struct, frozen=True, rename="camel"):
    """How an import went, in numbers."""

    summary: _Summary | None = None
    impacted_blocks: list[_Block] | None = None

    def skips(self) -> list[Skipped]:
        return [skip for block in self.impacted_blocks or [] for skip in block.skipped_data or []]


class _Detail(msgspec.Struct, frozen=True):
    name: str | None = None
    description: str | None = None


class ImportState(msgspec.Struct, frozen=True, rename="camel"):
    """The state of an import; a status Pigment may add one day counts as still in progress."""

    import_status: str
    errors_details: list[_Detail] | None = None
    detailed_report: Report | None = None

    @property
    def ended(self) -> Literal["completed", "failed"] | None:
        return {"Completed": "completed", "Failed": "failed"}.get(self.import_status)  # type: ignore[return-value]

    def reasons(self) -> str:
        """Pigment's own words on a failure."""
        words = [
            f"{detail.name or 'Error'}: {detail.description or ''}".strip() for detail in self.errors_details or []
        ]
        return http.redacted("; ".join(words)) or "Pigment gave no reason."


class UploadBody:
    """A file on its way: of known length, as Pigment documents no chunked uploads, and read block by block."""

    def __init__(self, blocks: Iterable[bytes], size_bytes: int) -> None:
        self._blocks = iter(blocks)
        self._rest = memoryview(b"")
        self._left = size_bytes
        self._size_bytes = size_bytes

    def __len__(self) -> int:
        return self._size_bytes

    def read(self, size: int = -1) -> bytes:
        if not self._rest:
            self._rest = memoryview(next(self._blocks, b""))
        piece = self._rest if size < 0 else self._rest[:size]
        self._rest = self._rest[len(piece) :]
        self._left -= len(piece)
        return bytes(piece)

    @property
    def handed_over(self) -> bool:
        """Whether the last byte has left: before that Pigment cannot have a whole request, let alone accept it."""
        return self._left <= 0


class PigmentClient:
    """A session with Pigment, as the owner of an import key."""

    def __init__(
        self, where: bridge_yaml.PigmentSettings, secrets: Secrets, deadline: Deadline, chance: random.Random
    ) -> None:
        self._api = f"{where.url}/api/v1"
        self._key_name = where.import_key
        self._secrets = secrets
        self._deadline = deadline
        self._chance = chance
        self._session = http.open_session()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def push(self, configuration: str, open_body: Callable[[], UploadBody], *, repeatable: bool) -> str:
        """Hand a file to an import configuration; the id of the import it started.

        Args:
            configuration: the import configuration's id.
            open_body: opens the file from its beginning, once per attempt.
            repeatable: whether a push that may have been accepted may be tried again.

        Raises:
            Uncertain: it may have been accepted.
            PigmentBusy: it was not, and the time or the attempts are used up.
            PigmentKeyRefused, ImportConfigurationNotFound, FileTooBig, PigmentRefused: it was not.
        """

        def hand_over() -> str:
            body = open_body()
            return self._start(
                "/import/push/csv",
                configuration,
                lambda: body.handed_over,
                repeatable=repeatable,
                data=body,
                headers={"Content-Type": "text/csv"},
            )

        return self._persist(hand_over)

    def trigger(self, configuration: str, *, repeatable: bool) -> str:
        """Start the import of a configuration that reads its own source. Returns and raises as `push` does."""

        def pull_the_trigger() -> str:
            return self._start("/import/trigger", configuration, lambda: True, repeatable=repeatable)

        return self._persist(pull_the_trigger)

    def follow(self, import_id: str) -> ImportState | None:
        """How an import ended, with its detailed report; None if it is still in progress when the time is up.

        Raises:
            Uncertain: Pigment no longer knows the import.
            PigmentKeyRefused, AnswerNotUnderstood: nothing can be learnt of it now.
        """
        clock = self._deadline.clock
        began_s = clock.monotonic_s()
        while True:
            state = self._look_at(import_id)
            elapsed_s = clock.monotonic_s() - began_s
            if state is None and elapsed_s > _UNKNOWN_IMPORT_GRACE_S:
                raise Uncertain(f"Pigment knows nothing of the import {import_id} that it had accepted.")
            if state is not None and state.ended:
                return state
            # The end is noticed at most a quarter of the import's own time late; a long one costs some forty looks.
            wait_s = min(_LONGEST_WAIT_S, max(_SHORTEST_WAIT_S, elapsed_s / 4))
            if not self._deadline.allows(wait_s):
                return None
            clock.sleep(wait_s)

    def get(self, path: str, what: str, **parameters: str) -> Any:
        """Any JSON object of the API."""

        def ask() -> Any:
            with self._answer("GET", path, params=parameters) as response:
                if not http.accepted(response):
                    raise self._refusal(response, what)
                return _json(response, what)

        return retry(ask, self._deadline, self._chance)

    def get_as(self, kind: type[T], path: str, what: str, **parameters: str) -> T:
        """As `get`, in the shape that the API describes."""
        return _decoded(self.get(path, what, **parameters), kind, what)

    def _look_at(self, import_id: str) -> ImportState | None:
        """An import's state; None where Pigment does not know it (yet)."""
        what = f"the import {import_id}"

        def ask() -> ImportState | None:
            # The misspelt name is Pigment's own (external API, GET /api/v1/import/{importId}/status).
            parameters = {"includedDetailedReport": "true"}
            with self._answer("GET", f"/import/{import_id}/status", params=parameters) as response:
                if response.status_code == requests.codes.not_found:
                    return None
                if not http.accepted(response):
                    raise self._refusal(response, what)
                return _decoded(_json(response, what), ImportState, what)

        return retry(ask, self._deadline, self._chance)

    def _persist(self, start: Callable[[], str]) -> str:
        try:
            return retry(start, self._deadline, self._chance)
        except _UncertainBusy as error:
            raise Uncertain(error.cause, retry_after_s=error.retry_after_s) from error

    def _start(
        self, path: str, configuration: str, handed_over: Callable[[], bool], *, repeatable: bool, **how: Any
    ) -> str:
        """One attempt at starting an import.

        429 and every 4xx say that nothing was accepted; a lost connection says so only before the last byte has left;
        a 5xx may come from a gateway behind which the push went through.
        """
        what = f"an import by the configuration {configuration}"
        try:
            with self._answer("POST", path, params={"configurationId": configuration}, **how) as response:
                if http.accepted(response):
                    return _import_id(response, what)
                if response.status_code < requests.codes.server_error:
                    raise self._refusal(response, what)
                cause = f"Pigment answered {response.status_code} when asked for {what}."
                wait_s = retry_after_s(response.headers.get("Retry-After"), self._deadline.clock.now())
        except _Unreachable as error:
            if not handed_over() or error.before_sending:
                raise PigmentBusy(f"Pigment cannot be reached: {error.kind}.") from error
            cause, wait_s = f"The connection to Pigment broke ({error.kind}) after the file had been sent.", None
        if repeatable:
            raise _UncertainBusy(cause, retry_after_s=wait_s)
        raise Uncertain(cause, retry_after_s=wait_s)

    def _answer(self, method: str, path: str, **how: Any) -> requests.Response:
        """One request; a 401 is tried once more if the secret has a newer version by now.

        Only safe to try again because a 401 accepts nothing.
        """
        key = self._secrets.read(self._key_name)
        response = self._send(method, path, key, **how)
        if response.status_code == requests.codes.unauthorized:
            newer = self._secrets.read_again(self._key_name, key)
            if newer is not None:
                response.close()
                raise PigmentBusy("The Pigment key was replaced while it was in use.", retry_after_s=0)
        return response

    def _send(self, method: str, path: str, key: Secret, **how: Any) -> requests.Response:
        try:
            return self._session.request(
                method,
                self._api + path,
                auth=http.Bearer(key.reveal()),
                timeout=(http.CONNECT_TIMEOUT_S, http.patience_s(self._deadline)),
                allow_redirects=False,
                **how,
            )
        except requests.ConnectTimeout as error:
            raise _Unreachable(http.kind_of(error), before_sending=True) from error
        except requests.RequestException as error:
            raise _Unreachable(http.kind_of(error)) from error

    def _refusal(self, response: requests.Response, what: str) -> BridgeError:
        status, words = response.status_code, http.words_of(response)
        said = f"Pigment answered {status} when asked for {what}. {words}".strip()
        if status == requests.codes.unauthorized:
            return PigmentKeyRefused(f"Pigment answered 401 to the key in the secret {self._key_name}.")
        if status == requests.codes.not_found:
            return ImportConfigurationNotFound(f"Pigment knows nothing of {what}.")
        if status == requests.codes.too_many_requests and "per hour" in words:
            # 300 imports per configuration and hour: waiting here for the hour to pass is never worth it.
            return PigmentBusy(said, retry_after_s=_HOUR_S)
        if status in http.BUSY_STATUSES:
            wait_s = retry_after_s(response.headers.get("Retry-After"), self._deadline.clock.now())
            return PigmentBusy(said, retry_after_s=wait_s)
        # Pigment answers 400, not 413, to a file over its unpublished limit (external API, push/csv).
        if status == requests.codes.request_entity_too_large or "size limit" in words.lower():
            return FileTooBig(said)
        return PigmentRefused(said)


class _Unreachable(PigmentBusy):
    def __init__(self, kind: str, *, before_sending: bool = False) -> None:
        super().__init__(f"Pigment cannot be reached: {kind}.")
        self.kind = kind
        self.before_sending = before_sending or kind in _NEVER_CONNECTED


class _UncertainBusy(PigmentBusy):
    """Uncertain, at a target where trying again does no harm."""


_NEVER_CONNECTED = frozenset({"ConnectionRefusedError", "gaierror", "NewConnectionError", "SSLCertVerificationError"})


def _import_id(response: requests.Response, what: str) -> str:
    try:
        return msgspec.json.decode(response.content, type=_Started).import_id
    except (msgspec.DecodeError, requests.RequestException):
        # Accepted, as far as 200 goes, and no id to ask by.
        raise Uncertain(f"Pigment answered {response.status_code} to {what} without an import id.") from None


class _Started(msgspec.Struct, frozen=True, rename="camel"):
    import_id: str


def _json(response: requests.Response, what: str) -> Any:
    try:
        return response.json()
    except ValueError:
        raise AnswerNotUnderstood(f"Pigment's answer about {what} is not JSON.") from None


def _decoded(value: Any, kind: type[T], what: str) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise AnswerNotUnderstood(f"Pigment's answer about {what} is not as its API describes: {error}.") from None
