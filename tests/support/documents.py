"""The project's documents, and the tables in them that come from the code.

`python -m tests.support.documents` updates these tables. They are between `<!-- generated: … -->` and `<!-- end -->`.
"""

import ast
import functools
import inspect
import re
import textwrap
import typing
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml
from typer.testing import CliRunner

from common.bridge_yaml import Bridge
from common.bridge_yaml.decode import LOADS, fields_of
from local import bridge_schema
from local.cli import app

ROOT = Path(__file__).parents[2]
README, FUNCTIONS, INFRA, TESTS, CHANGELOG = DOCUMENTS = tuple(
    ROOT / name for name in ("README.md", "functions/README.md", "infra/README.md", "tests/README.md", "CHANGELOG.md")
)

_GENERATED = re.compile(r"(?<=<!-- generated: )(\S+)( -->\n)(.*?)(?=<!-- end -->)", re.DOTALL)
_CODE_BLOCK = re.compile(r"^(?: {4}[^\n]*\n)+|^```.*?^```\n", re.MULTILINE | re.DOTALL)

_SECTIONS = ("section", "names", "filter")
"Kinds of values that have a table of their own, or keys that the user chooses."

_schema = functools.cache(bridge_schema.schema)
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
    """Return a table for each section. Paths have the form of the schema: `pulls/*/source/filters`."""
    entries = _schema().entries
    paths = _sections()
    in_order = sorted(paths, key=lambda kind: list(entries).index(_known(paths[kind][0])))
    return "\n".join(_section_table(kind, paths[kind]) for kind in in_order)


def _sections() -> dict[_Section, list[str]]:
    """Return each section with its possible paths, breadth first, so that a filter inside a filter comes last."""
    found: dict[_Section, list[str]] = defaultdict(list)
    waiting: deque[tuple[Any, str]] = deque([(Bridge, "")])
    while waiting:
        kind, path = waiting.popleft()
        if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
            waiting.extend(_inside(kind, path))
        elif _entry(path).kind in _SECTIONS and not any(path.startswith(known) for known in found.get(kind, ())):
            found[kind].append(path)
            waiting.extend((field.type, f"{path}/{key}".lstrip("/")) for key, field in fields_of(kind).items())
    return found


def _inside(kind: Any, path: str) -> Iterator[tuple[Any, str]]:
    """Yield the kinds of a union, a list or a mapping, with their paths."""
    keys = {section: f"{path}/{key}" for key, section in LOADS.items()}
    below = {tuple: f"{path}/[]", Mapping: f"{path}/*"}.get(typing.get_origin(kind), path)
    for argument in typing.get_args(kind):
        if not isinstance(argument, str):
            yield argument, keys.get(argument, below)


def _known(path: str) -> str:
    """Return the path or its outermost filter: filters nest to any depth, so the schema ends there."""
    return path if path in _schema().entries else _known(path.rpartition("/")[0])


def _entry(path: str) -> bridge_schema.SchemaEntry:
    return _schema().entries[_known(path)]


def _section_table(kind: _Section, paths: list[str]) -> str:
    told, fields, entry = _field_docstrings(kind), fields_of(kind), _schema().entries.get(paths[0])
    where = ", ".join(f"`{_shown(path)}`" for path in paths)
    if entry and (entry.selectors or entry.kind == "filter"):
        where += f" with `{next(key for key, field in fields.items() if field.required)}`"
    rows = [
        (f"`{key}`", _value(f"{paths[0]}/{key}".lstrip("/"), field), told.get(field.name, ""))
        for key, field in fields.items()
    ]
    return f"**{where}**: {inspect.getdoc(kind)}\n\n{_table(('key', 'value', 'meaning'), rows)}\n"


def _shown(path: str) -> str:
    return path.replace("/[]", "[]").replace("*", "NAME").replace("/", ".") or "bridge.yaml"


def _value(path: str, field: msgspec.structs.FieldInfo) -> str:
    """Return the format and the default of a key."""
    words = _words(_schema().entries.get(path), field.type)
    if field.required:
        return f"required: {words}"
    match field.default:
        case bool():
            return f"{words}; default `{str(field.default).lower()}`"
        case str() | int() if field.default != "":
            return f"{words}; default `{field.default}`"
    return words


def _words(entry: bridge_schema.SchemaEntry | None, kind: Any) -> str:
    if entry is not None:
        return "a section" if entry.kind in _SECTIONS and not entry.choices else entry.advice
    match typing.get_origin(kind):
        case typing.Literal:
            return " or ".join(typing.get_args(kind))
        case origin if origin is tuple:
            return "a list"
    return "a section" if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else "a value"


def _field_docstrings(kind: _Section) -> dict[str, str]:
    """Return the docstrings of the fields of a struct and of its base structs."""
    told: dict[str, str] = {}
    for each in reversed(
        [each for each in kind.__mro__ if issubclass(each, msgspec.Struct) and each.__module__ != "msgspec"]
    ):
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
        assert isinstance(definition, ast.ClassDef)
        for field, below in zip(definition.body, definition.body[1:], strict=False):
            match field, below:
                case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(words))):
                    told[name] = words
    return told


_OPTIONAL = re.compile(r"\s*(\w+)\s+= optional\((list\(string\)|set\(string\)|\w+)(?:, (.+?))?\)(?:\s*# (.*))?")


def _variables() -> str:
    found = re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', text(ROOT / "infra/variables.tf"), re.MULTILINE | re.DOTALL)
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


GENERATORS: dict[str, Callable[[], str]] = {
    "bridge.yaml": _bridge_yaml,
    "errors": _printed("errors"),
    "outputs": _outputs,
    "resources": _printed("resources"),
    "variables": _variables,
}

if __name__ == "__main__":
    for each in DOCUMENTS:
        update(each)
