"""bridge.yaml with a new job: text is inserted, and every other character stays as it is."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import yaml

from common import bridge_yaml
from common.bridge_yaml import Bridge
from common.platform.errors import BridgeFileInvalid, OurFault
from local import bridge_file, job_text, own_files
from local.job_text import JobDraft

_HEADER = (
    "The jobs of the bridge between Looker and Pigment. Change them as you like: `bridge check` tests the file.",
    "Keys are in .env, under the names used here, and never in this file.",
)

_INDENT = 2

Sections = Mapping[str, Mapping[str, str]]


class BridgeDocument(msgspec.Struct, frozen=True):
    """The text of bridge.yaml; empty if there is no file yet."""

    path: Path
    text: str

    @classmethod
    def read(cls, path: Path) -> "BridgeDocument":
        """Raises BridgeFileInvalid if there is a file that is not valid."""
        if not path.exists():
            return cls(path, "")
        bridge_file.load(path)
        try:
            return cls(path, bridge_file.content(path).decode())
        except UnicodeDecodeError:
            raise BridgeFileInvalid(f"{path}: is not encoded in UTF-8") from None

    @property
    def bridge(self) -> Bridge:
        return bridge_yaml.decode(self._data)

    @property
    def _data(self) -> Any:
        return (bridge_file.parse(self.text) if self.text.strip() else None) or {}

    def with_job(self, settings: Sections, draft: JobDraft) -> "BridgeDocument":
        """Return the document with a job and with keys before the jobs that it lacks.

        Raises:
            OurFault: the file has a form into which nothing can be inserted.
        """
        if not self.text.strip():
            text = job_text.new_file(_HEADER, {name: keys for name, keys in settings.items() if keys}, [draft])
            return BridgeDocument(self.path, self.text + text)
        text = self.text
        for name, fields in settings.items():
            if fields:
                text = _inserted(text, name, fields, partial(job_text.setting_lines, name, fields))
        text = _inserted(
            text, draft.section, {draft.name: draft.fields}, lambda indent: ["", *draft.lines(indent, indent)]
        )
        changed = BridgeDocument(self.path, text)
        changed._expect_only_added(
            [*({name: fields} for name, fields in settings.items() if fields), draft.as_data()], self._data, draft
        )
        return changed

    def expect_unchanged(self) -> None:
        """Raise OurFault if the file has changed since it was read."""
        now = bridge_file.content(self.path) if self.path.exists() else b""
        if now != self.text.encode():
            raise OurFault(f"{self.path} has changed meanwhile. It stays as it is.", next_step="Start again.")

    def write(self) -> None:
        """Replace the file in one step. Raises OurFault if it cannot be written."""
        own_files.replace(self.path, self.text)

    def _expect_only_added(self, added: Collection[Mapping[str, Any]], before: Any, draft: JobDraft) -> None:
        expected = {name: dict(fields) if isinstance(fields, dict) else fields for name, fields in before.items()}
        for addition in added:
            for name, fields in addition.items():
                expected.setdefault(name, {}).update(fields)
        try:
            is_same = self._data == expected
        except BridgeFileInvalid:
            is_same = False
        if not is_same:
            lines = "\n".join(draft.lines())
            raise OurFault(
                f"{self.path} has a form into which this command cannot insert a job. It stays as it is.",
                next_step=f"Add these lines below {draft.section}:\n{lines}",
            )


def _inserted(text: str, section: str, fields: Mapping[str, Any], lines: Callable[[int], list[str]]) -> str:
    """Return the text with further keys in a section, which it may lack.

    Args:
        lines: return the keys as lines with this indent. A step inside them is as wide.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        return text
    node = next((value for key, value in root.value if key.value == section), None)
    if root.flow_style and node is None:
        return _inserted_inline(text, root, {section: fields})
    if node is None:
        return _inserted_lines(text, len(text.splitlines()), ["", f"{section}:", *lines(_INDENT)])
    if not isinstance(node, yaml.MappingNode):
        return text
    if node.flow_style:
        return _inserted_inline(text, node, fields)
    return _inserted_lines(text, _line_after(node, text), lines(node.value[0][0].start_mark.column))


def _inserted_inline(text: str, node: yaml.MappingNode, fields: Mapping[str, Any]) -> str:
    """Insert before the closing brace."""
    begin, end = text[: node.end_mark.index - 1], text[node.end_mark.index - 1 :]
    separator = ", " if node.value and not begin.rstrip().endswith(",") else ""
    return f"{begin.rstrip()}{separator}{job_text.flow(fields)[1:-1]}{end}"


def _inserted_lines(text: str, place: int, lines: Collection[str]) -> str:
    end = "\r\n" if "\r\n" in text else "\n"
    before = text.splitlines(keepends=True)
    head = "".join(before[:place])
    if head and not head.endswith(("\n", "\r")):
        head += end
    return head + "".join(f"{line}{end}" for line in lines) + "".join(before[place:])


def _line_after(section: yaml.MappingNode, text: str) -> int:
    """Return the number of the line after a section, with the comments that are further in than its keys."""
    last: yaml.Node = section
    while isinstance(last, yaml.CollectionNode) and not last.flow_style and last.value:
        last = last.value[-1][1] if isinstance(last, yaml.MappingNode) else last.value[-1]
    place: int = last.end_mark.line + (last.end_mark.column > 0)
    rows, column = text.splitlines(), section.value[0][0].start_mark.column
    while place < len(rows) and rows[place].lstrip().startswith("#") and _indent_of(rows[place]) > column:
        place += 1
    return place


def _indent_of(line: str) -> int:
    return len(line) - len(line.lstrip())
