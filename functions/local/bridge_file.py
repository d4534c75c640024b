"""bridge.yaml on this machine, read so that it says the same here as in the bucket.

Terraform reads the file with another YAML library than Python does, and the two differ on words such as 012, 1e3 and
n. What they would read differently is a fault here, and so is a key that is written twice, which both let pass.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from common.bridge_yaml import Bridge, decode
from common.platform.errors import BridgeFileInvalid


def load(path: Path | str) -> Bridge:
    """What the file says.

    Raises:
        BridgeFileInvalid: it cannot be read, is no YAML, or does not say what it has to.
    """
    return decode(read(path))


def read(path: Path | str) -> object:
    """The file as plain data, the same that the functions find as JSON.

    Raises:
        BridgeFileInvalid: it cannot be read or is no YAML; every such fault on a line of its own.
    """
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise BridgeFileInvalid(
            f"{path}: cannot be read: {error.strerror}", next_step="Name the file with --config."
        ) from None
    return parse(text)


def parse(text: bytes | str) -> object:
    """As `read`, from the file's content."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if loader.faults:
            raise BridgeFileInvalid("\n".join(loader.faults))
        return loader.construct_document(node) if node else None
    except yaml.MarkedYAMLError as error:
        raise BridgeFileInvalid(f"{_place(error.problem_mark)}: is not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise BridgeFileInvalid(f"bridge.yaml: is not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise BridgeFileInvalid("bridge.yaml: is nested without end") from None
    except (ValueError, LookupError):  # PyYAML's own, on a tag that does not fit: !!int twelve
        raise BridgeFileInvalid("bridge.yaml: holds a !!tag that does not fit its value; leave the tag out") from None


_ALIKE = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{0,14}[1-9])?|(?i:true|false|null)|~|[0-9]{4}-[0-9]{2}-[0-9]{2}|")
"What every YAML reader takes for the same number, truth value, nothing or day."
_NO_TEXT_TO_PYTHON = {f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "float", "timestamp", "value")}
_NO_TEXT_TO_TERRAFORM = re.compile(
    r"[yYnN]|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?0[box][0-9a-fA-F_]+"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ][0-9]+:[0-9]+:[0-9]+.*)?"
)
"https://github.com/zclconf/go-cty-yaml, resolve.go"


class _Loader(yaml.SafeLoader):
    def __init__(self, text: bytes | str) -> None:
        super().__init__(text)
        self.faults: list[str] = []

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        node = super().compose_scalar_node(anchor)
        no_text = node.tag in _NO_TEXT_TO_PYTHON or _NO_TEXT_TO_TERRAFORM.fullmatch(node.value)
        if node.style is None and no_text and not _ALIKE.fullmatch(node.value):
            self.faults.append(
                f"{_place(node.start_mark)}: {node.value[:40]!r} means different things to different YAML readers; "
                "write text in quotes, numbers plainly, and truth values as true or false"
            )
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    self.faults.append(f"{_place(key.start_mark)}: {key.value[:40]!r} is written twice; write it once")
                seen.add(key.value)
        return node


def _as_text(_: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    return str(node.value)


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _as_text)


def _place(mark: yaml.Mark | None) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else "bridge.yaml"
