"""Decodes the plain data of bridge.yaml into its structs, and reports all faults in one message.

The decoder follows the types of the structs. A section is a struct, and every other value has a `ValueFormat`. Where a
section can be one of several structs, a key that only one of them requires selects the struct. A value with a fault is
replaced by UNSET, so that the decoder and the rules can continue.
"""

import re
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Struct

from common.bridge_yaml import addresses, rules
from common.bridge_yaml.model import AnyRelay, Bridge, Changes, Columns, Export, Incremental, Load, Pull
from common.bridge_yaml.rules import LONGEST_KEY, RuleFinding, path_of
from common.bridge_yaml.values import FORMATS, InvalidValue, describe, parse_text
from common.platform.errors import BridgeFileInvalid

_Section = TypeVar("_Section", bound=Struct)

JOB_TYPES = (Pull, AnyRelay, Export)
LOADS: Mapping[str, type[Struct]] = {"incremental": Incremental, "changes": Changes}
HOW_TO_LOAD = "full, or one of incremental: {…} and changes: {…}"
UNIONS = (typing.Union, types.UnionType)
_NAMED = "a section with a name for each"
_NOT_IN_THE_FILE = {"name", "warnings"}
JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_JOB_NAME_ADVICE = "at most 63 letters, digits, - and _, starting with a letter or digit"
_FILE = "bridge.yaml"


def decode(raw: object) -> Bridge:
    """Decode bridge.yaml. Raises BridgeFileInvalid, with a line for each fault: path, problem and advice."""
    bridge, faults = examine(raw)
    if faults:
        raise BridgeFileInvalid("\n".join(map(line_of, faults)))
    return bridge


def examine(raw: object) -> tuple[Bridge, list[RuleFinding]]:
    """Decode bridge.yaml, and return its faults too. With a fault, the bridge must not be used."""
    decoder = _Decoder()
    try:
        bridge = decoder.section(Bridge, raw, "")
    except RecursionError:
        return Bridge(), [RuleFinding("", "is nested too deeply", "filters of a few levels")]
    if isinstance(raw, Mapping):
        decoder.faults += rules.faults(bridge)
    if decoder.faults:
        return bridge, decoder.faults
    return msgspec.structs.replace(bridge, warnings=tuple(map(line_of, rules.warnings(bridge)))), []


def line_of(finding: RuleFinding) -> str:
    """Return a fault or a warning as a line: path, problem and advice."""
    return f"{finding.path or _FILE}: {finding.problem}; write {finding.advice}"


