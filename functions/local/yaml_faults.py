"""What is wrong with a file that is no YAML: a line for the person who wrote it, and the text without this fault.

The text without the fault is only for finding the faults after it. It is never used as bridge.yaml.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import yaml

_INDENTATION = re.compile(r"[ \t]*")
_BEGINS_VALUE = re.compile(r"\s*(?:- +)*(?:[\w.'\"-]+: +)?")
_CRON = re.compile(r"[0-9*,/-]+(?: +[0-9A-Z*,/-]+){4}(?=\s*(?:[,}\]#]|$))")
_PLACEHOLDER_FIRST = re.compile(r"\{\w+\}$")
_PATH = re.compile(r"(?:\{\w+\}|[^\s,{}\[\]])+")
_TO_THE_END = re.compile(r".*?(?=\s+#|\s*$)")
_SPACES = "[\u00a0\u2000-\u200b\u202f\u205f\u3000]"
_OTHER_SPACE = re.compile(rf"\s*(?:- +)?(?:[\w-]+:)?{_SPACES}")
"Before a key, or after its colon."
_UNFINISHED_KEY = re.compile(r"(?P<before> *(?:- +)?)(?P<key>[A-Za-z_][\w-]*)(?::(?P<rest>[^\s:/].*))? *")
_MISSED_IN_THE_LINE_BEFORE = ("mapping values are not allowed", "could not find expected ':'")
_NOT_AT_THE_BEGINNING = "*&!%@`"
"A plain value cannot begin with these, although * begins a schedule."
_ADVICE = (
    ("mapping values are not allowed", "a value that contains ': ' in quotes, and each key on a line of its own"),
    ("could not find expected ':'", "key: value, with a space after the colon"),
    ("expected ',' or", "the bracket that closes the list or section, and a comma between its items"),
    ("expected <block end>", "the keys of one section below each other, after the same number of spaces"),
    ("while scanning a quoted scalar", "the quote that closes the text"),
    ("expected a single document", "one document, without --- in the file"),
    ("could not determine a constructor", "the value without a !tag"),
    ("unhashable key", "a word as the key"),
)
_OTHERWISE = "key: value pairs, lists as - item, and text with special characters in quotes"


class YamlFault(NamedTuple):
    line: int
    "From 1; 0 if it is not known."
    column: int
    text: str
    "For the message."
    repaired: str | None = None
    "The whole text without this fault; None if it is not known how."
    is_guess: bool = False
    "Whether the repaired text may have faults that are not in the file."


def explain(text: str, error: yaml.MarkedYAMLError) -> YamlFault:
    """Explain an error of PyYAML at its place in the text."""
    lines = text.splitlines()
    for mark in (error.context_mark, error.problem_mark):
        if mark is not None and mark.line < len(lines):
            found = _tabs(lines, mark.line) or _other_spaces(lines, mark.line)
            found = found or _plain_value(lines, mark.line, mark.column)
            if found is not None:
                return found
    problem = error.problem_mark or error.context_mark
    words = " ".join(str(error.problem).split())
    if problem is not None and any(part in words for part in _MISSED_IN_THE_LINE_BEFORE):
        found = _unfinished_key(lines, problem.line)
        if found is not None:
            return found
    advice = next((advice for part, advice in _ADVICE if part in f"{error.context} {words}"), _OTHERWISE)
    return fault_at(problem, f"is not YAML: {words}; write {advice}")


def fault_at(mark: yaml.Mark | None, words: str) -> YamlFault:
    if mark is None:
        return YamlFault(0, 0, f"bridge.yaml: {words}")
    line, column = mark.line + 1, mark.column + 1
    return YamlFault(line, column, f"line {line}, column {column}: {words}")


def _tabs(lines: Sequence[str], number: int) -> YamlFault | None:
    """Explain a tab before the text of a line; the same fault in other lines is not another one."""
    if "\t" not in _indentation(lines[number]):
        return None
    with_tabs = [index + 1 for index, line in enumerate(lines) if "\t" in _indentation(line)]
    more = f", as are {len(with_tabs) - 1} more lines" if len(with_tabs) > 1 else ""
    words = f"line {with_tabs[0]}, column 1: is indented with a tab{more}; write spaces, two for each level"
    return YamlFault(with_tabs[0], 1, words, "\n".join(_without_tabs(lines)), is_guess=True)


def _without_tabs(lines: Sequence[str]) -> list[str]:
    """Indent by two spaces for each tab, or among lines with spaces, as deep as the line before."""
    is_mixed = any(line.startswith(" ") for line in lines)
    repaired: list[str] = []
    before = ""
    for line in lines:
        indentation = _indentation(line)
        if "\t" in indentation:
            deeper = "  " if before.rstrip().endswith(":") else ""
            spaces = _indentation(before) + deeper if is_mixed else "  " * indentation.count("\t")
            repaired.append(spaces + line[len(indentation) :])
        else:
            repaired.append(line)
        before = repaired[-1] if line.strip() else before
    return repaired


def _other_spaces(lines: Sequence[str], number: int) -> YamlFault | None:
    """Explain spaces that look like others, as web pages and editors for text have them."""
    odd = next((index for index, line in enumerate(lines[: number + 1]) if _OTHER_SPACE.match(line)), None)
    if odd is None:
        return None
    words = f"line {odd + 1}, column 1: has a no-break space, which is none in YAML; write it with plain spaces"
    repaired = "\n".join(re.sub(_SPACES, " ", line) if _OTHER_SPACE.match(line) else line for line in lines)
    return YamlFault(odd + 1, 1, words, repaired, is_guess=True)


def _unfinished_key(lines: Sequence[str], number: int) -> YamlFault | None:
    """Explain a key without its colon, or without the space after it, which YAML finds in the line that follows."""
    before = next((index for index in range(number - 1, -1, -1) if lines[index].strip()), None)
    found = _UNFINISHED_KEY.fullmatch(lines[before]) if before is not None else None
    if before is None or found is None:
        return None
    key, rest = found["key"], found["rest"] or ""
    what = f"no space after the colon; write `{key}: …`" if rest else f"no colon; write `{key}:`"
    repaired = f"{found['before']}{key}:{' ' * bool(rest)}{rest}"
    column = len(found["before"]) + 1
    return YamlFault(
        before + 1,
        column,
        f"line {before + 1}, column {column}: has {what}",
        "\n".join([*lines[:before], repaired, *lines[before + 1 :]]),
        is_guess=True,
    )


def _plain_value(lines: Sequence[str], number: int, column: int) -> YamlFault | None:
    """Explain a value without quotes that begins with a sign of YAML, such as */5 or {date}.csv."""
    line = lines[number]
    placeholder = _PLACEHOLDER_FIRST.search(line[:column])
    begin = placeholder.start() if placeholder else column
    if not placeholder and line[begin : begin + 1] not in tuple(_NOT_AT_THE_BEGINNING):
        return None
    value = line[begin:]
    cron = _CRON.match(value)
    key = re.search(r"([\w-]+): +$", line[:begin])
    text = f'"{cron[0]}"' if cron else "the value in quotes"
    quoted = f"{key[1]}: {text}" if cron and key else text
    words = (
        f"line {number + 1}, column {begin + 1}: begins with {value[0]}, which means something in YAML; write {quoted}"
    )
    return YamlFault(
        number + 1,
        begin + 1,
        words,
        _repaired(lines, number, begin, cron or (_PATH.match(value) if placeholder else None)),
    )


def _repaired(lines: Sequence[str], number: int, begin: int, known: re.Match[str] | None) -> str | None:
    """Return the text with a value in quotes; None if it is not known where the value ends."""
    line = lines[number]
    is_last = (first := _BEGINS_VALUE.match(line)) is not None and first.end() == begin
    plain = known or (_TO_THE_END.match(line[begin:]) if is_last else None)
    if not plain:
        return None
    inner = plain[0].replace("'", "''")
    quoted = f"{line[:begin]}'{inner}'{line[begin + plain.end() :]}"
    return "\n".join([*lines[:number], quoted, *lines[number + 1 :]])


def _indentation(line: str) -> str:
    found = _INDENTATION.match(line)
    return found[0] if found else ""
