"""`bridge deliveries`: list webhook deliveries, show one, and land some again."""

from typing import Annotated

import typer

from common.runs import instance
from local import terminal
from local.commands.connection import SelectedBridge, with_bridge
from local.commands.options import Json

app = typer.Typer(invoke_without_command=True)


@app.callback()
@with_bridge
def list_deliveries(
    bridge: SelectedBridge,
    context: typer.Context,
    relay: Annotated[str, typer.Option(help="The name of a relay, to list only its deliveries.")] = "",
    all_: Annotated[bool, typer.Option("--all", help="List delivered ones too.")] = False,
    as_json: Json = False,
) -> None:
    """List the webhook deliveries that are waiting or dead, oldest first, with their age and the reason.

    A waiting delivery is stored and has not landed yet. A dead one was refused permanently; `bridge deliveries replay`
    lands it once the cause is fixed.
    """
    if context.invoked_subcommand:
        return
    from local import deliveries, waiting  # noqa: PLC0415

    with bridge.open(create=False):
        current = instance.current
        states = ("waiting", "dead", "delivered") if all_ else ("waiting", "dead")
        found = deliveries.summaries(current.bucket, relay, states, waiting.reasons(current))
        if as_json:
            terminal.print_json(found)
        else:
            deliveries.print_table(found, current.clock.now())


@app.command("show")
@with_bridge
def show_delivery(
    bridge: SelectedBridge,
    identifier: Annotated[str, typer.Argument(metavar="ID", help="The id of a delivery, or a unique part of it.")],
) -> None:
    """Print one delivery as JSON: its state, and the content that Looker sent, including its rows."""
    from local import deliveries, waiting  # noqa: PLC0415

    with bridge.open(create=False):
        bucket = instance.current.bucket
        _, entry = deliveries.find(bucket, identifier)
        summary = deliveries.DeliverySummary.from_object(entry, waiting.reasons(instance.current))
        terminal.print_json({"delivery": summary, "content": deliveries.content(bucket, entry)})


@app.command("replay")
@with_bridge
def replay_deliveries(
    bridge: SelectedBridge,
    identifiers: Annotated[
        list[str] | None, typer.Argument(metavar="[ID…]", help="The ids of deliveries, or unique parts of them.")
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Replay every dead delivery, except those replayed before.")
    ] = False,
    relay: Annotated[str, typer.Option(help="With --all: the name of a relay, to replay only its deliveries.")] = "",
    yes: Annotated[
        bool, typer.Option("--yes", help="With ids: also where rows that have landed before are doubled.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Put delivered or dead deliveries into the inbox again and print their new ids.

    A replayed delivery is landed again even if it has landed before; if its target is not repeatable, only with --yes.
    `--all` takes what is dead, the oldest first, and asks nothing: what would be doubled stays dead, and of a relay
    with `keep: latest`, what is older than its last landing.
    """
    if bool(identifiers) == all_ or (relay and not all_) or (yes and all_):
        raise typer.BadParameter("Give ids, or --all, which --relay can limit to one relay.")
    from local import deliveries  # noqa: PLC0415

    with bridge.open(create=False):
        current = instance.current
        bucket, now = current.bucket, current.clock.now()
        if all_:
            replayed = deliveries.replay_dead(bucket, current.config(), relay, now)
        else:
            replayed = [
                deliveries.replay(bucket, current.config, identifier, current.clock.now(), may_double=yes)
                for identifier in identifiers or []
            ]
        if as_json:
            terminal.print_json(replayed)
        elif all_:
            deliveries.print_replays(replayed)
        else:
            for each in replayed:
                terminal.say(each.new_id)
