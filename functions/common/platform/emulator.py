"""Emulators of Google's services, on a developer's machine."""

import os
from collections.abc import Mapping
from typing import Any


def has_storage(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether an emulator takes the place of Cloud Storage."""
    return bool(environment.get("STORAGE_EMULATOR_HOST"))


def credentials(environment: Mapping[str, str] = os.environ) -> Any:
    """Return credentials with the token `BRIDGE_EMULATOR_TOKEN`, or without a token if there is none."""
    token = environment.get("BRIDGE_EMULATOR_TOKEN")
    if token:
        from google.oauth2.credentials import Credentials  # noqa: PLC0415  # only on a developer's machine

        return Credentials(token)
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415

    return AnonymousCredentials()
