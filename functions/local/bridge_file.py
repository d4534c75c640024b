"""Reads bridge.yaml as a file, and refuses YAML that not every program reads alike.

Editors and other tools read the file with other YAML libraries than Python, and they disagree on words such as 012, 1e3
and n. Such words are faults here. A key that is written twice is a fault too; most libraries would accept it.

All faults are reported together, each with its line: those of YAML and those of what it says.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from common.bridge_yaml import Bridge
from common.bridge_yaml.decode import examine, line_of
from common.bridge_yaml.rules import RuleFinding, path_of
from common.platform.errors import BridgeFileInvalid
from local import yaml_faults
from local.yaml_faults import YamlFault, fault_at

_MOST_REPAIRS = 20
_MOST_PLACES = 20_000
"Aliases inside aliases can stand for any number of places."


class BridgeFile(NamedTuple):
    """A valid bridge.yaml."""

    raw: object
    "As plain data, equal to the JSON that the functions read from the bucket."
    bridge: Bridge


class _Place(NamedTuple):
    line: int
    "Of the key or the item."
    value: tuple[int, int]
    "The line and the column of its value."


class _Document(NamedTuple):
    raw: object
    root: yaml.Node | None
    faults: list[YamlFault]
    is_readable: bool
    "Whether `raw` is what the file says, apart from the faults."


def load(path: Path | str) -> Bridge:
    """Read and decode the file.

    Raises:
        BridgeFileInvalid: it cannot be read, is not YAML, or is not a valid bridge.yaml.
    """
    return load_file(path).bridge


def load_file(path: Path | str) -> BridgeFile:
    """Do the same as `load`, and return the plain data too."""
    return decode_file(content(path))


def load_section(path: Path | str, name: str) -> Bridge:
    """Read and decode one section of the file. Faults in other sections do not matter, unless it is not YAML.

    Raises:
        BridgeFileInvalid: it cannot be read, is not YAML, or the section is not valid.
    """
    return _decode(content(path), name).bridge


def decode_file(text: bytes | str) -> BridgeFile:
    """Decode the content of the file. Raises BridgeFileInvalid with a line for each fault."""
    return _decode(text)


def read(path: Path | str) -> object:
    """Read the file as plain data, equal to the JSON that the functions read from the bucket.

    Raises:
        BridgeFileInvalid: it cannot be read or is not YAML; each fault is a line of the message.
    """
    return parse(content(path))


def content(path: Path | str) -> bytes:
    """Return the bytes of the file. Raises BridgeFileInvalid if it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise BridgeFileInvalid(
            f"{path}: cannot be read: {error.strerror}",
            next_step="`bridge init` writes one. If it has another name, give it with --config.",
        ) from None


def parse(text: bytes | str) -> object:
    """Parse the content of the file, as `read` does."""
    document = _parse(text)
    if document.faults:
        raise BridgeFileInvalid("\n".join(fault.text for fault in document.faults))
    return document.raw


def _decode(text: bytes | str, section: str | None = None) -> BridgeFile:
    document = _parse(text)
    raw = document.raw
    if section is not None:
        raw = {section: raw[section]} if isinstance(raw, dict) and raw.get(section) is not None else {section: {}}
    bridge, findings = examine(raw) if document.is_readable else (Bridge(), [])
    if document.faults or findings:
        raise BridgeFileInvalid("\n".join(_lines(document, findings)))
    return BridgeFile(document.raw, bridge)


def _lines(document: _Document, findings: Sequence[RuleFinding]) -> list[str]:
    """Return all faults in the order of their lines, one for each place."""
    places = _places(document.root)
    numbered = [(fault.line, fault.text) for fault in document.faults]
    taken = {(fault.line, fault.column) for fault in document.faults}
    for finding in findings:
        place = _place_in(places, finding.path)
        if place is None:
            numbered.append((0, line_of(finding)))
        elif finding.path not in places or place.value not in taken:
            numbered.append((place.line, f"line {place.line}, {line_of(finding)}"))
    return [text for _, text in sorted(numbered, key=lambda each: each[0])]


