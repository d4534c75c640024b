"""Pigment's import API: push a file or trigger an import, and ask how the import ended.

The answer 200 to a push means *queued*; only the import's status, with its detailed report, says what landed. Pigment
has no idempotency key, so a push without an answer is `LandingUnconfirmed`, and is retried only where that is safe.
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec
import requests

from common.pigment.client import PigmentClient, Unreachable
from common.pigment.import_state import ImportState
from common.pigment.pace import ImportPace, ImportTime
from common.pigment.refusals import Purpose
from common.platform import http
from common.platform.causes import in_words
from common.platform.clock import Deadline
from common.platform.errors import (
    AnswerNotUnderstood,
    BridgeError,
    ImportConfigurationNotFound,
    LandingUnconfirmed,
    OutOfTime,
)
from common.platform.explanations import beginning_of, explanation_in
from common.platform.retry import retry, retry_after_s

_PATHS: dict[Purpose, str] = {"push": "/import/push/csv", "trigger": "/import/trigger"}

_UNKNOWN_IMPORT_GRACE_S = 60.0
"How long a 404 for an import that was just accepted means: not yet."


class Handover(Protocol):
    """What a run does at the moments at which an attempt may change what Pigment has."""

    def begin(self) -> None:
        """Called before an attempt's last byte. If it raises an error, the request is broken off: nothing was sent."""

    def undo(self) -> None:
        """Called after Pigment accepted nothing of all attempts so far."""


class UploadBody:
    """A file to upload, read block by block. Its length is known, because Pigment documents no chunked uploads.

    `before_last` is called before the last block is handed out. Without it, Pigment has no complete request to accept.
    """

    def __init__(self, blocks: Iterable[bytes], size_bytes: int, deadline: Deadline) -> None:
        self._blocks = iter(blocks)
        self._rest = memoryview(b"")
        self._left = self._size_bytes = size_bytes
        self._deadline = deadline
        self.before_last: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        return self._size_bytes

    def read(self, size: int = -1) -> bytes:
        if not self._rest:
            self._rest = memoryview(next(self._blocks, b""))
        piece = self._rest if size < 0 else self._rest[:size]
        self._rest = self._rest[len(piece) :]
        if piece:
            self._expect_permission(len(piece))
            self._left -= len(piece)
        return bytes(piece)

    def _expect_permission(self, piece_bytes: int) -> None:
        if piece_bytes >= self._left:
            self.before_last()
        if not self._deadline.allows(0):
            raise OutOfTime("Pigment was still reading the file when the time budget ended; it has not accepted it.")

    @property
    def is_sent(self) -> bool:
        """Whether the last byte was read. Before that Pigment cannot have a complete request to accept."""
        return self._left <= 0


class _NoImportId(LandingUnconfirmed):
    """Pigment accepted the file, so that another attempt would only import it again."""


class _Started(msgspec.Struct, frozen=True, rename="camel"):
    import_id: str


def push(
    pigment: PigmentClient,
    configuration: str,
    open_body: Callable[[], UploadBody],
    handover: Handover,
    *,
    repeatable: bool,
) -> str:
    """Push a file to an import configuration, by its id, and return the id of the import that it started.

    The file is opened once per attempt. A push that Pigment may have accepted is retried only if that is `repeatable`.

    Raises:
        LandingUnconfirmed: Pigment may have accepted it.
        PigmentBusy: Pigment did not accept it, and the time or the attempts are used up.
        PigmentKeyRefused, ImportConfigurationNotFound, FileTooBig, FileRefused, PigmentRefused, AnswerNotUnderstood:
            Pigment did not accept it.
    """

    def push_once() -> str:
        body = open_body()
        body.before_last = handover.begin
        headers = {"Content-Type": "text/csv"}
        return _start(pigment, "push", configuration, lambda: body.is_sent, data=body, headers=headers)

    return _retry(pigment, repeatable, handover, push_once)


def trigger(pigment: PigmentClient, configuration: str, handover: Handover, *, repeatable: bool) -> str:
    """Start the import of a configuration that reads its own source. Returns and raises as `push` does."""

    def trigger_once() -> str:
        handover.begin()
        return _start(pigment, "trigger", configuration, lambda: True)

    return _retry(pigment, repeatable, handover, trigger_once)


