"""Looker and Pigment in one process, Cloud Storage and Secret Manager in another; neither is the measured one."""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from common.storage import paths
from local.sandbox.looker import SandboxLooker
from local.sandbox.pigment import SandboxPigment
from local.sandbox.pigment.database import table
from local.sandbox.pigment.model import Block
from local.sandbox.wire import Server

from . import rows, show, storage_site

_CLIENT_SECRET = "a-looker-client-secret"
_EXPLORE = ("nyc", "flights")
_KNOWN = "6d1e8f0a-3b52-4c7d-8e94-5a2b7c1d0f36"


class Vendors(msgspec.Struct, frozen=True):
    """The addresses of the vendors, and the credentials for them."""

    looker: str
    client_id: str
    client_secret: str
    pigment: str
    import_key: str
    configuration: str
    environment: dict[str, str]
    "For the bridge's function."


@contextlib.contextmanager
def running(sizes: Sequence[int], items: int = 0) -> Iterator[Vendors]:
    """Serve the vendors, with a pull for each number of rows, named by `job_of`.

    Args:
        items: the number of items of a list in Pigment: the ids of the rows, if it is their number. With such a list,
            there is also a pull for each number of rows that looks the ids up in it, named by `known_job_of`.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        command = [sys.executable, "-m", __name__, folder, str(items), *map(str, sizes)]
        # The process ends when its standard input closes, even if this process is killed.
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout
            with show.console.status(f"making {max(sizes):,} rows"):
                said = process.stdout.readline()
            yield msgspec.json.decode(said, type=Vendors)


def query_of(count: int) -> dict[str, object]:
    """Return the query that every contender sends to Looker."""
    model, view = _EXPLORE
    filters = {"flights.id": f"<={count}"}
    return {"model": model, "view": view, "fields": rows.FIELDS, "filters": filters, "limit": "-1"}


def job_of(count: int) -> str:
    return f"flights-{count}"


def known_job_of(count: int) -> str:
    return f"known-{count}"


def _serve(folder: Path, items: int, sizes: Sequence[int]) -> None:
    looker = SandboxLooker(client_id="bridge", client_secret=_CLIENT_SECRET)
    file = folder / "flights.csv"
    rows.write(file, max(sizes))
    looker.explore(*_EXPLORE, file)
    for size in sizes:
        looker.look(size, f"{size} flights", *_EXPLORE, rows.FIELDS, filters=query_of(size)["filters"])
    pigment = SandboxPigment(requests_per_5_minutes=None, imports_per_hour=None)
    block = pigment.block(pigment.application("Planning"), "Flights")
    # Each import replaces the previous rows, so that all imports do the same work.
    configuration = pigment.configuration_from_header(block, rows.HEADER, clear="all")
    _add_items(pigment, items)
    import_key = pigment.key(["Import"])
    secrets = {
        "looker-api": json.dumps({"client_id": "bridge", "client_secret": _CLIENT_SECRET}),
        "pigment-import-key": import_key,
        "pigment-export-key": pigment.key(["Export"]),
    }
    # Older items than of this moment are exported again, so that no run profits from the cache.
    known = {"columns": {rows.HEADER[0]: {"list": _KNOWN, "property": "Id"}}, "max_age": "1 second"}
    with (
        contextlib.closing(looker),
        pigment,
        Server(looker) as looker_server,
        Server(pigment) as pigment_server,
        storage_site.running(folder / "state", secrets) as environment,
    ):
        bridge = {
            "looker": {"url": looker_server.url, "credentials": "looker-api"},
            "pigment": {
                "url": pigment_server.url,
                "import_key": "pigment-import-key",
                "export_key": "pigment-export-key",
            },
            "pulls": {
                name(size): {
                    "source": {"look": str(size)},
                    "target": {"configuration": configuration, "shared": True},
                    # The benchmark can request exactly 100,000 rows, which is also one of Looker's limits.
                    "guards": {"accept_cap": True},
                    **more,
                }
                for size in sizes
                for name, more in ((job_of, {}), (known_job_of, {"known": known}))
            },
        }
        storage_site.open_bucket(environment).write_json(paths.CONFIG, bridge, over=None)
        vendors = Vendors(
            looker=looker_server.url,
            client_id="bridge",
            client_secret=_CLIENT_SECRET,
            pigment=pigment_server.url,
            import_key=import_key,
            configuration=configuration,
            environment=environment,
        )
        sys.stdout.write(msgspec.json.encode(vendors).decode() + "\n")
        sys.stdout.flush()
        sys.stdin.read()


def _add_items(pigment: SandboxPigment, count: int) -> None:
    block = pigment.block(pigment.application("Planning"), "Items", "DimensionList", {"Id": "text"}, uuid=_KNOWN)
    name = table(pigment.records.get(Block, block))
    with pigment.database.transaction() as cursor:
        cursor.execute(f"INSERT INTO {name} (p0) SELECT i + 1 FROM range({count}) AS numbers(i)")  # noqa: S608  # our own


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), int(sys.argv[2]), [int(size) for size in sys.argv[3:]])
