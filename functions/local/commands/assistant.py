"""`bridge mcp`: tools for an assistant."""

import importlib.util
import sys

from common.platform.errors import OurFault
from local import terminal
from local.commands.connection import ConfiguredBridge, with_bridge


@with_bridge
def mcp(bridge: ConfiguredBridge) -> None:
    """Serve tools for an assistant over the Model Context Protocol, on standard input and output.

    An assistant starts this command and asks about jobs, runs, deliveries and next steps, or for a preview. All tools
    only read, and none shows a value of a row or a secret. The extra `mcp` of the package is needed.
    """
    if importlib.util.find_spec("mcp") is None:
        raise OurFault(
            "The package `mcp` is not installed.",
            next_step="Install the bridge with its extras `local` and `mcp`: pipx install --force '.[local,mcp]', in "
            "the folder of its source.",
        )
    from local.assistant import server  # noqa: PLC0415  # pydantic, which no other command needs

    if sys.stdin.isatty():
        terminal.say(
            "An assistant starts this command: see functions/docs/commands.md#assistants. Ctrl-C ends it.", errors=True
        )
    server.run(bridge)
