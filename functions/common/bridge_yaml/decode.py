"""From the plain data of bridge.yaml to its structs, with every fault in one message.

The walk follows the structs' own types: a section is a struct, a value is a leaf, and where a section may be one of
several structs, the key that only one of them requires tells which. A value that cannot be read becomes a fault and
leaves UNSET behind, so that the walk and the rules go on.
"""

import re
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Struct

from common.bridge_yaml import rules
from common.bridge_yaml.model import (
    Bridge,
    Changes,
    Columns,
    Export,
    Incremental,
    Load,
    Pull,
    Relay,
    Signal,
)
from common.bridge_yaml.rules import LONGEST_KEY, under
from common.bridge_yaml.values import LEAVES, Wrong, noun, text
from common.platform.errors import BridgeFileInvalid

_Section = TypeVar("_Section", bound=Struct)

_JOBS = (Pull, Relay | Signal, Export)
LOADS: Mapping[str, type[Struct]] = {"incremental": Incremental, "changes": Changes}
UNIONS = (typing.Union, types.UnionType)
_SET_BY_READING = {"name", "warnings"}
_JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_JOB_NAME_INSTEAD = "letters, digits, - and _, at most 63 of them, a letter or a digit first"
_FILE = "bridge.yaml"


def decode(raw: object) -> Bridge:
    """What bridge.yaml says.

    Raises:
        BridgeFileInvalid: with every fault on a line of its own: where, what is wrong, what to write.
    """
    reading = _Reading()
    try:
        bridge = reading.section(Bridge, raw, "")
    except RecursionError:
        raise BridgeFileInvalid(f"{_FILE}: is nested without end; write filters of a few levels") from None
    for finding in rules.faults(bridge) if isinstance(raw, Mapping) else ():
        reading.fault(*finding)
    if reading.faults:
        raise BridgeFileInvalid("\n".join(reading.faults))
    for finding in rules.warnings(bridge):
        reading.warn(*finding)
    return msgspec.structs.replace(bridge, warnings=tuple(reading.warnings))


