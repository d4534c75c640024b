"""The JSON Schema of bridge.yaml, for editors: completion, and the meaning of each key as its docstring tells it.

`infra/bridge_schema.json` is the output of this module (`make schema`). It accepts every valid file. It does not find
every fault: the rules between keys and the finer points of a value are those of the functions, in `bridge check`.
"""

import ast
import functools
import importlib.resources
import inspect
import itertools
import json
import sys
import textwrap
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import FieldInfo

from common.bridge_yaml.decode import JOB_NAME, JOB_TYPES, LOADS, UNIONS, fields_of, without_none
from common.bridge_yaml.model import (
    Bridge,
    BucketName,
    Columns,
    Count,
    Cron,
    Day,
    FilterValue,
    Host,
    Load,
    LookId,
    ObjectPath,
    Port,
    Position,
    QuerySlug,
    Scalar,
    SecretName,
    Share,
    Step,
    TimeZone,
    Unit,
    Url,
    Uuid,
)
from common.bridge_yaml.values import FORMATS, InvalidValue

JsonSchema = dict[str, Any]

_UUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_HOST = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"


def _in_any_case(word: str) -> str:
    """A JSON Schema has no flag for this."""
    return "".join(f"[{letter.upper()}{letter}]" for letter in word)


_UNITS = "|".join(map(_in_any_case, typing.get_args(Unit)))
_TEXT = ["string", "number"]
"Where text is expected, a number is text: `look: 12`."


def _time_zones() -> list[str]:
    """The names in the time zone database that is deployed with the functions."""
    names = importlib.resources.files("tzdata").joinpath("zones").read_text().split()
    return sorted(name for name in names if _is_valid(TimeZone, name))


def _is_valid(kind: object, raw: object) -> bool:
    try:
        FORMATS[kind].parse(raw)
    except InvalidValue:
        return False
    return True


# What the parsers in `common/bridge_yaml/values.py` accept, as far as a pattern says it. A pattern is for text only.
_VALUES: Mapping[object, JsonSchema] = {
    str: {"type": _TEXT, "pattern": r"\S"},
    LookId: {"type": _TEXT, "pattern": r"\S"},
    QuerySlug: {"type": _TEXT, "pattern": r"\S"},
    bool: {"type": "boolean"},
    Uuid: {"type": "string", "pattern": f"^{_UUID}$"},
    SecretName: {
        "type": "string",
        "pattern": "^(projects/[A-Za-z0-9:.-]+/secrets/)?[A-Za-z0-9_-]{1,255}$",
        "not": {"pattern": f"^(pgmt_.*|{_UUID})$"},
    },
    Url: {
        "type": "string",
        "pattern": rf"^\s*({_in_any_case('https')}://({_HOST}|\[[0-9a-fA-F:.]+\])"
        rf"|{_in_any_case('http')}://({_in_any_case('localhost')}|127(\.[0-9]{{1,3}}){{3}}|\[::1\]))"
        r"(:[0-9]{0,5})?(/[^?#\s]*)?[?#]?\s*$",
    },
    Host: {"type": _TEXT, "pattern": rf"^\s*{_HOST}\s*$"},
    Port: {"type": "integer", "minimum": 1, "maximum": 65535},
    Day: {"type": ["string", "integer"], "pattern": r"^\s*[0-9]{4}[0-9W-]{3,6}(T00:00:00Z)?\s*$"},
    Cron: {"type": "string", "pattern": r"^\s*[0-9A-Z*,/-]+(\s+[0-9A-Z*,/-]+){4}\s*$"},
    TimeZone: {"type": "string", "enum": _time_zones()},
    FilterValue: {"type": _TEXT},
    BucketName: {"type": _TEXT, "pattern": "^[a-z0-9][a-z0-9_.-]{1,220}[a-z0-9]$"},
    ObjectPath: {"type": _TEXT, "pattern": r"^(\{(date|time|run)\}|[^/{}])+(/(\{(date|time|run)\}|[^/{}])+)*$"},
    Count: {"type": "integer", "minimum": 0},
    Share: {"type": "string", "pattern": r"^\s*(100(\.0+)?|0?[0-9]{1,2}(\.[0-9]+)?) *%\s*$"},
    Step: {
        "type": ["string", "integer"],
        "minimum": 1,
        "pattern": rf"^\s*0*[1-9][0-9]{{0,14}}( *({_UNITS})[Ss]?)?\s*$",
    },
    Position: {
        "type": ["string", "integer"],
        "pattern": r"^\s*(-?[0-9]{1,15}|[0-9]{4}[0-9W-]{3,6}([Tt ][0-9:.,]+)?([Zz]|[+-]00:?00)?)\s*$",
    },
    Scalar: {"type": [*_TEXT, "boolean"]},
}
_PAIR = {"type": "object", "additionalProperties": {"$ref": "#/$defs/text"}}


