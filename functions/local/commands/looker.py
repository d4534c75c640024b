"""`bridge looker` and `bridge resources`: Looker's API, and what a pull can read of it."""

import sys
from typing import Annotated

import typer

from common.platform.errors import MalformedRequest
from common.runs import instance
from local import terminal
from local.commands.connection import ConfiguredBridge, with_bridge
from local.commands.options import Json, Markdown


@with_bridge
def looker(
    bridge: ConfiguredBridge,
    method: Annotated[str, typer.Argument(metavar="METHOD", help="GET, POST, PATCH, PUT or DELETE.")],
    path: Annotated[str, typer.Argument(metavar="PATH", help="The path below /api/4.0, such as /users?limit=5.")],
    body: Annotated[str | None, typer.Option(help="The body of the request, as JSON.")] = None,
    file: Annotated[
        str | None, typer.Option(help="A file with the body of the request; - reads standard input.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Send a request that may change data without asking.")] = False,
    as_json: Json = False,
    as_table: Annotated[bool, typer.Option("--table", help="Print a list of objects as a table.")] = False,
) -> None:
    """Send one request to Looker's API with the bridge's login and print the answer.

    At a terminal, a list of objects is printed as a table unless --json is given. Any method but GET asks before it
    sends.
    """
    from local import looker_request  # noqa: PLC0415

    settings = looker_request.read_settings(bridge.config)
    request = looker_request.parse(method, path, looker_request.read_body(body, file), settings)
    if request.is_write and not yes:
        _confirm(looker_request.describe(request, settings))
    with bridge.open(needs_secrets=True):
        answer = looker_request.send(request, settings, instance.current)
    table = looker_request.table(answer) if as_table or (sys.stdout.isatty() and not as_json) else None
    if table is None:
        terminal.print_content(looker_request.format_body(answer))
        if not answer.body:
            terminal.say(f"Looker answered {answer.status} without a body.", errors=True)
        return
    rows, omitted = table
    terminal.console().print(rows)
    if omitted:
        terminal.say(f"Columns omitted: {', '.join(omitted)}. --json shows them.", errors=True)


def _confirm(description: str) -> None:
    """Ask the person at the terminal whether to send a request.

    Raises:
        MalformedRequest: standard input or standard error is not a terminal.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise MalformedRequest(
            "This request may change data in Looker, and there is no terminal to ask at. It was not sent.",
            next_step="Add --yes to send it without a question.",
        )
    terminal.say(description, errors=True)
    typer.confirm("Send it?", abort=True, err=True)


def resources(markdown: Markdown = False) -> None:
    """List Looker's own objects that a pull can read as a resource, with their columns."""
    from local import resource_columns  # noqa: PLC0415

    if markdown:
        terminal.say(resource_columns.markdown())
    else:
        terminal.console().print(resource_columns.table())
