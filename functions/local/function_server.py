"""An HTTP server of all functions on this machine, each below a path of its own.

All functions run in one process, so that `kill -9` ends everything at the same time, as it does in the cloud. With
worker processes, one could survive and finish a run after the restart.
"""

import contextlib
import sys
import threading
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import functions_framework
from cheroot.wsgi import Gateway_10, Server
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wrappers import Response as WerkzeugResponse

from common.platform.errors import OurFault
from local import front_page, host_names, status_pages, terminal

FUNCTIONS = Path(__file__).parent.parent
"The folder of the entry files."
ENTRY_POINTS = {
    "pull": "looker_pull",
    "export": "pigment_export",
    "receive": "webhook_receive",
    "deliver": "webhook_deliver",
}
"The name of the function and of its entry file, by the path of its address."

_THREADS = 32
_SHUTDOWN_TIMEOUT_S = 3600
"The longest timeout of a function on Cloud Run. A running call ends earlier, by its own deadline."


@contextlib.contextmanager
def serve_functions(port: int = 0, names: Collection[str] | None = ()) -> Iterator[dict[str, str]]:
    """Serve every function and give the address of each. On exit, wait for running calls to end.

    Args:
        port: 0 selects a free port.
        names: further host names that requests may use, beside those of the loopback address; None accepts any name.

    Raises:
        OurFault: the port cannot be used.
    """
    apps: dict[str, Any] = {
        f"/{path}": _without_redirect(
            functions_framework.create_app(function, str(FUNCTIONS / f"{function}.py"), "http")
        )
        for path, function in ENTRY_POINTS.items()
    }
    apps[status_pages.PATH] = status_pages.answer
    server = Server(
        ("127.0.0.1", port),
        _checked(DispatcherMiddleware(front_page.page(ENTRY_POINTS), apps), names),
        numthreads=_THREADS,
        request_queue_size=128,
        shutdown_timeout=_SHUTDOWN_TIMEOUT_S,
    )
    server.gateway = _Gateway
    try:
        server.prepare()
    except OSError:
        raise OurFault(
            f"Port {port} is in use, or you may not use it.",
            next_step="Stop the program that uses it, or name another one with --port; 0 selects a free port.",
        ) from None
    thread = threading.Thread(target=server.serve, name="functions")
    thread.start()
    base = f"http://127.0.0.1:{server.bind_addr[1]}"
    try:
        yield {path: f"{base}/{path}" for path in ENTRY_POINTS}
    finally:
        server.stop()
        thread.join()


def _checked(app: Any, names: Collection[str] | None) -> Any:
    """Refuse requests to other host names than those of this machine and the given ones."""
    if names is None:
        return app
    refusal = WerkzeugResponse(host_names.REFUSAL, host_names.MISDIRECTED, mimetype="text/plain")

    def answer(environ: dict[str, Any], start: Any) -> Any:
        is_own = host_names.is_own(environ.get("HTTP_HOST", ""), int(environ["SERVER_PORT"]), names)
        return (app if is_own else refusal)(environ, start)

    return answer


class _Gateway(Gateway_10):
    """Gives the functions what gunicorn gives them, for `common.platform.body`: the socket, and a way to close it."""

    def get_environ(self) -> dict[str, Any]:  # type: ignore[override]  # the stubs say that it returns None
        environ: dict[str, Any] = super().get_environ()  # type: ignore[no-untyped-call]
        return {**environ, "gunicorn.socket": self.req.conn.socket}

    def force_close(self) -> None:
        self.req.close_connection = True


def _without_redirect(app: Any) -> Any:
    """Treat `/pull` as the root of its function; the framework alone would redirect to `/pull/`."""
    return lambda environ, start: app({**environ, "PATH_INFO": environ["PATH_INFO"] or "/"}, start)


def print_addresses(addresses: dict[str, str]) -> None:
    """Print a table at a terminal, otherwise one line of JSON."""
    if not sys.stdout.isatty():
        terminal.print_json(addresses, indent=-1)
        return
    from rich.table import Table  # noqa: PLC0415  # only a person needs it

    table = Table(
        "", "address", title="The bridge is running. Press Ctrl-C to stop it.", title_justify="left", box=None
    )
    for name, address in addresses.items():
        table.add_row(name, address)
    table.add_row("status page", addresses["pull"].removesuffix("/pull") + status_pages.PATH)
    terminal.console().print(table)
