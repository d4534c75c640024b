"""Jobs as text for bridge.yaml, with a comment where a person wonders what a value is."""

import json
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from itertools import chain, count
from typing import Any, Literal

import msgspec

from common.bridge_yaml.decode import JOB_NAME
from local import terminal

JobSection = Literal["pulls", "relays", "exports"]

_INDENT = 2
_LONGEST_NAME = 40
_LONGEST_COMMENT = 100
_MEANINGS = {
    "looker.url": "the address of Looker",
    "looker.credentials": "the name of the line in .env with Looker's API key",
    "pigment.url": "the address of Pigment",
    "pigment.import_key": "the name of the line in .env with a key of the scope Import",
    "pigment.export_key": "the name of the line in .env with a key of the scope Export",
    "webhook.token": "the name of the line in .env with Looker's webhook token",
}
"Of the keys before the jobs."
_PLAIN = re.compile(
    r"(?!(?i:true|false|null|yes|no|on|off|y|n|nan|inf)$)[a-z][a-z0-9-]*|[0-9a-f]{8}(-[0-9a-f]{4,12}){4}|https?://[a-z0-9.:-]+"
)
"Text that every YAML reader takes as text without quotes: words, names, UUIDs and addresses."


class JobDraft(msgspec.Struct, frozen=True):
    """A job that is not in bridge.yaml yet."""

    section: JobSection
    name: str
    fields: Mapping[str, Any]
    "As in bridge.yaml."
    comments: Mapping[str, str] = {}
    "By the path of a key below the job, such as `target.configuration`."
    hints: Mapping[str, str] = {}
    "Keys that the job may have too, as lines of YAML, each with its meaning. They are written as comments."

    def as_data(self) -> dict[str, Any]:
        return {self.section: {self.name: self.fields}}

    def lines(self, indent: int = _INDENT, step: int = _INDENT) -> list[str]:
        """Return the lines of the job, below the key of its section."""
        own = [(f"{' ' * indent}{self.name}:", ""), *self._fields(self.fields, "", indent + step, step)]
        hints = [(f"{' ' * (indent + step)}# {line}", meaning) for line, meaning in self.hints.items()]
        return _with_comments([*own, *hints])

    def _fields(self, fields: Mapping[str, Any], path: str, indent: int, step: int) -> Iterator[tuple[str, str]]:
        for key, value in fields.items():
            begin, comment = f"{' ' * indent}{key}:", self.comments.get(path + key, "")
            if isinstance(value, dict) and len(value) > 1:
                yield begin, comment
                yield from self._fields(value, f"{path}{key}.", indent + step, step)
            else:
                yield f"{begin} {flow(value)}", comment


def new_file(header: Collection[str], sections: Mapping[str, Mapping[str, str]], drafts: Collection[JobDraft]) -> str:
    """Return a whole bridge.yaml.

    Args:
        header: the lines of the comment at its top.
        sections: those before the jobs.
        drafts: jobs of one section.
    """
    lines = [f"# {line}".rstrip() for line in header]
    for name, fields in sections.items():
        lines += ["", f"{name}:", *setting_lines(name, fields)]
    for section in dict.fromkeys(draft.section for draft in drafts):
        lines += ["", f"{section}:"]
        for draft in drafts:
            lines += ["", *draft.lines()] if draft.section == section else []
    return "\n".join(lines) + "\n"


def setting_lines(section: str, fields: Mapping[str, str], indent: int = _INDENT) -> list[str]:
    """Return the lines of keys in a section before the jobs."""
    own = [(f"{' ' * indent}{key}: {flow(value)}", _MEANINGS[f"{section}.{key}"]) for key, value in fields.items()]
    return _with_comments(own)


def flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    # YAML reads JSON. Text with characters that YAML forbids is written with their codes.
    return json.dumps(value, ensure_ascii=not (isinstance(value, str) and value.isprintable()))


def job_name(title: str, taken: Collection[str], default: str) -> str:
    """Return a name for a job: "Ventes d'été" becomes `ventes-d-ete`, or `ventes-d-ete-2` beside another."""
    letters = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "-", letters)[:_LONGEST_NAME].strip("-") or default
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    return next(each for each in names if each not in taken and JOB_NAME.fullmatch(each))


def _with_comments(lines: Collection[tuple[str, str]]) -> list[str]:
    """Return lines with their comments in one column."""
    column = max((len(line) for line, comment in lines if comment), default=0)
    return [f"{line:<{column}}  # {one_line(comment)}" if comment else line for line, comment in lines]


def one_line(text: str) -> str:
    """Return the words of others as a part of one line."""
    return terminal.visible(" ".join(text.split()))[:_LONGEST_COMMENT]