def schema() -> JsonSchema:
    """The schema, in draft 2020-12. Each struct is a definition with its own name."""
    sections: dict[type[Struct], None] = {}
    _collect(Bridge, sections)
    names = {kind: _name(kind) for kind in FORMATS}
    definitions = {names[kind]: {**_VALUES[kind], "description": _capital(FORMATS[kind].advice)} for kind in FORMATS}
    definitions |= {kind.__name__: _section(kind) for kind in sections}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "bridge.yaml",
        "$ref": "#/$defs/Bridge",
        "$defs": definitions,
    }


def _collect(kind: Any, found: dict[type[Struct], None]) -> None:
    """Find every struct that a type leads to."""
    kind = without_none(kind)
    if kind in FORMATS or kind in found:
        return
    if isinstance(kind, type) and issubclass(kind, Struct):
        found[kind] = None
        for field in fields_of(kind).values():
            _collect(field.type, found)
    for argument in typing.get_args(kind):
        _collect(argument, found)


def _section(kind: type[Struct]) -> JsonSchema:
    fields, docstrings = fields_of(kind), field_docstrings(kind)
    return {
        "type": "object",
        "description": inspect.getdoc(kind) or "",
        "properties": {key: _property(field, docstrings[field.name]) for key, field in fields.items()},
        "required": [key for key, field in fields.items() if field.required],
        "additionalProperties": False,
    }


def _property(field: FieldInfo, docstring: str) -> JsonSchema:
    is_told = isinstance(field.default, str | int | float) and field.default != ""
    return _value(field.type) | {"description": docstring} | ({"default": field.default} if is_told else {})


def _value(kind: Any) -> JsonSchema:  # noqa: PLR0911  # one for each way to write a value
    kind = without_none(kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in FORMATS:
        return {"$ref": f"#/$defs/{_name(kind)}"}
    if kind == Load:
        loads = [_only(key, f"#/$defs/{section.__name__}") for key, section in LOADS.items()]
        return {"oneOf": [{"const": "full"}, *loads]}
    if kind == Columns:
        return {"oneOf": [_PAIR, {"type": "array", "items": {**_PAIR, "maxProperties": 1}}]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _value(arguments[0])}
    if origin is Mapping:
        names = {"propertyNames": {"pattern": f"^{JOB_NAME.pattern}$"}} if arguments[1] in JOB_TYPES else {}
        return {"type": "object", "additionalProperties": _value(arguments[1]), **names}
    if origin in UNIONS:
        return {"oneOf": [_value(argument) for argument in arguments]}
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _only(key: str, reference: str) -> JsonSchema:
    """A section of exactly one key."""
    return {
        "type": "object",
        "properties": {key: {"$ref": reference}},
        "required": [key],
        "additionalProperties": False,
    }


def _name(kind: Any) -> str:
    plain = {str: "text", bool: "flag", Step: "Step", Position: "Position", Scalar: "Scalar"}
    return plain.get(kind) or str(kind.__metadata__[0])


def _capital(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def field_docstrings(kind: type[Struct]) -> dict[str, str]:
    """Return the docstrings of the fields of a struct and of its base structs."""
    told: dict[str, str] = {}
    for each in reversed([each for each in kind.__mro__ if issubclass(each, Struct) and each.__module__ != "msgspec"]):
        told |= _own_docstrings(each)
    return told


@functools.cache
def _own_docstrings(kind: type[Struct]) -> dict[str, str]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    return dict(_told(typing.cast("ast.ClassDef", definition).body))


def _told(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, below in itertools.pairwise(body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(words))):
                yield name, words


def as_json() -> str:
    """One line per key of a section, so that diffs are small."""
    head = schema()
    definitions = ",\n".join(f"{_json(name)}: {_definition(told)}" for name, told in head.pop("$defs").items())
    return f'{_json(head)[:-1]}, "$defs": {{\n{definitions}\n}}}}\n'


def _definition(told: JsonSchema) -> str:
    properties = told.pop("properties", None)
    if properties is None:
        return _json(told)
    lines = ",\n".join(f"  {_json(key)}: {_json(value)}" for key, value in properties.items())
    return f'{_json(told)[:-1]}, "properties": {{\n{lines}}}}}'


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    sys.stdout.write(as_json())
