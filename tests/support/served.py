"""`bridge serve` in a process of its own, for the tests that use it as a person would."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.support.world import EXPORT_KEY, LOOKER_SECRET, PIGMENT_KEY, WEBHOOK_TOKEN, World

BRIDGE = str(Path(sys.executable).parent / "bridge")


def write_files(world: World, secret: str = LOOKER_SECRET) -> None:
    credentials = json.dumps({"client_id": "bridge", "client_secret": secret})
    keys = f"pigment-import-key='{PIGMENT_KEY}'\npigment-export-key={EXPORT_KEY}\n"
    secrets = f"# secrets\nlooker-api={credentials}\n{keys}looker-webhook-token={WEBHOOK_TOKEN}\n"
    (world.folder / ".env").write_text(secrets)
    (world.folder / "bridge.yaml").write_text(yaml.safe_dump(world.raw))


def run(world: World, *arguments: str, **how: Any) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name not in world.environment()}
    return subprocess.Popen(
        [BRIDGE, *arguments],
        cwd=world.folder,
        env={**environment, **how.pop("env", {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class Served:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout
        line = process.stdout.readline()
        assert line, process.stderr and process.stderr.read()
        self.addresses: dict[str, str] = json.loads(line)

    def pull(self, **body: Any) -> requests.Response:
        return requests.post(self.addresses["pull"], json={"job": "flights", **body}, timeout=60)


@contextmanager
def served(world: World, **how: Any) -> Iterator[Served]:
    process = run(
        world, "serve", "--config", "bridge.yaml", "--env-file", ".env", "--state", "home", "--port", "0", **how
    )
    try:
        yield Served(process)
    finally:
        process.kill()
        process.communicate()
