"""Every name of a class or type alias is defined once in the project."""

import ast
import collections
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = [file for folder in ("functions", "tests") for file in sorted((ROOT / folder).rglob("*.py"))]


def types_of(file: Path) -> Iterator[str]:
    """Yield the classes at any depth and the aliases of a module, without type variables."""
    module = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef):
            yield node.name
    for node in module.body:
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)], value=ast.Subscript() | ast.BinOp() | ast.Attribute() | ast.Name()
            ) if re.fullmatch(r"_?[A-Z]\w*[a-z]\w*", name):
                yield name


def test_a_type_name_means_one_thing() -> None:
    places = collections.defaultdict(list)
    for file in SOURCES:
        for name in types_of(file):
            places[name].append(str(file.relative_to(ROOT)))

    assert {name: files for name, files in places.items() if len(files) > 1} == {}
