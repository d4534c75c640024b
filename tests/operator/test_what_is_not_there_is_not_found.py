"""A command that names a run or a delivery that is not there says so, by one code; jobs have a code of their own."""

import pytest

from tests.support.command_line import run_deployed
from tests.support.world import World

RUN = "20260301T060000-1f0c2b3a"


@pytest.mark.parametrize(
    "command",
    [
        ("explain", "nothing"),
        ("explain", RUN),
        ("resend", RUN),
        ("approve", RUN),
        ("reject", RUN),
        ("settle", RUN),
        ("settle", RUN, "--landed"),
        ("deliveries", "show", RUN),
        ("deliveries", "replay", RUN),
    ],
    ids=" ".join,
)
def test_each_command_that_names_what_is_not_there(world: World, command: tuple[str, ...]) -> None:
    world.add_relay("sales")

    result = run_deployed(*command)

    assert (result.status, result.output) == (1, "")
    assert result.errors.startswith("error: not_found\n")
    assert "`bridge " in result.errors.splitlines()[2]
