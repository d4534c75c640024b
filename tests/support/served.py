"""`bridge serve` in a separate process."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
import yaml

from tests.support.command_line import BRIDGE, local_environment
from tests.support.world import EXPORT_KEY, LOOKER_SECRET, PIGMENT_KEY, WEBHOOK_TOKEN, World


def write_files(world: World, secret: str = LOOKER_SECRET) -> None:
    credentials = json.dumps({"client_id": "bridge", "client_secret": secret})
    keys = f"pigment-import-key='{PIGMENT_KEY}'\npigment-export-key={EXPORT_KEY}\n"
    secrets = f"# secrets\nlooker-api={credentials}\n{keys}looker-webhook-token={WEBHOOK_TOKEN}\n"
    (world.folder / ".env").write_text(secrets)
    (world.folder / "bridge.yaml").write_text(yaml.safe_dump(world.raw))


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
def served(world: World, *options: str, **environment: str) -> Iterator[Served]:
    process = subprocess.Popen(
        [BRIDGE, "serve", "--state", "home", "--port", "0", *options],
        cwd=world.folder,
        env={**local_environment(world), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Served(process)
    finally:
        process.kill()
        process.communicate()
