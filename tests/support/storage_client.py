"""The sandbox's Cloud Storage on a port, and Google's own client for it."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from local.sandbox.storage import SandboxStorage
from local.sandbox.wire import Server


@dataclasses.dataclass
class Running:
    site: SandboxStorage
    server: Server
    client: Any
    bucket: Any

    @property
    def objects_url(self) -> str:
        return f"{self.server.url}/upload/storage/v1/b/bucket/o"


@contextlib.contextmanager
def running(root: Path) -> Iterator[Running]:
    """Serve a Cloud Storage with one bucket."""
    site = SandboxStorage(root)
    site.create_bucket("bucket")
    with contextlib.closing(site), Server(site) as server, contextlib.closing(client_of(server.url)) as client:
        yield Running(site, server, client, client.bucket("bucket"))


def client_of(url: str) -> Any:
    return storage.Client(project="sandbox", credentials=AnonymousCredentials(), client_options={"api_endpoint": url})


def files_in(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
