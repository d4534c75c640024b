"""The sandbox behind a bridge: Looker, Pigment, Cloud Storage and Secret Manager, each on a port of this machine."""

import functools
import json
import time
from pathlib import Path
from typing import Self

from local.sandbox.bigquery import SandboxBigQuery
from local.sandbox.looker import SandboxLooker
from local.sandbox.pigment import SandboxImport, SandboxPigment
from local.sandbox.secrets import SandboxSecrets
from local.sandbox.storage import SandboxStorage
from local.sandbox.wire import Request, Response, Server, Site
from tests.support.clock import FakeClock

LOOKER_SECRET = "a-looker-client-secret"
PIGMENT_KEY = "pgmt_ThisIsAnImportKeyOfTheSandbox"
EXPORT_KEY = "the-export-key-of-the-instance"
WEBHOOK_TOKEN = "the-webhook-token-of-the-instance"

PULL_RUN = r"POST /api/4\.0/queries/run/csv"
PUSH = r"POST /api/v1/import/push/csv"
STATUS = r"GET /api/v1/import/[^/]+/status"
EXPORTS = r"(GET|POST) /api/(v1/)?export/"
STORAGE_WRITES = r"(POST|PUT|DELETE) /"

SHARED = "shared server"
"The beginning of the names of threads that outlive a test."

_KEEP_BYTES = 1 << 20
_CONNECTIONS_END_WITHIN_S = 10


class NoSite:
    """The site of a server between two tests."""

    def answer(self, _: Request) -> Response:
        return Response(404)


class LookerOnDemand:
    """Opens a test's Looker with the first request."""

    def __init__(self, sites: "Sites") -> None:
        self._sites = sites

    def answer(self, request: Request) -> Response:
        return self._sites.looker.answer(request)


class Servers:
    """Servers that outlive a test. Each test assigns its own sites to them, and `reset` removes these."""

    def __init__(self) -> None:
        self._servers: dict[str, Server] = {}

    def serve(self, name: str, site: Site, *, keep_bytes: int = 0) -> Server:
        """Return the server of this name with this site; a new server if a test stopped the old one."""
        server = self._servers.get(name)
        if server is None or server._thread is None:
            server = self._servers[name] = Server(site).start()
            assert server._thread
            server._thread.name = f"{SHARED} {name}"
        server.site, server.keep_bytes = site, keep_bytes
        return server

    def reset(self) -> None:
        for server in self._servers.values():
            server.heal()
            server.site = NoSite()
            _disconnect(server)
            # A thread of the test that has ended may still repeat a request: the next test does not have it.
            server.keep_bytes, server.exchanges = 0, []

    def stop(self) -> None:
        for server in self._servers.values():
            server.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _disconnect(server: Server) -> None:
    """Close all connections, and wait for the threads that serve them."""
    deadline_s = time.monotonic() + _CONNECTIONS_END_WITHIN_S
    while server._http._open:
        assert time.monotonic() < deadline_s, "a request of this test does not end"
        server._http.close_connections()
        time.sleep(0.001)


class Sites:
    """The sandbox of one test: empty except for the keys and secrets of the bridge."""

    def __init__(self, folder: Path, servers: Servers) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.imports_are_paused = False
        self.pigment = SandboxPigment(clock=self._seconds)
        self.pigment.key(["Import"], PIGMENT_KEY)
        self.pigment.key(["Export"], EXPORT_KEY)
        self.secrets = SandboxSecrets(
            {
                "looker-api": json.dumps({"client_id": "bridge", "client_secret": LOOKER_SECRET}),
                "pigment-import-key": PIGMENT_KEY,
                "pigment-export-key": EXPORT_KEY,
                "looker-webhook-token": WEBHOOK_TOKEN,
            }
        )
        self.storage = SandboxStorage(folder / "state", self._seconds)
        self.storage.create_bucket("bucket")
        self._servers = servers
        self.looker_server = servers.serve("looker", LookerOnDemand(self), keep_bytes=_KEEP_BYTES)
        self.pigment_server = servers.serve("pigment", self.pigment, keep_bytes=_KEEP_BYTES)
        self.storage_server = servers.serve("storage", self.storage)
        self.secrets_server = servers.serve("secrets", self.secrets)
        self.bigquery = SandboxBigQuery(self.storage)
        self.bigquery_server = servers.serve("bigquery", self.bigquery)

    @functools.cached_property
    def looker(self) -> SandboxLooker:
        """Looker, opened on first use: most tests of relays and exports do not need it."""
        looker = SandboxLooker(client_id="bridge", client_secret=LOOKER_SECRET, clock=self._seconds)
        self.fill_looker(looker)
        return looker

    def fill_looker(self, looker: SandboxLooker) -> None:
        """Add the content with which a test begins."""

    @property
    def bucket_folder(self) -> Path:
        """Return the folder with the bucket's plain files."""
        return self.folder / "state" / "bucket"

    @property
    def imports(self) -> list[SandboxImport]:
        return list(self.pigment.imports)

    def environment(self) -> dict[str, str]:
        """Return the environment of a function that uses this sandbox."""
        return {
            "BRIDGE_BUCKET": "bucket",
            "GOOGLE_CLOUD_PROJECT": "test",
            "STORAGE_EMULATOR_HOST": self.storage_server.url,
            "SECRET_MANAGER_EMULATOR_HOST": self.secrets_server.url,
            "BIGQUERY_EMULATOR_HOST": self.bigquery_server.url,
        }

    def heal(self) -> None:
        """Remove the faults of all servers."""
        for server in (
            self.looker_server,
            self.pigment_server,
            self.storage_server,
            self.secrets_server,
            self.bigquery_server,
        ):
            server.heal()

    def pause_imports(self) -> None:
        """Keep imports in progress until `resume_imports`."""
        self.imports_are_paused = True
        self.pigment.hold()

    def resume_imports(self) -> None:
        self.imports_are_paused = False
        self.pigment.release()

    def finish_imports(self) -> None:
        """Wait until Pigment has finished every import, unless imports are held."""
        if not self.imports_are_paused:
            for each in self.imports:
                self.pigment.finished(each.id)

    def close(self) -> None:
        self._servers.reset()
        if "looker" in vars(self):
            self.looker.close()
        self.pigment.close()
        self.bigquery.close()
        self.storage.close()

    def _seconds(self) -> float:
        return self.clock.now().timestamp()
