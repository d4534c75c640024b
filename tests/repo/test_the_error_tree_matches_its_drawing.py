"""The drawing of the error tree is correct, every error has a next step, and no library's error leaves its module."""

import ast
import contextlib
import functools
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

from common.platform import errors
from common.platform.errors import BridgeError, SecretUnreadable, StorageBusy, StorageRefused
from common.platform.secrets import Secrets
from common.storage.refusals import storage_errors

FUNCTIONS = Path(__file__).parents[2] / "functions"
DEPLOYED = [file for file in FUNCTIONS.rglob("*.py") if "local" not in file.relative_to(FUNCTIONS).parts]
LEAVES = list(errors.every_error())

_LINE = re.compile(r"    ([│├└─ ]*)(\w+)(?: +(\d{3}))?(?:  .*)?")


def drawn() -> list[tuple[str, str, str]]:
    """Return the lines of the docstring: branches, name, and status if it has one."""
    drawing = (errors.__doc__ or "").split("\n\n")[1]
    lines = [_LINE.fullmatch(line) for line in drawing.split("\n")]
    return [(line[1], line[2], line[3] or "") for line in lines if line]


def grown(kind: type[BridgeError] = BridgeError, branch: str = "", trunk: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield the classes as lines of the drawing."""
    yield branch, kind.__name__, str(vars(kind).get("status", ""))
    children = [child for child in kind.__subclasses__() if not child.__name__.startswith("_")]
    for child in children:
        last = child is children[-1]
        yield from grown(child, trunk + ("└── " if last else "├── "), trunk + ("    " if last else "│   "))


def every_kind(kind: type[Any]) -> list[type[Any]]:
    """Return a class and all of its subclasses."""
    return [kind, *(each for child in kind.__subclasses__() for each in every_kind(child))]


def named(file: Path) -> set[str]:
    """Return every name that a file uses."""
    return {node.id for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.Name)}


def constructed(file: Path) -> set[str]:
    """Return every name that a file calls, such as `StreamCut(…)`."""
    calls = (node.func for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.Call))
    return {function.id for function in calls if isinstance(function, ast.Name)}


def made(kind: type[Exception]) -> Exception:
    """Create an exception of a library, with the arguments that it requires."""
    response = requests.Response()
    response.status_code = 500
    if issubclass(kind, InvalidResponse | DataCorruption):
        return kind(response, "message")
    for wanted in (), (ValueError("why"),), ("", 0):
        with contextlib.suppress(TypeError):
            return kind("message", *wanted)
    raise AssertionError(f"how is {kind} made?")


def test_the_drawing_shows_every_class_with_its_status() -> None:
    assert drawn() == list(grown())


def test_every_error_has_a_cause_and_a_next_step() -> None:
    for leaf in LEAVES:
        assert vars(leaf)["__doc__"].strip().endswith("."), leaf
        assert leaf("A cause.").next_step.strip().endswith((".", "`.")), leaf
        assert 400 <= leaf.status < 600, leaf


def test_every_code_is_snake_case_and_names_one_error() -> None:
    codes = [errors.code_of(leaf) for leaf in LEAVES]

    assert len(set(codes)) == len(codes)
    assert [code for code in codes if not re.fullmatch(r"[a-z]+(_[a-z]+)*", code)] == []
    assert [errors.class_of(code).status for code in codes] == [leaf.status for leaf in LEAVES]


def test_only_leaves_are_raised() -> None:
    branches = {kind.__name__ for kind in every_kind(BridgeError)} - {leaf.__name__ for leaf in LEAVES}
    public = {name for name in branches if not name.startswith("_")}

    assert {file: raised for file in DEPLOYED if (raised := constructed(file) & public)} == {}


def test_every_leaf_is_raised_somewhere() -> None:
    used = set[str]().union(*(named(file) for file in DEPLOYED))

    assert [leaf.__name__ for leaf in LEAVES if leaf.__name__ not in used] == []


def test_other_modules_extend_the_tree_only_with_their_own_kinds() -> None:
    for file in DEPLOYED:
        importlib.import_module(".".join(file.relative_to(FUNCTIONS).with_suffix("").parts).removesuffix(".__init__"))

    elsewhere = [kind for kind in every_kind(BridgeError) if kind.__module__ != errors.__name__]
    assert [kind.__name__ for kind in elsewhere if not kind.__name__.startswith("_")] == []
    assert [kind.__name__ for kind in elsewhere if kind.__mro__[1] not in {*LEAVES, *elsewhere}] == []


FOREIGN = [
    *every_kind(requests.RequestException),
    *every_kind(GoogleAPIError),
    *every_kind(GoogleAuthError),
]
OF_STORAGE = [*every_kind(InvalidResponse), *every_kind(DataCorruption)]


def test_no_library_error_leaves_the_store() -> None:
    for kind in [*FOREIGN, *OF_STORAGE]:
        error = made(kind)
        with (
            pytest.raises((StorageBusy, StorageRefused), match="read the thing") as caught,
            storage_errors("read the thing"),
        ):
            raise error
        assert caught.value.__cause__ is error
        assert "message" not in caught.value.cause, kind


class RefusingClient:
    """A client of Secret Manager that always fails with one error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def access_secret_version(self, **_: object) -> object:
        raise self.error


def test_no_library_error_leaves_the_secrets() -> None:
    for error in map(made, FOREIGN):
        secrets = Secrets("project", functools.partial(RefusingClient, error))
        with pytest.raises(SecretUnreadable, match="looker-api") as caught:
            secrets.read("looker-api")
        assert "message" not in caught.value.cause, error
