"""Secrets before they are written: those of .env, and what a person has just typed."""

import os
from collections.abc import Mapping
from pathlib import Path

from common.platform import keys
from common.platform.errors import SecretUnreadable
from common.platform.secrets import Secret, Secrets
from common.runs import instance
from common.runs.instance import Instance
from local import own_files
from local.sandbox.secrets import MalformedLine, values_of


class HeldSecrets(Secrets):
    """Secrets in memory, with the methods that the clients of Looker and Pigment use."""

    def __init__(self, env_file: Path) -> None:
        super().__init__("", lambda: None)
        self._env_file = env_file
        self._of_deployment = instance.current.secrets if os.environ.get("BRIDGE_BUCKET") else None
        self._text = "" if self._of_deployment else _read(env_file)
        self._values = values_of(self._text)
        self._new: dict[str, str] = {}

    @property
    def are_deployed(self) -> bool:
        """Whether they are in Secret Manager, where a person adds them with gcloud."""
        return self._of_deployment is not None

    def has(self, name: str) -> bool:
        if self._of_deployment is None:
            return bool(self._values.get(name))
        self._of_deployment.read(name)
        return True

    def put(self, name: str, value: str) -> None:
        """Hold a new value. It is written by `save`."""
        if self._values.get(name) != value:
            self._values[name] = self._new[name] = value

    def read(self, name: str) -> Secret:
        if self._of_deployment is not None:
            return self._of_deployment.read(name)
        value = self._values.get(name, "").strip()
        # The fields of a JSON object are checked where they are used.
        fault = "is missing" if not value else None if value.startswith("{") else keys.fault_of(value)
        if fault is not None:
            raise SecretUnreadable(f"The secret {name} {fault}.", next_step="Type or paste the key alone.")
        return Secret(value)

    def read_again(self, name: str, refused: Secret) -> Secret | None:
        del name, refused
        return None

    def forget(self, name: str) -> None:
        """Keep the value: there is no newer one to read."""

    def instance(self) -> Instance:
        """Return an instance whose clients use these secrets."""
        own = Instance(instance.current.clock, instance.current.chance)
        own.secrets = self
        return own

    @property
    def is_new(self) -> bool:
        return bool(self._new)

    def save(self) -> None:
        """Write the new values into the env file, below what is there.

        Raises:
            OurFault: it cannot be written.
        """
        if not self._new:
            return
        kept = [line for line in self._text.splitlines(keepends=True) if not _names_one_of(line, self._new)]
        end = "" if not kept or kept[-1].endswith("\n") else "\n"
        own_files.replace(self._env_file, "".join(kept) + end + own_files.env_lines(self._new), is_secret=True)


def _read(env_file: Path) -> str:
    try:
        text = env_file.read_text(encoding="utf-8")
        values_of(text)
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError, MalformedLine) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SecretUnreadable(
            f"The secrets file {env_file} cannot be read: {reason}",
            next_step="Write one line NAME=VALUE for each secret, or name another file with --env-file.",
        ) from None
    return text


def _names_one_of(line: str, names: Mapping[str, str]) -> bool:
    return not line.lstrip().startswith("#") and line.partition("=")[0].strip() in names
