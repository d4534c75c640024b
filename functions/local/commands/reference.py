"""`bridge errors`: the reference of error codes."""

from local import output, terminal
from local.commands.options import Markdown


def errors(markdown: Markdown = False) -> None:
    """List every error code with its HTTP status, its meaning and the next step."""
    if markdown:
        terminal.say(output.errors_markdown())
    else:
        terminal.console().print(output.errors_table())
