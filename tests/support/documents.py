"""The project's documents, and the tables in them that come from the code.

`python -m tests.support.documents` updates these tables. They are between `<!-- generated: … -->` and `<!-- end -->`.
"""

import inspect
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml
from typer.testing import CliRunner

from common.bridge_yaml.decode import HOW_TO_LOAD, LOADS, UNIONS, advice_for, fields_of, selector_of, without_none
from common.bridge_yaml.model import AnyRelay, Bridge, Columns, ExportFilter, ExportSource, Load, Source
from common.bridge_yaml.values import FORMATS
from local import bridge_schema
from local.cli import app
from local.fault_names import MEANINGS

ROOT = Path(__file__).parents[2]
README, FUNCTIONS, INFRA, TESTS, CHANGELOG, CONTRIBUTING = (
    ROOT / name
    for name in (
        *("README.md", "functions/README.md", "infra/README.md", "tests/README.md"),
        *("CHANGELOG.md", "CONTRIBUTING.md"),
    )
)
PAGES = ROOT / "functions/docs"
COMMANDS, ERRORS, RECEIPTS = (PAGES / f"{name}.md" for name in ("commands", "errors", "receipts"))
REFERENCE = (FUNCTIONS, *sorted(PAGES.glob("*.md")))
DOCUMENTS = (README, *REFERENCE, INFRA, TESTS, CHANGELOG, CONTRIBUTING)

_GENERATED = re.compile(r"(?<=<!-- generated: )(\S+)( -->\n)(.*?)(?=<!-- end -->)", re.DOTALL)
_CODE_BLOCK = re.compile(r"^(?: {4}[^\n]*\n)+|^```.*?^```\n", re.MULTILINE | re.DOTALL)

_Section = type[msgspec.Struct]