class _Reading:
    """One reading of the file."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.warnings: list[str] = []
        self._special = {Load: self._load, Columns: self._columns}
        self._shapes = {Literal: self._choice, tuple: self._list, Mapping: self._mapping}

    def fault(self, path: str, wrong: str, instead: str) -> None:
        self.faults.append(f"{path or _FILE}: {wrong}; write {instead}")

    def warn(self, path: str, wrong: str, instead: str) -> None:
        self.warnings.append(f"{path or _FILE}: {wrong}; write {instead}")

    def section(self, kind: type[_Section], raw: object, path: str, **given: object) -> _Section:
        fields = fields_of(kind)
        items = self._items(raw, path, f"a section with {', '.join(fields)}")
        for key in items or ():
            if key not in fields:
                self._unknown(key, list(fields), path)
        values = dict(given)
        for key, field in fields.items():
            if items is None:
                values[field.name] = UNSET
            elif key in items:
                values[field.name] = self.value(field.type, items[key], under(path, key))
            elif field.required:
                self.fault(under(path, key), "is missing", instead_of(field.type))
                values[field.name] = UNSET
        section = kind(**values)
        for rule in rules.RULES.get(kind, ()):
            if rule.applies_to(section):
                for where, wrong, instead in rule.find(section):
                    self.fault(under(path, where), wrong, instead)
        return section

    def value(self, kind: Any, raw: object, path: str, **given: object) -> Any:
        kind = without_none(kind)
        if kind in LEAVES:
            return self._leaf(kind, raw, path)
        if kind in self._special:
            return self._special[kind](raw, path)
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if origin in UNIONS:
            return self._one_of(arguments, raw, path, **given)
        if origin in self._shapes:
            return self._shapes[origin](arguments, raw, path)
        return self.section(kind, raw, path, **given)

    def _leaf(self, kind: Any, raw: object, path: str) -> Any:
        leaf = LEAVES[kind]
        try:
            return leaf.read(raw)
        except Wrong as fault:
            self.fault(path, fault.wrong if raw is not None else "is empty", fault.instead or leaf.instead)
            return UNSET

    def _choice(self, choices: tuple[str, ...], raw: object, path: str) -> Any:
        if isinstance(raw, str) and raw in choices:
            return raw
        self.fault(path, "is not one of the words known here", " or ".join(map(_quoted, choices)))
        return UNSET

    def _list(self, arguments: tuple[Any, ...], raw: object, path: str) -> Any:
        if not isinstance(raw, list | tuple):
            self.fault(path, f"is {noun(raw)}", "a list")
            return UNSET
        return tuple(self.value(arguments[0], item, f"{path}[{position}]") for position, item in enumerate(raw))

    def _mapping(self, arguments: tuple[Any, ...], raw: object, path: str) -> Any:
        _, kind = arguments
        items = self._items(raw, path, "a section with a name for each") or {}
        if kind not in _JOBS:
            return {key: self.value(kind, value, under(path, key)) for key, value in items.items()}
        for name in items:
            if not _JOB_NAME.fullmatch(name):
                self.fault(under(path, name), "is no name for a job", _JOB_NAME_INSTEAD)
        return {key: self.value(kind, value, under(path, key), name=key) for key, value in items.items()}

    def _one_of(self, kinds: tuple[Any, ...], raw: object, path: str, **given: object) -> Any:
        """A section, by the key that only one kind of section requires."""
        marks = {mark_of(kind): kind for kind in kinds}
        items = self._items(raw, path, f"a section with one of {', '.join(marks)}")
        if items is None:
            return UNSET
        found = [mark for mark in marks if mark in items]
        if len(found) == 1:
            return self.section(marks[found[0]], raw, path, **given)
        self.fault(path, f"holds {' and '.join(found) or 'none'} of {', '.join(marks)}", "exactly one of them")
        known = {key for kind in kinds for key in fields_of(kind)}
        for key in items:
            if key not in known:
                self._unknown(key, sorted(known), path)
        return UNSET

    def _load(self, raw: object, path: str) -> Any:
        if raw == "full":
            return raw
        if isinstance(raw, Mapping) and len(raw) == 1:
            ((key, value),) = raw.items()
            if key in LOADS:
                return self.value(LOADS[key], value, under(path, key))
        self.fault(path, "is no way to load", "full, or one of incremental: {…} and changes: {…}")
        return UNSET

    def _columns(self, raw: object, path: str) -> Any:
        if isinstance(raw, list):
            pairs = self._pairs(raw, path)
        else:
            pairs = self._items(raw, path, "pairs of Looker's header and Pigment's") or {}
            # Terraform's jsonencode writes the keys of a mapping in alphabetical order, and lists as they are.
            if list(pairs) != sorted(pairs):
                self.warn(path, "loses its order when Terraform stores it", "a list of pairs: - Flights Origin: origin")
        return {key: self.value(str, value, under(path, key)) for key, value in pairs.items()}

    def _pairs(self, raw: list[object], path: str) -> dict[str, object]:
        pairs: dict[str, object] = {}
        for position, item in enumerate(raw):
            where = f"{path}[{position}]"
            pair = self._items(item, where, "one pair such as Flights Origin: origin") or {}
            if len(pair) > 1 or pairs.keys() & pair.keys():
                self.fault(where, "is more than one pair, or names a header again", "one pair for each column")
            pairs |= pair
        return pairs

    def _items(self, raw: object, path: str, instead: str) -> dict[str, object] | None:
        """A mapping with text for keys; a number in a key's place is taken as written."""
        if not isinstance(raw, Mapping):
            self.fault(path, f"is {noun(raw)}", instead)
            return None
        items: dict[str, object] = {}
        for key, value in raw.items():
            try:
                name = text(key)
            except Wrong as fault:
                self.fault(path, f"has a key that {fault.wrong}", "the key in quotes")
                continue
            if name in items:
                self.fault(under(path, name), "is there twice", "it once")
            items[name] = value
        return items

    def _unknown(self, key: str, known: list[str], path: str) -> None:
        import difflib  # noqa: PLC0415  # a valid file never needs it

        near = difflib.get_close_matches(key[:LONGEST_KEY], known, n=1)
        self.fault(under(path, key), "is not known here", near[0] if near else f"only {', '.join(known)}")


def fields_of(kind: type[Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    return {
        field.name.rstrip("_"): field for field in msgspec.structs.fields(kind) if field.name not in _SET_BY_READING
    }


def without_none(kind: Any) -> Any:
    """What a value may be: None is only what an absent one becomes."""
    if typing.get_origin(kind) not in UNIONS:
        return kind
    kinds = tuple(one for one in typing.get_args(kind) if one is not types.NoneType)
    return typing.Union[kinds]  # noqa: UP007  # built at run time


def mark_of(kind: type[Struct]) -> str:
    return next(key for key, field in fields_of(kind).items() if field.required)


def instead_of(kind: Any) -> str:
    kind = without_none(kind)
    if kind in LEAVES:
        return LEAVES[kind].instead
    if typing.get_origin(kind) is Literal:
        return " or ".join(map(_quoted, typing.get_args(kind)))
    if typing.get_origin(kind) in UNIONS:
        return f"a section with one of {', '.join(map(mark_of, typing.get_args(kind)))}"
    if typing.get_origin(kind) is tuple:
        return f"a list, of which each is {instead_of(typing.get_args(kind)[0])}"
    return f"a section with {', '.join(fields_of(kind))}"


def _quoted(choice: str) -> str:
    return choice if choice.isalnum() else f'"{choice}"'
