"""The status pages as `bridge serve` answers them: made when they are asked for."""

from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from common.flows.status import catch_up, licence_use, unread
from common.platform.clock import Deadline
from common.platform.errors import as_bridge_error
from common.runs import instance
from common.status.page import index_page, job_page
from common.status.record import StatusRecord
from local import host_names

PATH = "/status"

_AT_MOST_S = 10.0

StartResponse = Callable[..., Any]


class ServedLinks:
    def index(self) -> str:
        return PATH

    def job(self, name: str) -> str:
        return f"{PATH}/jobs/{name}.html"


def answer(environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
    """Answer a request below `/status`. Whoever reaches the functions by another name, as of a tunnel, sees nothing."""
    if not host_names.is_own(environ.get("HTTP_HOST", ""), int(environ["SERVER_PORT"])):
        return NotFound()(environ, start)
    try:
        page = _page(environ.get("PATH_INFO", ""))
    except Exception as error:  # noqa: BLE001  # a person reads it
        failure = as_bridge_error(error)
        return Response(f"{failure.cause} {failure.next_step}", failure.status, mimetype="text/plain")(environ, start)
    if page is None:
        return NotFound()(environ, start)
    return Response(page, mimetype="text/html", headers={"Cache-Control": "no-store"})(environ, start)


def _page(path: str) -> str | None:
    here = instance.current
    bridge = here.config()
    jobs, now = catch_up(here, bridge, Deadline.after(here.clock, _AT_MOST_S)), here.clock.now()
    if path in ("", "/", "/index.html"):
        in_order = {name: jobs[name] for name in sorted(jobs)}
        record = StatusRecord(jobs=in_order, licence=licence_use(here, bridge))
        return index_page(record, now, ServedLinks(), unread(bridge, jobs))
    name = path.removeprefix("/jobs/").removesuffix(".html")
    return job_page(name, jobs[name], now, ServedLinks()) if path == f"/jobs/{name}.html" and name in jobs else None
