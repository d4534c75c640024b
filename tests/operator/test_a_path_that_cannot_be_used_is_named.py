"""A folder or a file that a command cannot use is named, without a traceback."""

import errno

import pytest

from local import own_files
from tests.support.command_line import run_process
from tests.support.served import write_files
from tests.support.world import World


@pytest.mark.long
@pytest.mark.parametrize("command", [("status",), ("runs",), ("pull", "flights"), ("check",), ("deliveries",)])
@pytest.mark.parametrize("state", ["bridge.yaml", "bridge.yaml/below", "/dev/null/below"])
def test_a_file_in_the_place_of_the_folder(world: World, command: tuple[str, ...], state: str) -> None:
    write_files(world)

    result = run_process(world, *command, state=state)

    assert result.status == 1
    assert "Traceback" not in result.errors + result.output
    assert "→ " in result.errors + result.output


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_the_message_says_what_cannot_be_used_and_why(number: int) -> None:
    refusal = own_files.refusal(OSError(number, "Some Reason", ".bridge"))

    assert refusal is not None
    assert refusal.cause == ".bridge cannot be used: Some Reason."


@pytest.mark.parametrize("error", [OSError("no path"), FileNotFoundError(errno.ENOENT, "No such file", "lost.txt")])
def test_other_errors_are_not_explained_away(error: OSError) -> None:
    assert own_files.refusal(error) is None
