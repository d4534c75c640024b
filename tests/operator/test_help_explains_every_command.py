"""`bridge --help` lists every command, and each command explains itself and its options."""

from collections.abc import Iterator
from typing import Any

import pytest

from local.cli import command_line
from tests.support.command_line import run
from tests.support.world import World

COMMANDS = [
    *("demo", "sandbox", "serve", "pull", "backfill", "export", "deliver", "resend", "approve", "reject"),
    *("status", "runs", "explain", "settle", "verify", "reconcile", "mcp", "init", "check"),
    *("applications", "blocks", "views", "configurations", "resources", "looker", "errors"),
    *("add", "add pull", "add relay", "add export"),
    *("deliveries", "deliveries show", "deliveries replay"),
]


def commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        yield f"{prefix}{name}", command
        if hasattr(command, "commands"):
            yield from commands(command, f"{prefix}{name} ")


def test_the_help_lists_all_commands() -> None:
    assert [name for name, _ in commands(command_line())] == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_explained_in_sentences(name: str) -> None:
    command = dict(commands(command_line()))[name]
    texts = [command.help, *(parameter.help for parameter in command.params if parameter.name != "help")]

    assert [text for text in texts if not (text and text[0].isupper() and text.endswith("."))] == []


def test_help_is_printed(world: World) -> None:
    result = run(world, "settle", "--help")

    assert (result.status, result.errors) == (0, "")
    assert "Usage: bridge settle [OPTIONS]" in result.output
    for option in ("--landed", "--not-landed", "--env-file", "--state", "--json"):
        assert option in result.output
