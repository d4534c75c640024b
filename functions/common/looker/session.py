"""A login at Looker's API 4.0, renewed before it expires."""

import contextlib
import re
from typing import Any

import msgspec
import requests

from common import bridge_yaml
from common.looker import answers
from common.looker.calls import CallCounter
from common.platform import http, keys
from common.platform.clock import Deadline
from common.platform.errors import LookerLoginRefused, SecretUnreadable
from common.platform.secrets import LOOKER_CREDENTIALS, Secret, Secrets

_RENEW_BEFORE_EXPIRY_S = 60
_LONGEST_LOGIN_S = 60
_WHITE_SPACE_OF_JSON = re.compile(r"[\t\r\n]")


class Credentials(msgspec.Struct, frozen=True):
    """The content of the secret named by `looker.credentials`, as JSON."""

    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        return "Credentials(…)"


class _Token(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float = 3600


class LookerSession:
    """Requests with a valid token. Close it, because Looker may limit a user's live tokens."""

    def __init__(self, settings: bridge_yaml.LookerSettings, secrets: Secrets, deadline: Deadline) -> None:
        self._api = f"{settings.base_url}/api/4.0"
        self._secret_name = settings.credentials
        self._secrets = secrets
        self._deadline = deadline
        self._http = http.open_session()
        self._bearer: http.Bearer | None = None
        self._renew_at_s = 0.0
        self._has_counted_logout = False
        self.calls = CallCounter()

    def close(self) -> None:
        with self._http, contextlib.suppress(requests.RequestException):  # the token expires within the hour
            if self._bearer:
                self._http.delete(f"{self._api}/logout", auth=self._bearer, timeout=http.CONNECT_TIMEOUT_S).close()

    def send(self, method: str, path: str, what: str, *, runs_query: bool = False, **options: Any) -> requests.Response:
        """Send one request; after a 401, log in again and repeat it once. Raises LookNotFound, LookerRefused,
        LookerBusy, LookerLoginRefused or SecretUnreadable.
        """
        response = self._send(method, path, options, runs_query=runs_query)
        if response.status_code == requests.codes.unauthorized:
            response.close()
            self._bearer = None
            response = self._send(method, path, options, runs_query=runs_query)
        if http.accepted(response):
            return response
        with response:
            raise answers.refusal(response, what, self._deadline, runs_query=runs_query)

    def log_in(self) -> None:
        """Log in, unless the token is still valid."""
        if self._bearer is None or self._deadline.clock.monotonic_s() >= self._renew_at_s:
            self._log_in()

    def _send(self, method: str, path: str, options: dict[str, Any], *, runs_query: bool) -> requests.Response:
        self.log_in()
        options |= {"timeout": (http.CONNECT_TIMEOUT_S, http.patience_s(self._deadline)), "allow_redirects": False}
        self.calls.count(path)
        try:
            return self._http.request(method, self._api + path, auth=self._bearer, **options)
        except requests.RequestException as error:
            raise answers.unreachable(error, runs_query=runs_query) from error

    def _log_in(self) -> None:
        with self._login_answer() as response:
            if _is_misdirected(response):
                raise answers.misdirected_login(response)
            if _is_login_refused(response):
                login = f"the login with the secret {self._secret_name}"
                raise LookerLoginRefused(f"Looker answered {response.status_code} to {login}.")
            if not http.accepted(response):
                raise answers.refusal(response, "the login", self._deadline)
            token = answers.convert(answers.json_of(response, "the login"), _Token, "the login")
        self._bearer = http.Bearer(token.access_token)
        if not self._has_counted_logout:
            # It follows when the run has written its receipt.
            self.calls.count("/logout")
            self._has_counted_logout = True
        # A token shorter than the margin is used for half its life, not renewed at every call.
        usable_s = max(token.expires_in - _RENEW_BEFORE_EXPIRY_S, token.expires_in / 2)
        self._renew_at_s = self._deadline.clock.monotonic_s() + usable_s

    def _login_answer(self) -> requests.Response:
        """Log in with the secret in memory or, if Looker refuses it, with a newer version."""
        secret = self._secrets.read(self._secret_name)
        response = self._try_login(secret)
        newer = self._secrets.read_again(self._secret_name, secret) if _is_login_refused(response) else None
        if newer is None:
            return response
        response.close()
        return self._try_login(newer)

    def _try_login(self, secret: Secret) -> requests.Response:
        form = self._form(secret)
        try:
            # In the body, never in the URL: query parameters end up in logs (and are deprecated, API 4.0 `login`).
            timeout = (http.CONNECT_TIMEOUT_S, min(_LONGEST_LOGIN_S, http.patience_s(self._deadline)))
            self.calls.count("/login")
            return self._http.post(f"{self._api}/login", data=form, timeout=timeout, allow_redirects=False)
        except requests.RequestException as error:
            raise answers.unreachable(error) from error

    def _form(self, secret: Secret) -> dict[str, str]:
        """Return the fields of the login. Raises SecretUnreadable if the secret does not contain them."""
        try:
            return _form_of(secret.reveal())
        except ValueError as fault:
            self._secrets.forget(self._secret_name)
            next_step = f"Add a version with this JSON: {LOOKER_CREDENTIALS}."
            raise SecretUnreadable(f"The secret {self._secret_name} {fault}.", next_step=next_step) from None


def _form_of(text: str) -> dict[str, str]:
    """Return the fields of the login. Raises ValueError with the end of a sentence that says what is wrong."""
    try:
        form = msgspec.structs.asdict(msgspec.json.decode(text, type=Credentials))
    except msgspec.DecodeError:
        found = keys.invisible_character(_WHITE_SPACE_OF_JSON.sub(" ", text))
        raise ValueError(found or "does not contain Looker credentials") from None
    for field, value in form.items():
        if fault := keys.fault_of(value):
            raise ValueError(f"has a {field} that {fault}")
    return form


def _is_login_refused(response: requests.Response) -> bool:
    # Looker answers 404 to a wrong pair (Looker docs, "API troubleshooting").
    statuses = (requests.codes.unauthorized, requests.codes.forbidden, requests.codes.not_found)
    return response.status_code in statuses and not _is_misdirected(response)


def _is_misdirected(response: requests.Response) -> bool:
    """Tell if something else than Looker's API refused the login. Looker's own refusals are JSON (API 4.0, `Error`)."""
    if response.status_code not in range(requests.codes.bad_request, requests.codes.server_error):
        return False
    if http.is_temporary(response.status_code):
        return False
    try:
        return not isinstance(response.json(), dict)
    except ValueError:
        return True