class _Decoder:
    """Decodes one file and collects its faults."""

    def __init__(self) -> None:
        self.faults: list[RuleFinding] = []
        self._special = {Load: self._load, Columns: self._columns}
        self._generic = {Literal: self._choice, tuple: self._list, Mapping: self._mapping}

    def fault(self, path: str, problem: str, advice: str) -> None:
        self.faults.append(RuleFinding(path, problem, advice))

    def section(self, kind: type[_Section], raw: object, path: str, **preset: object) -> _Section:
        fields = fields_of(kind)
        items = self._items(raw, path, f"a section with {', '.join(fields)}")
        meant = self._report_unknown_keys(items or (), fields, path)
        values = dict(preset)
        for key, field in fields.items():
            if items is None or key in meant:
                values[field.name] = _with_a_fault(field.type)
            elif key in items:
                values[field.name] = self._value(field.type, items[key], path_of(path, key))
            elif field.required:
                self.fault(path_of(path, key), "is missing", advice_for(field.type))
                values[field.name] = UNSET
        section = kind(**values)
        for where, problem, advice in rules.faults_of_section(section):
            self.fault(path_of(path, where), problem, advice)
        return section

    def _value(self, kind: Any, raw: object, path: str, **preset: object) -> Any:
        kind = without_none(kind)
        if kind in FORMATS:
            return self._single_value(kind, raw, path)
        if kind in self._special:
            return self._special[kind](raw, path)
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if origin in UNIONS:
            return self._one_of(arguments, raw, path, **preset)
        if origin in self._generic:
            return self._generic[origin](arguments, raw, path)
        return self.section(kind, raw, path, **preset)

    def _single_value(self, kind: Any, raw: object, path: str) -> Any:
        value_format = FORMATS[kind]
        try:
            return value_format.parse(raw)
        except InvalidValue as fault:
            problem = fault.problem if raw is not None else "is empty"
            self.fault(path, problem, fault.advice or value_format.advice)
            return UNSET

    def _choice(self, choices: tuple[str, ...], raw: object, path: str) -> Any:
        if isinstance(raw, str) and raw in choices:
            return raw
        self.fault(path, "is not an allowed value", " or ".join(map(_quoted, choices)))
        return UNSET

    def _list(self, arguments: tuple[Any, ...], raw: object, path: str) -> Any:
        if not isinstance(raw, list | tuple):
            self.fault(path, f"is {describe(raw)}", _list_advice(arguments[0]))
            return UNSET
        return tuple(self._value(arguments[0], item, f"{path}[{index}]") for index, item in enumerate(raw))

    def _mapping(self, arguments: tuple[Any, ...], raw: object, path: str) -> Any:
        _, kind = arguments
        items = self._items(raw, path, _NAMED) or {}
        if kind not in JOB_TYPES:
            return {key: self._value(kind, value, path_of(path, key)) for key, value in items.items()}
        for name in items:
            if not JOB_NAME.fullmatch(name):
                self.fault(path_of(path, name), "is not a valid job name", _JOB_NAME_ADVICE)
        return {key: self._value(kind, value, path_of(path, key), name=key) for key, value in items.items()}

    def _one_of(self, kinds: tuple[Any, ...], raw: object, path: str, **preset: object) -> Any:
        """Decode a section that can be one of several structs."""
        selectors = {selector_of(kind): kind for kind in kinds}
        items = self._items(raw, path, f"a section with one of {', '.join(selectors)}")
        if items is None:
            return UNSET
        found = [selector for selector in selectors if selector in items]
        if len(found) == 1:
            return self.section(selectors[found[0]], raw, path, **preset)
        known = dict.fromkeys(key for kind in kinds for key in fields_of(kind))
        if found or not self._report_unknown_keys(items, known, path) & {*selectors}:
            self.fault(path, f"has {' and '.join(found) or 'none'} of {', '.join(selectors)}", "exactly one of them")
        if found:
            self._report_unknown_keys(items, known, path)
        return UNSET

    def _load(self, raw: object, path: str) -> Any:
        if raw == "full":
            return raw
        if isinstance(raw, Mapping) and len(raw) == 1:
            ((key, value),) = raw.items()
            if key in LOADS:
                return self._value(LOADS[key], value, path_of(path, key))
        self.fault(path, "is not a valid load", HOW_TO_LOAD)
        return UNSET

    def _columns(self, raw: object, path: str) -> Any:
        if isinstance(raw, list):
            pairs = self._pairs(raw, path)
        else:
            pairs = self._items(raw, path, "pairs of Looker's header and Pigment's") or {}
        return {key: self._value(str, value, path_of(path, key)) for key, value in pairs.items()}

    def _pairs(self, raw: list[object], path: str) -> dict[str, object]:
        pairs: dict[str, object] = {}
        for index, item in enumerate(raw):
            where = f"{path}[{index}]"
            pair = self._items(item, where, "one pair such as Flights Origin: origin") or {}
            if len(pair) > 1 or pairs.keys() & pair.keys():
                self.fault(
                    where, "has more than one pair, or a header that was used before", "one pair for each column"
                )
            pairs |= pair
        return pairs

    def _items(self, raw: object, path: str, advice: str) -> dict[str, object] | None:
        """Return a mapping with its keys as text, or None if it is not a mapping."""
        if not isinstance(raw, Mapping):
            source = addresses.source_in(raw) if isinstance(raw, str) and addresses.is_address(raw) else ""
            self.fault(path, "is an address" if source else f"is {describe(raw)}", source or advice)
            return None
        items: dict[str, object] = {}
        for key, value in raw.items():
            try:
                name = parse_text(key)
            except InvalidValue as fault:
                self.fault(path, f"has a key that {fault.problem}", "the key in quotes")
                continue
            if name in items:
                self.fault(path_of(path, name), "is written twice", "it once")
            items[name] = value
        return items

    def _report_unknown_keys(self, keys: Iterable[str], known: Iterable[str], path: str) -> set[str]:
        """Return the known keys that unknown ones are meant to be, which are therefore not missing."""
        known, keys = list(known), list(keys)
        meant = set()
        for key in keys:
            if key not in known:
                similar = _similar(key, known)
                self.fault(path_of(path, key), "is not a known key", similar or f"only {', '.join(known)}")
                meant.add(similar)
        return meant - {*keys, ""}


def _with_a_fault(kind: Any) -> Any:
    """Return what stands for a value that has a fault: a section of such values, so that no rule reads them."""
    kind = without_none(kind)
    if typing.get_origin(kind) is Mapping:
        return {}
    if isinstance(kind, type) and issubclass(kind, Struct):
        return kind(**{field.name: _with_a_fault(field.type) for field in fields_of(kind).values()})
    return UNSET


def _similar(key: str, known: list[str]) -> str:
    import difflib  # noqa: PLC0415  # a valid file never needs it

    return next(iter(difflib.get_close_matches(key[:LONGEST_KEY], known, n=1)), "")


def fields_of(kind: type[Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    """Return the fields of a section by key, the required ones first."""
    fields = sorted(msgspec.structs.fields(kind), key=lambda field: not field.required)
    return {field.name.rstrip("_"): field for field in fields if field.name not in _NOT_IN_THE_FILE}


def without_none(kind: Any) -> Any:
    """Return a type without None, which stands only for an absent key."""
    if typing.get_origin(kind) not in UNIONS:
        return kind
    kinds = tuple(one for one in typing.get_args(kind) if one is not types.NoneType)
    return typing.Union[kinds]  # noqa: UP007  # built at run time


def selector_of(kind: type[Struct]) -> str:
    """Return the key that selects this struct among several: its first required one."""
    return next(iter(fields_of(kind)))


def advice_for(kind: Any) -> str:
    """Return the suggestion for a missing value of this type."""
    kind = without_none(kind)
    arguments = typing.get_args(kind)
    if kind in FORMATS:
        return FORMATS[kind].advice
    if typing.get_origin(kind) is Literal:
        return " or ".join(map(_quoted, arguments))
    if typing.get_origin(kind) in UNIONS:
        return f"a section with one of {', '.join(map(selector_of, arguments))}"
    if typing.get_origin(kind) is tuple:
        return _list_advice(arguments[0])
    if typing.get_origin(kind) is Mapping:
        return _NAMED
    return f"a section with {', '.join(fields_of(kind))}"


def _list_advice(item_kind: Any) -> str:
    return f"a list in which each item is {advice_for(item_kind)}"


def _quoted(choice: str) -> str:
    return choice if choice.isalnum() else f'"{choice}"'