def follow(pigment: PigmentClient, import_id: str, rows: int, pace: ImportPace) -> ImportState | None:
    """Wait until an import has ended and return its state; None if it is still in progress when the time is up.

    Args:
        rows: how many rows it imports.
        pace: of the imports by the same configuration; it learns from this one.

    Raises LandingUnconfirmed if Pigment no longer knows the import, PigmentKeyRefused, PigmentRefused,
    AnswerNotUnderstood or PigmentBusy if the state is not available now.
    """
    clock = pigment.deadline.clock
    began_s, wait_s = clock.monotonic_s(), pace.first_wait_s(rows)
    if wait_s and pigment.deadline.allows(wait_s):
        clock.sleep(wait_s)
    while True:
        state = _state(pigment, import_id)
        elapsed_s = clock.monotonic_s() - began_s
        if state is None and elapsed_s > _UNKNOWN_IMPORT_GRACE_S:
            raise LandingUnconfirmed(f"Pigment no longer knows the import {import_id} that it had accepted.")
        if state is not None and state.ended:
            pace.last = ImportTime(rows, elapsed_s)
            return state
        wait_s = pace.next_wait_s(rows, elapsed_s)
        if not pigment.deadline.allows(wait_s):
            return None
        clock.sleep(wait_s)


def _state(pigment: PigmentClient, import_id: str) -> ImportState | None:
    """Return an import's state; None if Pigment does not know it (yet)."""
    # The spelling of this parameter is Pigment's (external API, GET /api/v1/import/{importId}/status).
    parameters = {"includedDetailedReport": "true"}
    try:
        return pigment.get_as(ImportState, f"/import/{import_id}/status", f"the import {import_id}", **parameters)
    except ImportConfigurationNotFound:  # the error of any 404
        return None


def _retry(pigment: PigmentClient, repeatable: bool, handover: Handover, start: Callable[[], str]) -> str:
    """Retry a start. After an error that leaves open whether Pigment has the file, retry only if it is repeatable."""
    is_open = False

    def attempt() -> str:
        nonlocal is_open
        try:
            return start()
        except LandingUnconfirmed:
            is_open = True
            raise
        except BridgeError:
            if not is_open:
                handover.undo()
            raise

    harmful = _NoImportId if repeatable else LandingUnconfirmed
    return retry(attempt, pigment.deadline, pigment.chance, but_not=harmful)


def _start(
    pigment: PigmentClient, purpose: Purpose, configuration: str, is_sent: Callable[[], bool], **options: Any
) -> str:
    """Make one attempt to start an import.

    Pigment accepted nothing if the connection broke, or a refusal came, before the last byte was sent; if the status is
    below 500; and if it is 503 with `Retry-After`, which asks to send it again. Any other 5xx may come from a gateway
    behind which the push succeeded.
    """
    what = f"an import by the configuration {configuration}"
    try:
        with pigment.send("POST", _PATHS[purpose], params={"configurationId": configuration}, **options) as response:
            if http.accepted(response):
                return _import_id(response, what)
            wait_s = retry_after_s(response.headers.get("Retry-After"), pigment.deadline.clock.now())
            is_asked_again = response.status_code == requests.codes.service_unavailable and wait_s is not None
            if response.status_code < requests.codes.server_error or is_asked_again or not is_sent():
                raise pigment.refusal(response, what, purpose)
            # What a gateway says is not quoted: it may repeat the file.
            cause = f"Pigment answered {response.status_code} when asked for {what}."
            raise LandingUnconfirmed(cause, retry_after_s=wait_s)
    except Unreachable as error:
        if error.was_never_sent or not is_sent():
            raise error.as_busy() from error
        raise LandingUnconfirmed(
            f"The connection to Pigment broke after the file was sent: {in_words(error.kind)}."
        ) from error


def _import_id(response: requests.Response, what: str) -> str:
    """Raise AnswerNotUnderstood if a web page answered, behind which Pigment accepted nothing."""
    status = response.status_code
    body = beginning_of(response.iter_content(None))
    try:
        return msgspec.json.decode(body, type=_Started).import_id
    except msgspec.DecodeError:
        if explanation_in(body, response.headers.get("Content-Type", ""), ()).is_web_page:
            page = f"Pigment's address answered {status} with a web page when asked for {what}."
            raise AnswerNotUnderstood(page) from None
        raise _NoImportId(f"Pigment answered {status} to {what} without an import id.") from None
