"""The folders of functions/common are layers: a package imports only from the layers below it."""

from pathlib import Path

import pytest

from tests.support.imported_modules import imported

COMMON = Path(__file__).parents[2] / "functions" / "common"

LAYERS = [
    {"flows"},
    {"notify"},
    {"status"},
    {"loads"},
    {"runs"},
    {"looker", "pigment"},
    {"tables"},
    {"storage"},
    {"bridge_yaml"},
    {"platform"},
]
"The highest layer first. Packages of one layer do not import from each other."


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


def test_an_import_from_a_higher_layer_is_found(tmp_path: Path) -> None:
    module = tmp_path / "bucket.py"
    module.write_text("from common.runs import receipts\nimport common.flows.pull\nfrom common.platform import log\n")

    assert packages_of_common(module) - allowed_for("storage") == {"runs", "flows"}
