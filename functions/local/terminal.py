r"""All that `bridge` prints. No other module of the command line writes to standard output or standard error.

Much of it comes from others: Looker, Pigment, whoever sent a delivery. A terminal obeys control characters in it: they
can clear the screen, fill the clipboard, or show text in another order. So they are printed as escapes such as `\x1b`,
and brackets are printed as they are instead of being read as markup.
"""

import re
import sys
import textwrap
from collections.abc import Iterable
from typing import Any, Self

import msgspec
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.status import Status
from rich.text import Text

_WIDTH_WITHOUT_TERMINAL = 160
# Without tab and line feed. C1 begins escape sequences too (ECMA-48, 5.3); the others change the direction or the end
# of lines (Unicode, UAX #9 and "Newline Guidelines"). A lone surrogate cannot be written at all.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """Return the text with escapes in place of the characters that a terminal obeys."""
    return _OBEYED.sub(lambda found: ascii(found[0])[1:-1], text)


class TerminalConsole(Console):
    """A console of rich that prints the words of others as they are."""

    def render_str(self, text: str, **options: Any) -> Text:
        # Before the layout, so that the escapes have their place in it.
        return super().render_str(visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        # All that is printed passes here, at the latest as the segments of a line.
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))

    def spinner(self, text: str) -> "Spinner":
        """Return a status line for the terminal, which shows that a command is waiting."""
        return Spinner(Text(text), console=self)


class Spinner(Status):
    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def say(self, text: str) -> None:
        """Replace the text. Rich would read a string as markup."""
        self.update(Text(text))


def console(*, errors: bool = False) -> TerminalConsole:
    """Return a console. If its stream is not a terminal, it prints plain text in lines of up to 160 characters.

    Args:
        errors: print to standard error.
    """
    options: dict[str, Any] = {"stderr": errors, "markup": False, "emoji": False}
    default = TerminalConsole(**options)
    if default.is_terminal:
        return default
    return TerminalConsole(**options, width=_WIDTH_WITHOUT_TERMINAL, no_color=True)


def width(*, errors: bool = False) -> int | None:
    """Return the width of the terminal; None if the output goes elsewhere, where a line has no end.

    Args:
        errors: of standard error.
    """
    out = console(errors=errors)
    return out.width if out.is_terminal else None


def print_lines(lines: Iterable[Text], *, errors: bool = False) -> None:
    """Print lines that are already laid out.

    Args:
        errors: print to standard error.
    """
    out = console(errors=errors)
    for line in lines:
        out.print(line, soft_wrap=True, highlight=False)


def say(text: str, *, errors: bool = False) -> None:
    """Print text at once, without a layout.

    Args:
        errors: print to standard error.
    """
    print(visible(text), file=sys.stderr if errors else sys.stdout, flush=True)


def ask(question: str) -> str:
    """Print a question and return the line that is typed. Raises EOFError at the end of the input."""
    # Not with input's own prompt, which goes to standard error where Python has no readline.
    print(visible(question), end="", flush=True)
    return input()


def say_in_words(text: str, *, errors: bool = False) -> None:
    """Do the same with lines that a terminal breaks between words only: a long one may be an id, a path or a command.

    Args:
        errors: print to standard error.
    """
    columns = width(errors=errors)
    lines = visible(text).splitlines()
    if columns is not None:
        lines = [part for line in lines for part in wrapped(line, columns) or [""]]
    say("\n".join(lines), errors=errors)


def wrapped(text: str, columns: int) -> list[str]:
    """Return the lines of a text, broken between words only."""
    return textwrap.wrap(text, max(1, columns), break_long_words=False, break_on_hyphens=False)


def print_json(value: Any, *, indent: int = 2) -> None:
    """Print JSON for a program, on one line if the indent is negative."""
    print(json_text(msgspec.json.encode(value), indent=indent), flush=True)


def json_text(content: bytes, *, indent: int = 2) -> str:
    """Lay JSON out, and write what a terminal obeys as escapes of JSON, which mean the same.

    Raises:
        msgspec.DecodeError: it is not JSON.
    """
    text = msgspec.json.format(content, indent=indent).decode("utf-8", "surrogateescape")
    # Line feeds are of the layout; in strings, such characters are allowed or escaped already.
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def print_content(content: bytes) -> None:
    """Print content of any kind: as text at a terminal, otherwise unchanged, because a program may read it."""
    if sys.stdout.isatty():
        print(visible(content.decode("utf-8", "replace")), end="", flush=True)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
