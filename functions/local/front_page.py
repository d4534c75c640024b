"""What `bridge serve` answers where no function is: to a person who opens its address in a browser, for example."""

from collections.abc import Callable, Mapping
from typing import Any

from werkzeug.wrappers import Request, Response

_FUNCTIONS = {
    "pull": """curl --data '{"job": "JOB"}' BASE/pull""",
    "export": """curl --data '{"job": "JOB"}' BASE/export""",
    "receive": "curl --header 'X-Looker-Webhook-Token: TOKEN' --data @delivery.json BASE/receive/RELAY",
    "deliver": "curl --data '{}' BASE/deliver",
}
_COMMANDS = {
    "bridge runs": "lists runs and their outcomes",
    "bridge deliveries": "lists webhook deliveries that wait, or are dead and why",
    "bridge check": "tests every credential, permission and ID in bridge.yaml",
}


def page(names: Mapping[str, str]) -> Callable[[dict[str, Any], Any], Any]:
    """Return the WSGI application for all addresses that are no function's.

    Args:
        names: the functions by the path of their address.
    """

    def answer(environ: dict[str, Any], start: Any) -> Any:
        request = Request(environ)
        text, status = _page(names, request.host_url.rstrip("/")), 200
        if request.path != "/":
            text, status = f"There is nothing at {request.path}.\n\n{text}", 404
        return Response(text, status, mimetype="text/plain")(environ, start)

    return answer


def _page(names: Mapping[str, str], base: str) -> str:
    calls = "".join(f"  {name}\n    {_FUNCTIONS[path].replace('BASE', base)}\n" for path, name in names.items())
    commands = "".join(f"  {command:<20}{meaning}\n" for command, meaning in _COMMANDS.items())
    return (
        "This is the Looker–Pigment bridge on this machine. Its functions take POST requests:\n\n"
        f"{calls}\nWhat they did, in the folder where it runs:\n\n{commands}"
    )