def text(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def section(document: Path, heading: str) -> str:
    """Return the text below a heading, up to the next heading."""
    return re.split(r"^#+ .*\n", text(document).split(f"# {heading}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]


def commands(document: Path, program: str) -> Iterator[list[str]]:
    """Yield the arguments of each command of a program, in indented blocks and between backticks, without comments."""
    indented = re.findall(rf"^ {{4}}(?:[A-Z_]+=\S+ )*{program} ([^#\n]+)", text(document), re.MULTILINE)
    prose = _CODE_BLOCK.sub("", text(document))
    for arguments in [*indented, *re.findall(rf"`{program} ([^`]+)`", prose)]:
        yield arguments.split()


def examples(*documents: Path) -> dict[str, Any]:
    """Merge the `bridge.yaml` blocks of some documents into one file."""
    sections: dict[str, Any] = {}
    for document in documents:
        for block in text(document).split("```yaml\n")[1:]:
            for name, content in yaml.safe_load(block.split("```")[0]).items():
                sections.setdefault(name, {}).update(content)
    return sections


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as on GitHub."""
    headings = re.findall(r"^#+ (.+)$", _CODE_BLOCK.sub("", text(document)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def generated(document: Path) -> dict[str, str]:
    """Return the generated tables of a document, by name."""
    return {name: table for name, _, table in _GENERATED.findall(text(document))}


def update(document: Path) -> None:
    updated = _GENERATED.sub(lambda found: f"{found[1]}{found[2]}{GENERATORS[found[1]]()}\n", text(document))
    document.write_text(updated, encoding="utf-8")


def _printed(command: str) -> Callable[[], str]:
    """Return the table that a command prints."""
    return lambda: CliRunner().invoke(app, [command, "--markdown"], catch_exceptions=False).stdout.rstrip("\n")


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (header, *rows))
    return "\n".join([next(lines), "|---" * len(header) + "|", *lines])


def _bridge_yaml() -> str:
    """Return a table for each section."""
    return "\n".join(_section_table(kind, paths) for kind, paths in _sections(Bridge, "").items())


def _sections(kind: Any, path: str) -> dict[_Section, list[str]]:
    """Return each section below a type with its possible paths, in the order of the file."""
    found: dict[_Section, list[str]] = {}
    _find(kind, path, found)
    return found


def _find(kind: Any, path: str, found: dict[_Section, list[str]]) -> None:
    kind = without_none(kind)
    if kind in FORMATS or kind in (Columns, tuple[ExportFilter, ...]):  # filters inside filters, to any depth
        return
    if not _is_section(kind):
        keys = {section: f"{path}.{key}" for key, section in LOADS.items()}
        below = {tuple: f"{path}[]", Mapping: f"{path}.NAME"}.get(typing.get_origin(kind), path)
        for argument in typing.get_args(kind):
            _find(argument, keys.get(argument, below), found)
    elif path not in found.setdefault(kind, []):
        found[kind].append(path)
        for key, field in fields_of(kind).items():
            _find(field.type, f"{path}.{key}".lstrip("."), found)


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _section_table(kind: _Section, paths: list[str]) -> str:
    told, fields = bridge_schema.field_docstrings(kind), fields_of(kind)
    where = ", ".join(f"`{path or 'bridge.yaml'}`" for path in paths)
    if kind in _ALTERNATIVES:
        where += f" with `{selector_of(kind)}`"
    rows = [(f"`{key}`", _value(field), told[field.name]) for key, field in fields.items()]
    return f"**{where}**: {inspect.getdoc(kind)}\n\n{_table(('key', 'value', 'meaning'), rows)}\n"


_ALTERNATIVES = {*typing.get_args(Source), *typing.get_args(ExportSource), *typing.get_args(AnyRelay)} | {
    *typing.get_args(ExportFilter)
}
"Sections of which one stands at a path; a key selects it."


def _value(field: msgspec.structs.FieldInfo) -> str:
    """Return the format and the default of a key."""
    words = _words(field.type)
    if field.required:
        return f"required: {words}"
    match field.default:
        case bool():
            return f"{words}; default `{str(field.default).lower()}`"
        case str() | int() if field.default != "":
            return f"{words}; default `{field.default}`"
    return words


def _words(kind: Any) -> str:
    kind = without_none(kind)
    if kind == Load:
        return HOW_TO_LOAD
    if kind == Columns:
        return "a list of pairs: - Flights Origin: origin"
    is_section = _is_section(kind) or typing.get_origin(kind) in (*UNIONS, Mapping)
    return "a section" if is_section and kind not in FORMATS else advice_for(kind)


_OPTIONAL = re.compile(r"\s*(\w+)\s+= optional\((list\(string\)|set\(string\)|\w+)(?:, (.+?))?\)(?:\s*# (.*))?")


def _variables() -> str:
    files = [text(file) for file in sorted((ROOT / "infra").glob("variables*.tf"))]
    found = sorted(re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', "\n".join(files), re.MULTILINE | re.DOTALL))
    return _table(("variable", "default", "meaning"), (row for name, body in found for row in _variable(name, body)))


def _variable(name: str, body: str) -> Iterator[tuple[str, str, str]]:
    default = re.search(r"^  default += (.+)$", body, re.MULTILINE)
    yield f"`{name}`", f"`{default[1]}`" if default else "required", _described(body)
    path = [name]
    for line in body.split("\n  default", maxsplit=1)[0].splitlines():
        if opened := re.match(r"\s+(\w+)\s+= optional\(object\(\{", line):
            path.append(opened[1])
        elif field := _OPTIONAL.match(line):
            yield f"`{'.'.join([*path, field[1]])}`", f"`{field[3]}`" if field[3] else "", field[4] or ""
        elif re.match(r"\s+\}\), ", line):
            path.pop()


def _outputs() -> str:
    found = re.findall(r'^output "(\w+)" \{\n(.*?)^\}', text(ROOT / "infra/outputs.tf"), re.MULTILINE | re.DOTALL)
    return _table(("output", "meaning"), [(f"`{name}`", _described(body)) for name, body in found])


def _described(body: str) -> str:
    found = re.search(r'^  description = "(.*)"$', body, re.MULTILINE)
    assert found, body
    return found[1].replace('\\"', '"')


def _faults() -> str:
    return _table(("fault", "meaning"), [(f"`{name}`", meaning) for name, meaning in MEANINGS.items()])


GENERATORS: dict[str, Callable[[], str]] = {
    "bridge.yaml": _bridge_yaml,
    "errors": _printed("errors"),
    "faults": _faults,
    "outputs": _outputs,
    "resources": _printed("resources"),
    "variables": _variables,
}

if __name__ == "__main__":
    for each in DOCUMENTS:
        update(each)
