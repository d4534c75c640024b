"""Looker, with a Look before and after a change, and Pigment in one process; Cloud Storage in another."""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from common.runs import cursors
from common.storage import paths
from local.sandbox.looker import SandboxLooker
from local.sandbox.pigment import SandboxPigment
from local.sandbox.wire import Server

from . import rows, storage_site
from .contenders import ContenderFailed
from .vendors import Vendors

FULL, CHANGES, VERIFIED = "full", "changes", "verified"
KEY = "Flights Id"
UPDATED = "Flights Departed"
ONE_IN = 100
"One row in this many has changed."

_CLIENT_SECRET = "a-looker-client-secret"
_BEFORE, _AFTER = "before", "after"

# A changed row has a later time, which an incremental load needs and `load: changes` does not.
_CHANGED = """
    SELECT * REPLACE (
        CASE WHEN id % {one_in} = 0 THEN delay + 1000 ELSE delay END AS delay,
        CASE WHEN id % {one_in} = 0 THEN departed + INTERVAL 20 YEAR ELSE departed END AS departed
    ) FROM '{path}'
"""


class ChangesSites:
    """The addresses of the sites, and a reset to the state before the change."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.vendors = msgspec.json.decode(self._line(), type=Vendors)

    def go_back(self) -> None:
        """Serve the changed Look, and restore the state in which only the unchanged one has landed."""
        assert self._process.stdin
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        self._line()

    def _line(self) -> bytes:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise ContenderFailed("The sandbox process ended; its output is above.")
        return line


@contextlib.contextmanager
def running(count: int) -> Iterator[ChangesSites]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        command = [sys.executable, "-m", __name__, folder, str(count)]
        # The process ends when its standard input closes, even if this process is killed.
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            yield ChangesSites(process)


def query_of(*, is_later: bool) -> dict[str, object]:
    """Return the query that a script sends to Looker."""
    model = _AFTER if is_later else _BEFORE
    return {"model": model, "view": "flights", "fields": rows.FIELDS, "limit": "-1"}


def _serve(folder: Path, count: int) -> None:
    looker = SandboxLooker(client_id="bridge", client_secret=_CLIENT_SECRET)
    for model, file in _files(folder, count).items():
        looker.explore(model, "flights", file)
        looker.look(model, f"Flights as they are {model}", model, "flights", rows.FIELDS)
    pigment = SandboxPigment(requests_per_5_minutes=None, imports_per_hour=None)
    application = pigment.application("Planning")
    blocks = {name: pigment.block(application, name) for name in (FULL, CHANGES, VERIFIED, "another's")}
    full, changes, verified, other = (
        pigment.configuration_from_header(block, rows.HEADER, unique=[KEY]) for block in blocks.values()
    )
    verify = {"source": {"list": blocks[VERIFIED]}, "key": [KEY]}
    import_key, export_key = pigment.key(["Import"]), pigment.key(["Export"])
    credentials = {"client_id": "bridge", "client_secret": _CLIENT_SECRET}
    secrets = {"looker-api": json.dumps(credentials), "pigment-import-key": import_key}
    secrets["pigment-export-key"] = export_key
    with (
        contextlib.closing(looker),
        pigment,
        Server(looker) as looker_server,
        Server(pigment) as pigment_server,
        storage_site.running(folder / "state", secrets) as environment,
    ):
        bucket = storage_site.open_bucket(environment)

        def install(look: str) -> None:
            bridge = {
                "looker": {"url": looker_server.url, "credentials": "looker-api"},
                "pigment": {
                    "url": pigment_server.url,
                    "import_key": "pigment-import-key",
                    "export_key": "pigment-export-key",
                },
                "pulls": {
                    FULL: _pull(look, full),
                    CHANGES: _pull(look, changes, {"changes": {"key": [KEY]}}),
                    VERIFIED: {**_pull(look, verified), "verify": verify},
                },
            }
            bucket.write_json(paths.CONFIG, bridge, over=None)

        install(_BEFORE)
        _say(
            Vendors(
                looker=looker_server.url,
                client_id="bridge",
                client_secret=_CLIENT_SECRET,
                pigment=pigment_server.url,
                import_key=import_key,
                configuration=other,
                environment=environment,
            )
        )
        landed = None
        for _ in sys.stdin:
            landed = landed or cursors.read(bucket, CHANGES)
            bucket.write_json(paths.cursor(CHANGES), landed, over=None)
            install(_AFTER)
            _say("done")


def _files(folder: Path, count: int) -> dict[str, Path]:
    files = {_BEFORE: folder / "before.csv", _AFTER: folder / "after.csv"}
    rows.write(files[_BEFORE], count)
    changed = _CHANGED.format(one_in=ONE_IN, path=files[_BEFORE])
    duckdb.execute(f"COPY ({changed}) TO '{files[_AFTER]}' (HEADER)")
    return files


def _pull(look: str, configuration: str, load: object = "full") -> dict[str, Any]:
    return {
        "source": {"look": look},
        "load": load,
        "target": {"configuration": configuration, "repeatable": True},
        # The benchmark can request exactly 100,000 rows, which is also one of Looker's limits.
        "guards": {"accept_cap": True},
    }


def _say(value: object) -> None:
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), int(sys.argv[2]))
