"""The schema of bridge.yaml as plain data, for Terraform.

`infra/bridge_schema.json` is the output of this module (`make schema`). Terraform checks bridge.yaml with it: which
keys are known, which are required, and the kind of each value. The filters of exports can be nested to any depth, which
HCL cannot check because it has no recursion, so the schema ends at `export_filter`.
"""

import importlib.resources
import sys
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct

# The decoder has the rules for how structs are written in the file.
from common.bridge_yaml.decode import (
    HOW_TO_LOAD,
    LOADS,
    UNIONS,
    advice_for,
    fields_of,
    selector_of,
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
from common.bridge_yaml.values import FORMATS, InvalidValue

_NAMES = {str: "text", bool: "flag", Step: "Step", Position: "Position", Scalar: "Scalar"}


class SchemaEntry(Struct, frozen=True, omit_defaults=True):
    """The rules for the value at a path."""

    kind: str
    "`section`, `names` (a section whose keys are names), `list`, `choice`, `columns`, `filter`, or a kind of value."
    advice: str
    "The advice if the value is missing or invalid."
    keys: tuple[str, ...] = ()
    "Of a section: the allowed keys."
    required: tuple[str, ...] = ()
    "Of a section: the required keys."
    selectors: tuple[str, ...] = ()
    "Of a section of several kinds: the keys that select the kind. Exactly one of them is present."
    choices: tuple[str, ...] = ()
    "The allowed words."
    allowed_with: tuple[str, ...] = ()
    "The selectors that allow this key. If empty, the key is always allowed."


class BridgeSchema(Struct, frozen=True):
    """All rules."""

    entries: Mapping[str, SchemaEntry]
    "By path: `pulls/*/source/filters/*`, where `*` is any name and `[]` an item of a list."
    time_zones: tuple[str, ...]


def schema() -> BridgeSchema:
    return BridgeSchema(dict(_section(Bridge, "")), tuple(sorted(_time_zones())))


def _time_zones() -> Iterator[str]:
    """The names in the time zone database that is deployed with the functions."""
    for name in importlib.resources.files("tzdata").joinpath("zones").read_text().split():
        try:
            yield str(FORMATS[TimeZone].parse(name))
        except InvalidValue:
            continue


_Entries = Iterator[tuple[str, SchemaEntry]]


def _section(kind: type[Struct], path: str, allowed_with: tuple[str, ...] = ()) -> _Entries:
    fields = fields_of(kind)
    required = tuple(key for key, field in fields.items() if field.required)
    yield (
        path,
        SchemaEntry(
            "section", f"a section with {', '.join(fields)}", tuple(fields), required, allowed_with=allowed_with
        ),
    )
    for key, field in fields.items():
        yield from _value(field.type, f"{path}/{key}".lstrip("/"))


def _value(kind: Any, path: str) -> _Entries:
    kind = without_none(kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in FORMATS:
        yield path, SchemaEntry(_NAMES.get(kind) or kind.__metadata__[0], FORMATS[kind].advice)
    elif kind == Load:
        yield path, SchemaEntry("section", HOW_TO_LOAD, tuple(LOADS), selectors=tuple(LOADS), choices=("full",))
        for key, section in LOADS.items():
            yield from _section(section, f"{path}/{key}")
    elif kind == Columns:
        yield path, SchemaEntry("columns", "a list of pairs: - Flights Origin: origin")
        yield f"{path}/[]", SchemaEntry("names", "one pair such as Flights Origin: origin")
        yield from _value(str, f"{path}/*")
        yield from _value(str, f"{path}/[]/*")
    elif kind == ExportFilter:
        yield path, SchemaEntry("filter", advice_for(kind))
    elif origin is Literal:
        yield path, SchemaEntry("choice", advice_for(kind), choices=arguments)
    elif origin is tuple:
        yield path, SchemaEntry("list", advice_for(kind))
        yield from _value(arguments[0], f"{path}/[]")
    elif origin is Mapping:
        yield path, SchemaEntry("names", "a section with a name for each")
        yield from _value(arguments[1], f"{path}/*")
    elif origin in UNIONS:
        yield from _one_of(arguments, path)
    else:
        yield from _section(kind, path)


def _one_of(kinds: tuple[type[Struct], ...], path: str) -> _Entries:
    """A section of several kinds: each key is allowed with the selectors of the kinds that have it."""
    selectors = tuple(map(selector_of, kinds))
    keys = tuple(dict.fromkeys(key for kind in kinds for key in fields_of(kind)))
    yield path, SchemaEntry("section", f"a section with one of {', '.join(selectors)}", keys, selectors=selectors)
    for key in keys:
        matching = [kind for kind in kinds if key in fields_of(kind)]
        allowed_with = () if len(matching) == len(kinds) else tuple(map(selector_of, matching))
        (_, entry), *below = _value(fields_of(matching[0])[key].type, f"{path}/{key}")
        yield f"{path}/{key}", msgspec.structs.replace(entry, allowed_with=allowed_with)
        yield from below


def as_json() -> str:
    """One line per entry, so that diffs are small."""
    bridge_schema = schema()
    entries = (f"{_json(path)}: {_json(entry)}" for path, entry in bridge_schema.entries.items())
    zones = (_json(zone) for zone in bridge_schema.time_zones)
    return f'{{"entries": {{\n{_lines(entries)}\n}}, "time_zones": [\n{_lines(zones)}\n]}}\n'


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _lines(items: Iterator[str]) -> str:
    return ",\n".join(items)


if __name__ == "__main__":
    sys.stdout.write(as_json())
