"""Lists and forms in which ids stay whole at any width, so that they can be copied.

A list has one line for each item where that fits, and always if it goes to a program. In a narrow terminal, the id and
the details of an item stand below its line. A form has a name before each value; an id that does not fit there has a
line of its own.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.text import Text

from local import terminal

_GAP = "  "
_NARROWEST_DETAILS = 32
_MORE = "…"


class ListedItem(NamedTuple):
    cells: Sequence[str | Text]
    identifier: str
    details: str = ""
    is_brief: bool = False
    "Whether the details may be cut to one line."


class FormField(NamedTuple):
    name: str | Text
    value: str | Text
    is_brief: bool = False
    "Whether the value may be cut to one line."


class ListedColumn(NamedTuple):
    name: str
    is_number: bool = False


def print_list(
    columns: Sequence[ListedColumn], items: Sequence[ListedItem], *, identifier: str, details: str = ""
) -> None:
    """Print a list.

    Args:
        identifier: the name of the column with the ids.
        details: the name of the last column.
    """
    terminal.print_lines(list_lines(columns, items, identifier, details, terminal.width()))


def list_lines(
    columns: Sequence[ListedColumn], items: Sequence[ListedItem], identifier: str, details: str, width: int | None
) -> list[Text]:
    """Return the lines of a list.

    Args:
        width: None if a program reads it, which finds each item in a line.
    """
    heads = [column.name for column in columns]
    rows = [[_plain(cell) for cell in item.cells] for item in items]
    widths = [max(map(cell_len, [head, *(row[place].plain for row in rows)])) for place, head in enumerate(heads)]
    id_width = max(map(cell_len, [identifier, *(item.identifier for item in items)]))
    before = sum(widths) + len(_GAP) * len(widths)
    left = None if width is None else width - before - id_width - len(_GAP)
    is_wide = left is None or _fits(items, left)
    if width is not None and before > width + len(_GAP):
        widths[0] = max(cell_len(heads[0]), widths[0] - before + width + len(_GAP))
    head = _line(columns, [Text(name) for name in heads], widths)
    if is_wide:
        head.append(f"{identifier.ljust(id_width)}{_GAP}{details}")
    head.stylize("bold")
    lines = [head]
    for item, row in zip(items, rows, strict=True):
        if cell_len(row[0].plain) > widths[0]:
            lines.append(row[0])
            row[0] = Text()
        line = _line(columns, row, widths)
        lines += _beside(line, item, id_width, left) if is_wide else [line, *_below(item, width or 0)]
    for line in lines:
        line.rstrip()
    return lines


def print_form(title: str, fields: Iterable[FormField], *, errors: bool = False) -> bool:
    """Print names and values below each other. Return whether a value was cut.

    Args:
        errors: print to standard error.
    """
    lines = form_lines(title, list(fields), terminal.width(errors=errors))
    terminal.print_lines(lines, errors=errors)
    return any(line.plain.endswith(_MORE) for line in lines)


def form_lines(title: str, fields: Sequence[FormField], width: int | None) -> list[Text]:
    """Return the lines of a form; for a program, each field has one."""
    names = [_plain(field.name) for field in fields]
    longest = max((cell_len(name.plain) for name in names), default=0)
    left = None if width is None else width - longest - len(_GAP)
    lines = [Text(title, "bold")] if title else []
    for name, field in zip(names, fields, strict=True):
        value = _plain(field.value)
        if field.is_brief:
            value = Text(brief(value.plain, left), value.style)
        name.pad_right(longest - cell_len(name.plain) + len(_GAP))
        if left is None or cell_len(value.plain) <= left:
            lines.append(name + value)
            continue
        if " " not in value.plain:
            indentation = _GAP if cell_len(value.plain) + len(_GAP) <= (width or 0) else ""
            name.rstrip()
            lines += [name, Text(indentation) + value]
            continue
        first, *others = terminal.wrapped(value.plain, left)
        lines += [name + Text(first, value.style), *(Text(" " * (longest + len(_GAP)) + other) for other in others)]
    return lines


def brief(text: str, width: int | None) -> str:
    """Return a text, cut between two words to a width if that is known: half an id is of no use."""
    if width is None or cell_len(text) <= width:
        return text
    end = max(0, width - len(_MORE))
    kept = text[:end] if text[end].isspace() else text[:end].rpartition(" ")[0] or text[:end]
    return kept.rstrip() + _MORE


def _fits(items: Iterable[ListedItem], left: int) -> bool:
    """Whether the details have a column of their own: without any, or wide enough, and for the longest word too."""
    words = [word for item in items if not item.is_brief for word in item.details.split()]
    has_details = any(item.details for item in items)
    return left >= (_NARROWEST_DETAILS if has_details else -len(_GAP)) and max(map(cell_len, words), default=0) <= left


def _beside(line: Text, item: ListedItem, id_width: int, left: int | None) -> Iterator[Text]:
    """Yield the line with the id and the details behind it."""
    line.append(item.identifier.ljust(id_width) + _GAP)
    indentation = " " * cell_len(line.plain)
    first, *others = _wrapped(item, left) or [""]
    yield line.append(first)
    yield from (Text(indentation + other) for other in others)


def _below(item: ListedItem, width: int) -> Iterator[Text]:
    """Yield the id, and the details behind it if they have enough room there."""
    begin = f"{_GAP}{item.identifier}{_GAP}"
    left = width - cell_len(begin)
    if not _fits([item], left):
        for line in (item.identifier, *_wrapped(item, width - len(_GAP))):
            yield Text(_GAP + line if cell_len(_GAP + line) <= width else line)
        return
    first, *others = _wrapped(item, left) or [""]
    yield Text(begin + first)
    yield from (Text(" " * cell_len(begin) + line) for line in others)


def _wrapped(item: ListedItem, width: int | None) -> list[str]:
    details = _one_line(item.details)
    if width is None or not details:
        return [details] if details else []
    return [brief(details, width)] if item.is_brief else terminal.wrapped(details, width)


def _line(columns: Sequence[ListedColumn], cells: Sequence[Text], widths: Sequence[int]) -> Text:
    line = Text()
    for column, cell, width in zip(columns, cells, widths, strict=True):
        missing = " " * (width - cell_len(cell.plain))
        parts = (missing, cell) if column.is_number else (cell, missing)
        line.append_text(Text.assemble(*parts, _GAP))
    return line


def _plain(cell: str | Text) -> Text:
    """Return a cell whose width is that which it has at a terminal."""
    if isinstance(cell, Text):
        return Text(_one_line(cell.plain), cell.style)
    return Text(_one_line(cell))


def _one_line(text: str) -> str:
    return terminal.visible(" ".join(text.split()))
