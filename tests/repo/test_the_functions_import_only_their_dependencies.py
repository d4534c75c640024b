"""The deployed functions are self-contained: `common`, one entry file, and the packages that pyproject.toml names."""

import functools
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.imported_modules import imported

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
FUNCTIONS = ROOT / "functions"
ENTRY_FILES = sorted(FUNCTIONS.glob("*.py"))
COMMON = sorted((FUNCTIONS / "common").rglob("*.py"))
DEPENDENCIES = {
    canonicalize_name(Requirement(line).name)
    for line in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
}
ONLY_DATA = {"tzdata"}

# Google documents that these come with the dependencies and can be used directly.
COMES_WITH_THEM = {"flask", "werkzeug", "google-api-core", "google-auth", "google-crc32c"}
OF_GOOGLE = {
    "google.api_core": "google-api-core",
    "google.auth": "google-auth",
    "google.oauth2": "google-auth",
    "google.cloud.secretmanager": "google-cloud-secret-manager",
    "google.cloud.storage": "google-cloud-storage",
}

NOT_BEFORE_IT_IS_USED = {
    "google.cloud.secretmanager",
    "google.cloud.secretmanager_v1",
    "duckdb",
    "google_crc32c",
    "looker_sdk",
    "pyarrow",
    "pycurl",
    "rich",
    "typer",
    "yaml",
}
"Without `grpc`, which google.api_core.exceptions always loads if it is installed."
USED_BY_EVERY_CALL = {"pigment_export": {"google_crc32c", "pycurl"}}

IMPORT = """
import json, sys

class OutOfReach:
    def __init__(self, names):
        self.names = set(names)
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"{name} is not deployed", name=name)

sys.meta_path.insert(0, OutOfReach(json.loads(sys.argv[2])))
__import__(sys.argv[1])
print(json.dumps(sorted(sys.modules)))
"""


@functools.cache
def installed() -> Mapping[str, list[str]]:
    """Return the packages of each importable name."""
    return importlib.metadata.packages_distributions()


def tops(file: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(file)}


def package_of(module: str) -> str:
    """Return the name of the package that contains a module."""
    top = module.partition(".")[0]
    if top == "google":
        return next((name for prefix, name in OF_GOOGLE.items() if f"{module}.".startswith(f"{prefix}.")), module)
    return canonicalize_name(next(iter(installed().get(top, [module]))))


def foreign(file: Path) -> set[str]:
    """Return the third-party packages that a file imports."""
    own = {"common", *(entry.stem for entry in ENTRY_FILES)}
    return {
        package_of(module)
        for module in imported(file)
        if (top := module.partition(".")[0]) not in own and top not in sys.stdlib_module_names
    }


def out_of_reach() -> list[str]:
    """Return the modules that are installed here but not deployed."""
    pinned = re.findall(r"^([a-z0-9-]+)==", (FUNCTIONS / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    packages = installed()
    strangers = [top for top, names in packages.items() if not {canonicalize_name(name) for name in names} & {*pinned}]
    return [*(top for top in strangers if not (FUNCTIONS / f"{top}.py").exists() and top != "common"), "local"]


def test_nothing_deployed_imports_a_function_or_local() -> None:
    barred = {"local", "tests", *(entry.stem for entry in ENTRY_FILES)}

    assert {file: found for file in (*ENTRY_FILES, *COMMON) if (found := tops(file) & barred)} == {}


def test_only_packages_that_pyproject_names_are_imported() -> None:
    allowed = DEPENDENCIES | COMES_WITH_THEM

    assert {file: found for file in (*ENTRY_FILES, *COMMON) if (found := foreign(file) - allowed)} == {}


def test_every_dependency_is_imported_somewhere() -> None:
    used = {package for file in (*ENTRY_FILES, *COMMON) for package in foreign(file)}

    assert DEPENDENCIES - used == ONLY_DATA


@pytest.mark.parametrize("entry", [file.stem for file in ENTRY_FILES])
def test_a_function_loads_where_nothing_but_its_requirements_is_installed(entry: str) -> None:
    """It needs no setting, and does not load the modules that only some calls use."""
    interpreter = subprocess.run(
        [sys.executable, "-c", IMPORT, entry, json.dumps(out_of_reach())],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(FUNCTIONS)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert interpreter.returncode == 0, interpreter.stderr
    too_early = NOT_BEFORE_IT_IS_USED - USED_BY_EVERY_CALL.get(entry, set())
    assert too_early.isdisjoint(json.loads(interpreter.stdout))
