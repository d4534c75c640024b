"""The folders of functions/common are layers: a package imports only from the layers below it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

FUNCTIONS = Path(__file__).parents[2] / "functions"
COMMON = FUNCTIONS / "common"

LAYERS = [
    {"flows"},
    {"loads"},
    {"runs"},
    {"looker", "pigment"},
    {"tables"},
    {"storage"},
    {"bridge_yaml"},
    {"platform"},
]
"The highest first. The packages of one layer do not import from each other."

ENTRY_FILES = sorted(FUNCTIONS.glob("*.py"))
MODULES = sorted(COMMON.rglob("*.py"))


def imported(file: Path) -> Iterator[str]:
    """Yield the modules that a file imports, with the names that it imports from a package."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def packages_of_common(file: Path) -> set[str]:
    return {name.split(".")[1] for name in imported(file) if name.startswith("common.")}


def allowed_for(package: str) -> set[str]:
    """Return a package itself and the packages of the layers below it."""
    place = next(place for place, layer in enumerate(LAYERS) if package in layer)
    return {package}.union(*LAYERS[place + 1 :])


def test_every_folder_has_a_layer() -> None:
    folders = {entry.name for entry in COMMON.iterdir() if entry.is_dir() and entry.name != "__pycache__"}

    assert folders == set().union(*LAYERS)
    assert [file.name for file in COMMON.glob("*.py")] == ["__init__.py"]


@pytest.mark.parametrize("package", sorted(set().union(*LAYERS)))
def test_a_package_imports_only_from_the_layers_below(package: str) -> None:
    modules = sorted((COMMON / package).rglob("*.py"))
    wrong = {
        str(module.relative_to(COMMON)): sorted(packages_of_common(module) - allowed_for(package)) for module in modules
    }

    assert modules
    assert {module: packages for module, packages in wrong.items() if packages} == {}


@pytest.mark.parametrize("file", [*ENTRY_FILES, *MODULES], ids=lambda file: str(file.relative_to(FUNCTIONS)))
def test_nothing_that_is_deployed_imports_what_is_not(file: Path) -> None:
    undeployed = {name for name in imported(file) if name.split(".")[0] in {"local", "tests"}}

    assert undeployed == set()


def test_an_import_from_a_higher_layer_is_found(tmp_path: Path) -> None:
    module = tmp_path / "bucket.py"
    module.write_text("from common.runs import receipts\nimport common.flows.pull\nfrom common.platform import log\n")

    assert packages_of_common(module) - allowed_for("storage") == {"runs", "flows"}
