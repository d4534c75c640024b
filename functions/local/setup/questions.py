"""Questions to the person at the terminal. A flag answers each of them too, so that a script can."""

import difflib
import itertools
import sys
import termios
from collections.abc import Sequence
from typing import Literal

import msgspec

from common.platform.errors import BridgeError, MalformedRequest
from local import job_text, terminal

_MOST_SHOWN = 40


class Option(msgspec.Struct, frozen=True):
    """Something to choose."""

    id: str
    name: str
    group: str = ""
    "Its folder, under which it is shown."
    note: str = ""
    number: str = ""
    "What a person types for it; by default its place in the list."

    def has(self, text: str) -> bool:
        return text.casefold() in f"{self.group} / {self.name}".casefold()

    def is_called(self, text: str) -> bool:
        return text.casefold() in (self.id.casefold(), self.name.casefold())


class Questions:
    """Asks at the terminal, if there is one and the person has not said that all proposals are accepted."""

    def __init__(self, *, accept_all: bool) -> None:
        self.can_ask = not accept_all and sys.stdin.isatty() and sys.stdout.isatty()

    def text(self, question: str, flag: str) -> str:
        """Ask until there is an answer. Raises MalformedRequest if nobody can be asked."""
        self._expect_person(question, flag)
        while not (answer := terminal.ask(f"{question}: ").strip()):
            pass
        return answer

    def hidden(self, question: str, flag: str) -> str:
        """Ask without showing what is typed. Raises MalformedRequest if nobody can be asked."""
        self._expect_person(question, flag)
        while not (answer := _read_hidden(f"{question} (is not shown): ").strip()):
            pass
        return answer

    def confirm(self, question: str, *, default: bool) -> bool:
        """Ask for yes or no. Return the default if nobody can be asked."""
        while self.can_ask:
            answer = terminal.ask(f"{question} [{'Y/n' if default else 'y/N'}]: ").strip().lower()
            if not answer:
                break
            if answer in ("y", "yes", "n", "no"):
                return answer in ("y", "yes")
        return default

    def choose(self, noun: str, options: Sequence[Option], flag: str, given: str = "") -> Option:
        """Let the person choose by number, or by a part of the name that only one option has.

        Args:
            given: the name or id from the flag.

        Raises:
            MalformedRequest: the flag fits no option or several, or nobody can be asked.
        """
        if given:
            return _named(noun, options, flag, given)
        if len(options) == 1:
            terminal.say(f"{noun.capitalize()}: {options[0].name} (the only one)")
            return options[0]
        self._expect_person(f"the {noun}", flag)
        numbered = [
            each if each.number else msgspec.structs.replace(each, number=str(number))
            for number, each in enumerate(options, 1)
        ]
        _show(numbered)
        return self._chosen(noun, numbered)

    def show_error(self, error: BridgeError, advice: str = "") -> None:
        """Show an error before the question is asked again. Raises it if nobody can be asked.

        Args:
            advice: what to answer, instead of the error's next step.
        """
        if not self.can_ask:
            raise error
        terminal.say(f"{error.cause}\n→ {advice or error.next_step}\n")

    def try_again_or(self, error: BridgeError) -> Literal[False]:
        """Ask whether to try again, and return that it has not worked yet. Raises the error if not."""
        if not self.confirm("Try again?", default=True):
            raise error
        return False

    def _chosen(self, noun: str, options: Sequence[Option]) -> Option:
        while True:
            answer = terminal.ask(f"{noun.capitalize()} (its number, or a part of its name): ").strip()
            found = [each for each in options if each.number == answer] or [
                each for each in options if each.is_called(answer)
            ]
            found = found or [each for each in options if each.has(answer)]
            if len(found) == 1:
                terminal.say(f"  {found[0].name}")
                return found[0]
            if found:
                _show(found)
            else:
                terminal.say(f"No {noun} has {answer!r} in its name.")

    def _expect_person(self, question: str, flag: str) -> None:
        if not self.can_ask:
            question = question.partition(" (")[0]
            raise MalformedRequest(f"{question[:1].upper()}{question[1:]} is not given.", next_step=f"Add {flag}.")


def _named(noun: str, options: Sequence[Option], flag: str, given: str) -> Option:
    found = [each for each in options if each.is_called(given)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(each.id for each in found)
        raise MalformedRequest(
            f"{len(found)} of the {noun}s are named {given!r}.", next_step=f"Give {flag} one of {ids}."
        )
    similar = difflib.get_close_matches(given, [each.name for each in options], n=1)
    names = ", ".join(f"{each.name!r}" for each in options[:_MOST_SHOWN]) or "none"
    raise MalformedRequest(
        f"There is no {noun} {given!r} here, or it is not shown to the owner of the key.",
        next_step=f"Did you mean {similar[0]!r}?" if similar else f"Give {flag} one of these: {names}.",
    )


def _show(options: Sequence[Option]) -> None:
    """Show options below their groups; of a long list only the groups, because the person can type a part of a name."""
    groups = itertools.groupby(sorted(options, key=lambda each: each.group), lambda each: each.group)
    is_long = len(options) > _MOST_SHOWN
    for group, each_in_group in groups:
        members = list(each_in_group)
        if is_long and group:
            terminal.say(f"  {job_text.one_line(group)}: {len(members):,}")
            continue
        if group:
            terminal.say(f"  {job_text.one_line(group)}")
        for each in members[:_MOST_SHOWN]:
            note = f"  ({each.note})" if each.note else ""
            terminal.say(f"  {each.number:>6}  {job_text.one_line(each.name)}{note}")
        if len(members) > _MOST_SHOWN:
            terminal.say(f"          … and {len(members) - _MOST_SHOWN:,} more: type a part of the name")


def _read_hidden(prompt: str) -> str:
    """Read a line that the terminal does not show.

    Not with getpass, which discards what was typed or pasted before it asks.
    """
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    silent = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    try:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, silent)
        answer = terminal.ask(prompt)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        terminal.say("")
    return answer
