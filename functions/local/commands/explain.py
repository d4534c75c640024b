"""`bridge explain`: what an error code, an outcome or a run means."""

from typing import Annotated

import typer

from common.runs import instance, receipts
from local import terminal
from local.commands.connection import SelectedBridge, with_bridge
from local.commands.options import Json


@with_bridge
def explain(
    bridge: SelectedBridge,
    what: Annotated[
        str, typer.Argument(metavar="CODE|RUN", help="An error code, an outcome such as `held`, or the id of a run.")
    ],
    as_json: Json = False,
) -> None:
    """Explain an error code, or what happened in a run: the cause, what to do next, and where to read more.

    Of a run: what was read, sent, landed and skipped, and why. No value of a row is shown.
    """
    from local import explanations  # noqa: PLC0415

    explained: explanations.Explained
    if receipts.RUN_ID.fullmatch(what):
        with bridge.open(create=False):
            explained = explanations.of_run(instance.current.bucket, what)
    else:
        explained = explanations.of_word(what)
    if as_json:
        terminal.print_json(explained)
    else:
        terminal.console().print(explained.text(), highlight=False)
