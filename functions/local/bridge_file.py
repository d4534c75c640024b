"""Reads bridge.yaml as a file, and refuses YAML that not every program reads alike.

Editors and other tools read the file with other YAML libraries than Python, and they disagree on words such as 012, 1e3
and n. Such words are faults here. A key that is written twice is a fault too; most libraries would accept it.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from common.bridge_yaml import Bridge, decode
from common.platform.errors import BridgeFileInvalid


def load(path: Path | str) -> Bridge:
    """Read and decode the file.

    Raises:
        BridgeFileInvalid: it cannot be read, is not YAML, or is not a valid bridge.yaml.
    """
    return decode(read(path))


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
            f"{path}: cannot be read: {error.strerror}", next_step="Name the file with --config."
        ) from None


def parse(text: bytes | str) -> object:
    """Parse the content of the file, as `read` does."""
    try:
        loader = _StrictYamlLoader(text)
        node = loader.get_single_node()
        if loader.faults:
            raise BridgeFileInvalid("\n".join(loader.faults))
        return loader.construct_document(node) if node else None
    except yaml.MarkedYAMLError as error:
        raise BridgeFileInvalid(f"{_position(error.problem_mark)}: is not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise BridgeFileInvalid(f"bridge.yaml: is not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise BridgeFileInvalid("bridge.yaml: is nested too deeply") from None
    except (ValueError, LookupError):  # PyYAML raises them for a tag that contradicts its value: !!int twelve
        raise BridgeFileInvalid(
            "bridge.yaml: has a !!tag that contradicts its value; write the value without the tag"
        ) from None


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
        self.faults: list[str] = []

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        node = super().compose_scalar_node(anchor)
        not_text = node.tag in _NOT_TEXT_IN_PYTHON or _NOT_TEXT_ELSEWHERE.fullmatch(node.value)
        if node.style is None and not_text and not _SAME_EVERYWHERE.fullmatch(node.value):
            self.faults.append(
                f"{_position(node.start_mark)}: {node.value[:40]!r} means different things to different YAML readers; "
                "write text in quotes, numbers plainly, and truth values as true or false"
            )
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    self.faults.append(
                        f"{_position(key.start_mark)}: {key.value[:40]!r} is written twice; write it once"
                    )
                seen.add(key.value)
        return node


def _construct_text(_: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    return str(node.value)


_StrictYamlLoader.add_constructor("tag:yaml.org,2002:timestamp", _construct_text)


def _position(mark: yaml.Mark | None) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else "bridge.yaml"
