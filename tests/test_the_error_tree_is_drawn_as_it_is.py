"""The drawing in `common.errors` is the tree, every error says what to do, and no other library's error gets past."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google.auth.transport.requests
import pytest
import requests
from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors
from google.cloud.storage import exceptions as storage_errors

from common import errors, store
from common.errors import BridgeError, SecretUnreadable, StorageBusy, StorageRefused
from common.secrets import Secrets

FUNCTIONS = Path(__file__).parent.parent / "functions"
LEAVES = list(errors.every_error())
DEPLOYED = [file for file in FUNCTIONS.rglob("*.py") if "local" not in file.relative_to(FUNCTIONS).parts]

_DRAWN = re.compile(r"^    ((?:[│ ]   )*(?:[├└]── )?)([A-Z]\w+)(?: +(\d{3}))?(?:  .*)?$", re.MULTILINE)


def public_children(kind: type[BridgeError]) -> list[type[BridgeError]]:
    return [child for child in kind.__subclasses__() if not child.__name__.startswith("_")]


def drawn(kind: type[BridgeError], beginning: str = "", below: str = "") -> Iterator[tuple[str, str, str]]:
    """A part of the tree as its drawing has to have it: branches, name, and status where one is set."""
    yield beginning, kind.__name__, str(kind.__dict__.get("status", ""))
    *others, last = [*public_children(kind), None]
    children = others
    for child in children:
        is_last = child is children[-1]
        yield from drawn(child, below + ("└── " if is_last else "├── "), below + ("    " if is_last else "│   "))


def every_kind(kind: type[Exception]) -> list[type[Exception]]:
    """A class and all of its subclasses."""
    return [kind, *(each for child in kind.__subclasses__() for each in every_kind(child))]
