"""A newcomer follows the README: `bridge init` writes its `bridge.yaml`, and its commands land rows in Pigment."""

import json
import re
import shlex
import signal
import subprocess

import pytest
import yaml

from tests.support import documents
from tests.support.command_line import BRIDGE, local_environment
from tests.support.documents import README
from tests.support.world import LOOKER_SECRET, PIGMENT_KEY, World

pytestmark = pytest.mark.long

HEADING = "Your own Looker and Pigment, from your machine"
EXPECTED = {
    "init": "bridge.yaml was written, with the pull flights.",
    "check": "green",
    "pull flights --preview": "previewed",
    "pull flights": "landed",
    "status": "The only job is up to date",
    "runs": "landed",
    "deliveries": "",
}


@pytest.fixture
def newcomer(world: World) -> World:
    """Return an empty folder, and a key that may list names."""
    world.pigment.key(["Import", "Modeling metadata"], PIGMENT_KEY)
    return world


def answers(world: World) -> dict[str, list[str]]:
    """Return the options that stand for what the newcomer types, by command."""
    looker = ["--looker-url", world.looker_server.url, "--looker-client-id", "bridge"]
    keys = ["--looker-client-secret", LOOKER_SECRET, "--pigment-key", PIGMENT_KEY]
    # The default port may be in use on this machine.
    return {
        "init": [*looker, *keys, "--pigment-url", world.pigment_server.url, "--look", "12", "--yes"],
        "serve": ["--port", "0"],
    }


def start(world: World, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [BRIDGE, *arguments],
        cwd=world.folder,
        env=local_environment(world),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_commands_run_one_after_the_other(newcomer: World) -> None:
    commands = re.findall(r"^ {4}bridge (.+?) *(?:#.*)?$", documents.section(README, HEADING), re.MULTILINE)

    assert set(commands) == {*EXPECTED, "serve"}
    for command in commands:
        process = start(newcomer, *shlex.split(command), *answers(newcomer).get(command, []))
        if command == "serve":
            assert process.stdout
            assert set(json.loads(process.stdout.readline())) == {"pull", "export", "receive", "deliver", "storage"}
            process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, (command, output, errors)
        assert EXPECTED.get(command, "") in output
    assert len(newcomer.landed_rows()) == 5
    shown, written = documents.examples(README), yaml.safe_load((newcomer.folder / "bridge.yaml").read_text())
    shown["looker"]["url"], shown["pigment"]["url"] = newcomer.looker_server.url, newcomer.pigment_server.url
    assert written == shown
