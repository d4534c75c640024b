"""A session with Pigment's external API: one request at a time, with the key of a secret and within a time budget."""

import random
from typing import Any, Self, TypeVar

import msgspec
import requests
from urllib3.util import Timeout

from common import bridge_yaml
from common.pigment.refusals import PigmentRequest, Purpose, error_of
from common.platform import http
from common.platform.causes import in_words, name_of
from common.platform.clock import Deadline
from common.platform.errors import AnswerNotUnderstood, BridgeError, PigmentBusy
from common.platform.explanations import explanation_of
from common.platform.retry import retry
from common.platform.secrets import Secret, Secrets

T = TypeVar("T")

_NEVER_CONNECTED = frozenset({"ConnectionRefusedError", "gaierror", "NewConnectionError", "SSLCertVerificationError"})


class Unreachable(Exception):
    """A request got no answer."""

    def __init__(self, kind: str, *, was_never_sent: bool = False) -> None:
        super().__init__(kind)
        self.kind = kind
        self.was_never_sent = was_never_sent or kind in _NEVER_CONNECTED

    def as_busy(self) -> PigmentBusy:
        return PigmentBusy(f"Pigment cannot be reached: {in_words(self.kind)}.")


class PigmentClient:
    """A session as the owner of the import key."""

    def __init__(
        self, settings: bridge_yaml.PigmentSettings, secrets: Secrets, deadline: Deadline, chance: random.Random
    ) -> None:
        self.settings = settings
        self.deadline = deadline
        self.chance = chance
        self._api = f"{settings.url}/api/v1"
        self._key_name = settings.import_key
        self._secrets = secrets
        self._session = http.open_session()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def get(self, path: str, what: str, **parameters: str) -> Any:
        """Request any JSON object of the API; `what` names it in messages, such as `the views of an application`.
        Raises PigmentKeyRefused, ImportConfigurationNotFound, PigmentRefused, AnswerNotUnderstood or PigmentBusy.
        """

        def request() -> Any:
            try:
                with self.send("GET", path, params=parameters) as response:
                    if not http.accepted(response):
                        raise self.refusal(response, what)
                    return _decode_json(response, what)
            except Unreachable as error:
                raise error.as_busy() from error

        return retry(request, self.deadline, self.chance)

    def get_as(self, kind: type[T], path: str, what: str, **parameters: str) -> T:
        """Request an object and convert it to the type that the API describes. Raises as `get` does."""
        try:
            return msgspec.convert(self.get(path, what, **parameters), kind)
        except msgspec.ValidationError as error:
            mismatch = f"Pigment's answer about {what} does not match its API description: {error}."
            raise AnswerNotUnderstood(mismatch) from None

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send one request, without a retry, and return its answer, whatever the status. Raises Unreachable if there is
        none, and PigmentBusy after a 401 if the secret has a newer key: a 401 accepts nothing, so a retry is safe.
        """
        key = self._secrets.read(self._key_name)
        response = self._send_with(key, method, path, **options)
        if response.status_code == requests.codes.unauthorized:
            newer = self._secrets.read_again(self._key_name, key)
            if newer is not None:
                response.close()
                raise PigmentBusy("The Pigment key was replaced while it was in use.", retry_after_s=0)
        return response

    def refusal(self, response: requests.Response, what: str, purpose: Purpose = "read") -> BridgeError:
        """Return the error for an answer that is not a 2xx."""
        request = PigmentRequest(purpose, what, self._key_name)
        explanation, now = explanation_of(response), self.deadline.clock.now()
        return error_of(request, response.status_code, response.headers, explanation, key="", now=now)

    def _send_with(self, key: Secret, method: str, path: str, **options: Any) -> requests.Response:
        try:
            # The total counts from the connection on: an upload takes from the time that is left for the answer.
            patience_s = http.patience_s(self.deadline)
            timeout = Timeout(connect=min(http.CONNECT_TIMEOUT_S, patience_s), total=patience_s)
            options |= {"timeout": timeout, "allow_redirects": False}
            return self._session.request(method, self._api + path, auth=http.Bearer(key.reveal()), **options)
        except requests.RequestException as error:
            never_sent = isinstance(error, requests.ConnectTimeout)
            raise Unreachable(name_of(error), was_never_sent=never_sent) from error


def _decode_json(response: requests.Response, what: str) -> Any:
    try:
        return response.json()
    except ValueError:
        raise AnswerNotUnderstood(f"Pigment's answer about {what} is not JSON.") from None
