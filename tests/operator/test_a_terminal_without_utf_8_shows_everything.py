"""In a terminal that cannot show every character, commands lose nothing and do not fail."""

import json
import subprocess

import pytest

from tests.support.command_line import BRIDGE, local_environment
from tests.support.served import write_files
from tests.support.world import World

pytestmark = pytest.mark.long


def output_of(world: World, encoding: str, *command: str) -> str:
    environment = {**local_environment(world), "PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [BRIDGE, *command], cwd=world.folder, env=environment, capture_output=True, check=False, timeout=60
    )
    assert b"Traceback" not in done.stderr + done.stdout
    return done.stdout.decode(encoding)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "ascii"])
def test_a_command_for_people(world: World, encoding: str) -> None:
    write_files(world)

    assert "Landing" in output_of(world, encoding, "explain", "landing_unknown").title()
    assert "looker" in output_of(world, encoding, "check")


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_json_means_the_same(world: World, encoding: str) -> None:
    write_files(world)

    told, same = (
        json.loads(output_of(world, each, "explain", "landing_unknown", "--json")) for each in (encoding, "utf-8")
    )

    assert told == same
