"""Logins at Looker and Pigment with addresses and keys that are asked for until they work."""

import contextlib
import urllib.parse
import uuid
from collections.abc import Iterator

import msgspec
import requests

from common import bridge_yaml
from common.bridge_yaml import Bridge, LookerSettings, PigmentSettings
from common.looker import answers
from common.looker.client import LookerClient
from common.platform import http
from common.platform.errors import (
    BridgeError,
    BridgeFileInvalid,
    ImportConfigurationNotFound,
    LookerBusy,
    LookerLoginRefused,
    MalformedRequest,
    PigmentKeyRefused,
    SecretUnreadable,
)
from local import terminal
from local.catalogue import SCOPE, Catalogue, open_client
from local.interactive_deadline import InteractiveDeadline
from local.setup.answers import Answers
from local.setup.held_secrets import HeldSecrets
from local.setup.questions import Questions

LOOKER_SECRET = "looker-api"  # noqa: S105  # the name of a secret
KEY_SECRETS = {"Import": "pigment-import-key", "Export": "pigment-export-key"}
_CHECK_NETWORK = "Check the address, and the network between this machine and Looker."
_EXAMPLE = "https://acme.cloud.looker.com"
TOKEN_SECRET = "looker-webhook-token"  # noqa: S105


class VendorLogins:
    """The sections of bridge.yaml before the jobs, completed as a job needs them."""

    def __init__(self, bridge: Bridge, secrets: HeldSecrets, questions: Questions, given: Answers) -> None:
        self.looker = bridge.looker
        self.pigment = bridge.pigment
        self.webhook = bridge.webhook
        self.added: dict[str, dict[str, str]] = {"looker": {}, "pigment": {}, "webhook": {}}
        "The keys that bridge.yaml lacks, by section."
        self._secrets = secrets
        self._questions = questions
        self._given = given

    @contextlib.contextmanager
    def open_looker(self) -> Iterator[LookerClient]:
        """Log in at Looker."""
        self._complete_looker()
        while not self._has_looker_key():
            pass
        instance = self._secrets.instance()
        with LookerClient(
            self.looker, instance.secrets, InteractiveDeadline(instance.clock), instance.chance
        ) as looker:
            yield looker

    @contextlib.contextmanager
    def open_pigment(self, scope: str) -> Iterator[Catalogue]:
        """Log in at Pigment with a key that has the scope and may list names.

        Args:
            scope: Import or Export.
        """
        field = f"{scope.lower()}_key"
        if self._given.pigment_url and "url" not in self.added["pigment"] and self._is_new_pigment:
            self._add("pigment", "url", _address(self._given.pigment_url, "pigment"))
        if not getattr(self.pigment, field):
            self._add("pigment", field, KEY_SECRETS[scope])
        name = getattr(self.pigment, field)
        while not self._has_pigment_key(name, scope):
            pass
        with open_client(self.pigment, self._secrets.instance(), name) as pigment:
            yield Catalogue(pigment)

    def complete_webhook(self) -> None:
        """Make sure that there is a token of webhook deliveries."""
        if not self.webhook.token:
            self._add("webhook", "token", TOKEN_SECRET)
        if self._given.webhook_token:
            self._secrets.put(self.webhook.token, self._given.webhook_token)
        elif not self._secrets.has(self.webhook.token):
            question = "Looker's webhook token, from Admin > Webhooks in Looker"
            self._secrets.put(self.webhook.token, self._hidden(self.webhook.token, question, "--webhook-token"))

    @property
    def _is_new_pigment(self) -> bool:
        return not (self.pigment.import_key or self.pigment.export_key)

    def _complete_looker(self) -> None:
        given = self._given.looker_url
        while not self.looker.base_url:
            text = given or self._questions.text(f"Looker's address, such as {_EXAMPLE}", "--looker-url")
            given = ""
            try:
                url = _address(text, "looker")
                _expect_answer(url)
            except LookerBusy as error:
                self._questions.show_error(error, _CHECK_NETWORK)
            except MalformedRequest as error:
                self._questions.show_error(error)
            else:
                self._add("looker", "url", url)
        if not self.looker.credentials:
            self._add("looker", "credentials", LOOKER_SECRET)

    def _has_looker_key(self) -> bool:
        """Try the login, and ask again for what is wrong."""
        name, given = self.looker.credentials, self._given
        if given.looker_client_id and given.looker_client_secret:
            self._put_looker_key(given.looker_client_id, given.looker_client_secret)
        elif not self._secrets.has(name):
            self._ask_looker_key()
        instance = self._secrets.instance()
        deadline = InteractiveDeadline(instance.clock)
        try:
            with LookerClient(self.looker, instance.secrets, deadline, instance.chance) as looker:
                user = looker.get_as(_OwnUser, "/user", "its own user", fields="display_name")
        except (LookerLoginRefused, SecretUnreadable) as error:
            self._questions.show_error(
                error, "Give ID and secret again. Looker shows a secret only when it creates a key."
            )
            given.looker_client_id = given.looker_client_secret = ""
            self._ask_looker_key()
            return False
        except BridgeError as error:
            self._questions.show_error(error, _CHECK_NETWORK)
            if "url" not in self.added["looker"]:
                return self._questions.try_again_or(error)
            given.looker_url = ""
            self.looker = msgspec.structs.replace(self.looker, url="")
            self._complete_looker()
            return False
        terminal.say(f"Looker accepts the login, as {user.display_name or 'a user without a name'}.")
        return True

    def _ask_looker_key(self) -> None:
        if self._questions.can_ask:
            terminal.say("Looker's API key: in Looker, Admin > Users > the bridge's user > API keys > Edit.")
        client_id = self._questions.text("Client ID", "--looker-client-id")
        secret = self._hidden(self.looker.credentials, "Client secret", "--looker-client-secret")
        self._put_looker_key(client_id, secret)

    def _put_looker_key(self, client_id: str, client_secret: str) -> None:
        content = msgspec.json.encode({"client_id": client_id, "client_secret": client_secret}).decode()
        self._secrets.put(self.looker.credentials, content)

    def _has_pigment_key(self, name: str, scope: str) -> bool:
        """Try the key, and ask for another one if Pigment refuses it."""
        if self._given.pigment_key:
            self._secrets.put(name, self._given.pigment_key)
        elif not self._secrets.has(name):
            question = f"Pigment's API key, with the scopes {scope} and {SCOPE}"
            self._secrets.put(name, self._hidden(name, question, "--pigment-key"))
        try:
            self._try_pigment_key(name, scope)
        except (PigmentKeyRefused, SecretUnreadable) as error:
            self._questions.show_error(error)
            self._given.pigment_key = ""
            question = f"Another key with the scopes {scope} and {SCOPE}"
            self._secrets.put(name, self._hidden(name, question, "--pigment-key"))
            return False
        except BridgeError as error:
            self._questions.show_error(error, "Check the network between this machine and Pigment.")
            return self._questions.try_again_or(error)
        terminal.say(f"Pigment accepts the key for {scope}, and lists names.")
        return True

    def _try_pigment_key(self, name: str, scope: str) -> None:
        """Raise PigmentKeyRefused if the key lacks a scope; Pigment answers 401 then."""
        unknown = f"/import/{uuid.uuid4()}/status" if scope == "Import" else f"/export/view/{uuid.uuid4()}"
        with open_client(self.pigment, self._secrets.instance(), name) as pigment:
            # 404 to an accepted key that asks for something unknown.
            with contextlib.suppress(ImportConfigurationNotFound):
                pigment.get(unknown, "an unknown id")
            try:
                _ = Catalogue(pigment).applications
            except PigmentKeyRefused:
                raise PigmentKeyRefused(
                    f"Pigment accepts the key for {scope}, but not for its names: it lacks the scope {SCOPE}.",
                    next_step=f"In Pigment, create a key with both scopes, {scope} and {SCOPE}.",
                ) from None

    def _hidden(self, name: str, question: str, flag: str) -> str:
        if self._secrets.are_deployed:
            raise MalformedRequest(
                f"The secret {name} of the deployed bridge does not work.",
                next_step=f"Run `gcloud secrets versions add {name.rpartition('/')[2]} --data-file=-` and start again.",
            )
        return self._questions.hidden(question, flag)

    def _add(self, section: str, key: str, value: str) -> None:
        self.added[section][key] = value
        settings: LookerSettings | PigmentSettings = getattr(self, section)
        setattr(self, section, msgspec.structs.replace(settings, **{key: value}))


class _OwnUser(msgspec.Struct, frozen=True):
    display_name: str | None = None


def _address(text: str, section: str) -> str:
    """Return the address in the form of bridge.yaml, also that of a page, copied from a browser.

    Raises:
        MalformedRequest: it is no address.
    """
    parts = urllib.parse.urlsplit(text if "://" in text else f"https://{text}")
    url = f"{parts.scheme}://{parts.netloc}"
    try:
        bridge_yaml.decode({section: {"url": url}})
    except BridgeFileInvalid as error:
        problem = error.cause.removeprefix(f"{section}.url: ").partition("; ")[0]
        raise MalformedRequest(
            f"The address {problem}.", next_step=f"Copy it from the browser, such as {_EXAMPLE}."
        ) from None
    return url


def _expect_answer(url: str) -> None:
    """Raise LookerBusy if nothing answers at an address. Every status will do: the login shows if it is Looker."""
    with http.open_session() as session:
        try:
            session.get(f"{url}/versions", timeout=http.CONNECT_TIMEOUT_S, allow_redirects=False, stream=True).close()
        except requests.RequestException as error:
            raise answers.unreachable(error) from None
