"""The functions on this machine, in one process, each under a path of its own.

One process on purpose: a kill -9 ends everything at once, as it would in the cloud, and leaves no worker behind that
finishes a run nobody knows of.
"""

import contextlib
import json
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import functions_framework
from cheroot.wsgi import Server
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware

FUNCTIONS = Path(__file__).parent.parent
ENTRY_POINTS = {
    "pull": "looker_pull",
    "export": "pigment_export",
    "receive": "webhook_receive",
    "deliver": "webhook_deliver",
}
"""The name in an address: the function, and the entry file that holds it."""

_THREADS = 32
_LONGEST_RUN_S = 3600
"A run in hand is ended by its own budget, which Cloud Run lets be no longer than this."


@contextlib.contextmanager
def functions(port: int = 0) -> Iterator[dict[str, str]]:
    """Serve every function; gives the address of each. Runs in hand are seen to their end."""
    apps: dict[str, Any] = {
        f"/{name}": _at_root(functions_framework.create_app(function, str(FUNCTIONS / f"{function}.py"), "http"))
        for name, function in ENTRY_POINTS.items()
    }
    server = Server(
        ("127.0.0.1", port),
        DispatcherMiddleware(NotFound(), apps),
        numthreads=_THREADS,
        request_queue_size=128,
        shutdown_timeout=_LONGEST_RUN_S,
    )
    server.prepare()
    thread = threading.Thread(target=server.serve, name="functions")
    thread.start()
    base = f"http://127.0.0.1:{server.bind_addr[1]}"
    try:
        yield {name.strip("/"): base + name for name in apps}
    finally:
        server.stop()
        thread.join()


def _at_root(app: Any) -> Any:
    """`/pull` is the root of its function: without this the framework would redirect to `/pull/`."""
    return lambda environ, start: app({**environ, "PATH_INFO": environ["PATH_INFO"] or "/"}, start)


def announce(addresses: dict[str, str]) -> None:
    """One JSON line for a program, a table for a person."""
    if not sys.stdout.isatty():
        print(json.dumps(addresses), flush=True)
        return
    from rich.console import Console  # noqa: PLC0415  # a program that starts this reads no table
    from rich.table import Table  # noqa: PLC0415

    table = Table("", "address", title="The bridge is up; Ctrl-C ends it", title_justify="left", box=None)
    for name, address in addresses.items():
        table.add_row(name, address)
    Console().print(table)


def wait_for_end() -> None:
    """Until SIGTERM or Ctrl-C."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
