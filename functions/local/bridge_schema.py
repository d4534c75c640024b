"""The shape of bridge.yaml as plain data, for Terraform, which cannot read the structs.

`infra/bridge_schema.json` is this module's output (`make schema`), and infra/bridge.tf holds the file against it: which
keys there are, which must be there, and of what kind each value is. Filters of exports nest without end, and HCL knows
no recursion, so what is below `export_filter` is not in it.
"""

import importlib.resources
import sys
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct

# The walk that decodes the file has the rules of how structs are written; they are the same here.
from common.bridge_yaml.decode import (
    LOADS,
    UNIONS,
    fields_of,
    instead_of,
    mark_of,
    without_none,
)
from common.bridge_yaml.model import (
    Bridge,
    Columns,
    ExportFilter,
    Load,
    Position,
    Scalar,
    Step,
    TimeZone,
)
from common.bridge_yaml.values import LEAVES, Wrong

_NAMES = {str: "text", bool: "flag", Step: "Step", Position: "Position", Scalar: "Scalar"}


_HOW_TO_LOAD = "full, or one of incremental: {…} and changes: {…}"


class Entry(Struct, frozen=True, omit_defaults=True):
    """What may stand at a path."""

    kind: str
    "`section`, `names` (a section with a name for each), `list`, `choice`, `columns`, `filter`, or a kind of value."
    instead: str
    "What to write where it is missing or wrong."
    keys: tuple[str, ...] = ()
    "Of a section: those it may have."
    needs: tuple[str, ...] = ()
    "Of a section: those it must have."
    marks: tuple[str, ...] = ()
    "Of a section of several kinds: the keys of which it has exactly one, which tells the kind."
    choices: tuple[str, ...] = ()
    "Words that may stand here."
    beside: tuple[str, ...] = ()
    "The marks that this key goes with; without any, it always may be there."


class Schema(Struct, frozen=True):
    """Everything that bridge.yaml may hold."""

    entries: Mapping[str, Entry]
    "By path: `pulls/*/source/filters/*`, where `*` is a name, and `[]` an item of a list."
    time_zones: tuple[str, ...]


def schema() -> Schema:
    return Schema(dict(_section(Bridge, "")), tuple(sorted(_time_zones())))


def _time_zones() -> Iterator[str]:
    """The names that the functions take, which carry a time zone database of their own."""
    for name in importlib.resources.files("tzdata").joinpath("zones").read_text().split():
        try:
            yield str(LEAVES[TimeZone].read(name))
        except Wrong:
            continue


_Entries = Iterator[tuple[str, Entry]]


def _section(kind: type[Struct], path: str, beside: tuple[str, ...] = ()) -> _Entries:
    fields = fields_of(kind)
    needs = tuple(key for key, field in fields.items() if field.required)
    yield path, Entry("section", f"a section with {', '.join(fields)}", tuple(fields), needs, beside=beside)
    for key, field in fields.items():
        yield from _value(field.type, f"{path}/{key}".lstrip("/"))


def _value(kind: Any, path: str) -> _Entries:
    kind = without_none(kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in LEAVES:
        yield path, Entry(_NAMES.get(kind) or kind.__metadata__[0], LEAVES[kind].instead)
    elif kind == Load:
        yield path, Entry("section", _HOW_TO_LOAD, tuple(LOADS), marks=tuple(LOADS), choices=("full",))
        for key, section in LOADS.items():
            yield from _section(section, f"{path}/{key}")
    elif kind == Columns:
        yield path, Entry("columns", "a list of pairs: - Flights Origin: origin")
        yield f"{path}/[]", Entry("names", "one pair such as Flights Origin: origin")
        yield from _value(str, f"{path}/*")
        yield from _value(str, f"{path}/[]/*")
    elif kind == ExportFilter:
        yield path, Entry("filter", instead_of(kind))
    elif origin is Literal:
        yield path, Entry("choice", instead_of(kind), choices=arguments)
    elif origin is tuple:
        yield path, Entry("list", instead_of(kind))
        yield from _value(arguments[0], f"{path}/[]")
    elif origin is Mapping:
        yield path, Entry("names", "a section with a name for each")
        yield from _value(arguments[1], f"{path}/*")
    elif origin in UNIONS:
        yield from _one_of(arguments, path)
    else:
        yield from _section(kind, path)


def _one_of(kinds: tuple[type[Struct], ...], path: str) -> _Entries:
    """A section of several kinds: each key is known beside the marks of those kinds that have it."""
    marks = tuple(map(mark_of, kinds))
    keys = tuple(dict.fromkeys(key for kind in kinds for key in fields_of(kind)))
    yield path, Entry("section", f"a section with one of {', '.join(marks)}", keys, marks=marks)
    for key in keys:
        having = [kind for kind in kinds if key in fields_of(kind)]
        beside = () if len(having) == len(kinds) else tuple(map(mark_of, having))
        (_, entry), *below = _value(fields_of(having[0])[key].type, f"{path}/{key}")
        yield f"{path}/{key}", msgspec.structs.replace(entry, beside=beside)
        yield from below


def as_json() -> str:
    """A line for each entry, so that a change is a line too."""
    found = schema()
    entries = (f"{_json(path)}: {_json(entry)}" for path, entry in found.entries.items())
    zones = (_json(zone) for zone in found.time_zones)
    return f'{{"entries": {{\n{_lines(entries)}\n}}, "time_zones": [\n{_lines(zones)}\n]}}\n'


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _lines(items: Iterator[str]) -> str:
    return ",\n".join(items)


if __name__ == "__main__":
    sys.stdout.write(as_json())
