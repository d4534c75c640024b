"""A Pigment that only exports views: it streams prepared files as fast as the client reads them.

The real Pigment needs time to compute a view; this benchmark measures only the transfer.
"""

import contextlib
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from local.sandbox import http2, wire
from local.sandbox.wire import Request, Response
from tests.support.certificates import certificate

from . import rows
from .export_sites import PigmentSite, view_of

_BLOCK_BYTES = 256 * 1024


class _Files:
    def __init__(self, views: dict[str, Path]) -> None:
        self._paths = {f"/api/export/view/{view}": file for view, file in views.items()}

    def answer(self, request: Request) -> Response:
        file = self._paths.get(request.path)
        return Response(404) if file is None else Response(200, _blocks(file), {"Content-Type": "text/csv"})


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block


def main(folder: Path, protocol: str, sizes: list[int]) -> None:
    files = {size: folder / f"{size}.csv" for size in sizes}
    for size, file in files.items():
        rows.write(file, size)
    site = _Files({view_of(size): file for size, file in files.items()})
    with contextlib.ExitStack() as stack:
        trusted = ""
        server: wire.Server
        if protocol == "HTTP/2":
            pem = certificate(folder)
            trusted = str(pem)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pem)
            server = stack.enter_context(http2.Http2Server(site, context))
        else:
            server = stack.enter_context(wire.Server(site))
        said = PigmentSite(server.url, trusted, [files[size].stat().st_size for size in sizes])
        sys.stdout.write(msgspec.json.encode(said).decode() + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], [int(size) for size in sys.argv[3:]])