def _place_in(places: dict[str, _Place], path: str) -> _Place | None:
    """Return the place of a path, or of the section in which it is missing."""
    while path and path not in places:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return places.get(path)


def _places(root: yaml.Node | None) -> dict[str, _Place]:
    """Return the place of each key and item, by its path as faults name it."""
    places: dict[str, _Place] = {}
    waiting = [("", root)] if root else []
    for path, node in waiting:
        for step, mark, inner in _parts(path, node):
            value = inner.start_mark
            places.setdefault(step, _Place(mark.line + 1, (value.line + 1, value.column + 1)))
            if len(waiting) < _MOST_PLACES:
                waiting.append((step, inner))
    return places


def _parts(path: str, node: yaml.Node | None) -> Iterator[tuple[str, yaml.Mark, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield path_of(path, key.value), key.start_mark, value
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield f"{path}[{index}]", item.start_mark, item


def _parse(text: bytes | str) -> _Document:
    faults: list[YamlFault] = []
    for _ in range(_MOST_REPAIRS):
        try:
            loader = _StrictYamlLoader(text)
            root = loader.get_single_node()
            raw = loader.construct_document(root) if root else None
        except yaml.MarkedYAMLError as error:
            plain = text if isinstance(text, str) else text.decode("utf-8-sig", "replace")
            fault = yaml_faults.explain(plain, error)
            if fault.repaired or not any(each.is_guess for each in faults):
                faults.append(fault)
            if fault.repaired is None or fault.repaired == plain:
                break
            text = fault.repaired
        except (yaml.YAMLError, RecursionError, ValueError, LookupError) as error:
            return _Document(None, None, [*faults, fault_at(None, _unreadable(error))], is_readable=False)
        else:
            faults = [*faults, *loader.faults]
            return _Document(raw, root, faults, is_readable=True)
    return _Document(None, None, faults, is_readable=False)


def _unreadable(error: Exception) -> str:
    if isinstance(error, yaml.YAMLError):
        return f"is not YAML: {' '.join(str(error).split())}; write it as text in UTF-8"
    if isinstance(error, RecursionError):
        return "is nested too deeply; write sections of a few levels"
    # PyYAML raises the others for a tag that contradicts its value: !!int twelve
    return "has a !!tag that contradicts its value; write the value without the tag"


_SAME_EVERYWHERE = re.compile(
    r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{0,14}[1-9])?|(?i:true|false|null)|~|[0-9]{4}-[0-9]{2}-[0-9]{2}|"
)
"Plain scalars that every YAML library reads as the same number, boolean, null or date."
_NOT_TEXT_IN_PYTHON = {f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "float", "timestamp", "value")}
_NOT_TEXT_ELSEWHERE = re.compile(
    r"[yYnN]|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?0[box][0-9a-fA-F_]+"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ][0-9]+:[0-9]+:[0-9]+.*)?"
)
"The widest of them: https://github.com/zclconf/go-cty-yaml, resolve.go"


class _StrictYamlLoader(yaml.SafeLoader):
    def __init__(self, text: bytes | str) -> None:
        super().__init__(text)
        self.faults: list[YamlFault] = []

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        node = super().compose_scalar_node(anchor)
        not_text = node.tag in _NOT_TEXT_IN_PYTHON or _NOT_TEXT_ELSEWHERE.fullmatch(node.value)
        if node.style is None and not_text and not _SAME_EVERYWHERE.fullmatch(node.value):
            self._fault(
                node,
                f"{node.value[:40]!r} means different things to different YAML readers; "
                "write text in quotes, numbers plainly, and truth values as true or false",
            )
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    self._fault(key, f"{key.value[:40]!r} is written twice; write it once")
                seen.add(key.value)
        return node

    def _fault(self, node: yaml.Node, words: str) -> None:
        self.faults.append(fault_at(node.start_mark, words))


def _construct_text(_: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    return str(node.value)


_StrictYamlLoader.add_constructor("tag:yaml.org,2002:timestamp", _construct_text)
