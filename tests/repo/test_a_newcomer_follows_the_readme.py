"""A newcomer copies the README's `bridge.yaml`, `.env` and commands, and sees rows land in Pigment."""

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

HEADING = "Your own Looker and Pigment, from your machine"
EXPECTED = {
    "check": "green",
    "pull flights --preview": "previewed",
    "pull flights": "landed",
    "status": "The only job is up to date",
    "runs": "landed",
    "deliveries": "",
}


@pytest.fixture
def newcomer(world: World) -> World:
    """Return a folder with the README's two files; only addresses and secret values differ."""
    jobs = documents.examples(README)
    jobs["looker"]["url"], jobs["pigment"]["url"] = world.looker_server.url, world.pigment_server.url
    (world.folder / "bridge.yaml").write_text(yaml.safe_dump(jobs, sort_keys=False))
    values = {
        "looker-api": json.dumps({"client_id": "bridge", "client_secret": LOOKER_SECRET}),
        "pigment-import-key": PIGMENT_KEY,
    }
    names = re.findall(r"^ {4}([a-z-]+)=", documents.section(README, HEADING), re.MULTILINE)
    (world.folder / ".env").write_text("".join(f"{name}={values[name]}\n" for name in names))
    return world


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
        # The default port may be in use on this machine.
        process = start(newcomer, *shlex.split(command), *(["--port", "0"] if command == "serve" else []))
        if command == "serve":
            assert process.stdout
            assert set(json.loads(process.stdout.readline())) == {"pull", "export", "receive", "deliver", "storage"}
            process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, (command, output, errors)
        assert EXPECTED.get(command, "") in output
    assert len(newcomer.landed_rows()) == 5
