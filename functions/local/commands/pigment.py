"""`bridge applications`, `blocks`, `views` and `configurations`: the ids of Pigment that bridge.yaml needs."""

import contextlib
from typing import Annotated

import typer

from common.runs import instance
from local import catalogue, terminal
from local.commands.connection import ConfiguredBridge, with_bridge
from local.commands.options import Json

Application = Annotated[str, typer.Option(help="The name or id of an application, to list only what it contains.")]
BlockName = Annotated[
    str, typer.Option("--block", help="The name or id of a list, metric or table, to list only what belongs to it.")
]


@with_bridge
def applications(bridge: ConfiguredBridge, as_json: Json = False) -> None:
    """List Pigment's applications with their ids."""
    _list("applications", "", "", bridge, as_json)


@with_bridge
def blocks(bridge: ConfiguredBridge, application: Application = "", as_json: Json = False) -> None:
    """List Pigment's lists, metrics and tables with their ids. An export can read each of them."""
    _list("blocks", application, "", bridge, as_json)


@with_bridge
def views(
    bridge: ConfiguredBridge,
    application: Application = "",
    block: BlockName = "",
    as_json: Json = False,
) -> None:
    """List Pigment's views with their ids. An export can read each of them."""
    _list("views", application, block, bridge, as_json)


@with_bridge
def configurations(
    bridge: ConfiguredBridge,
    application: Application = "",
    block: BlockName = "",
    as_json: Json = False,
) -> None:
    """List Pigment's import configurations with their ids. They are the targets of pulls and relays."""
    _list("configurations", application, block, bridge, as_json)


def _list(kind: catalogue.CatalogueKind, application: str, block: str, bridge: ConfiguredBridge, as_json: bool) -> None:
    settings = catalogue.read_settings(bridge.config)
    console = terminal.console()
    spinner = contextlib.nullcontext() if as_json else console.spinner("reading")
    with (
        bridge.open(needs_secrets=True),
        spinner as status,
        catalogue.open_catalogue(settings, instance.current) as (pigment, _),
    ):
        listing = pigment.listing(kind, application, block, status.say if status else str)
    if as_json:
        terminal.print_json(listing.entries)
    elif not listing.entries:
        terminal.say(f"The key's owner sees no {kind} here.")
    else:
        console.print(catalogue.table(listing, kind))
        console.print(f"\n{catalogue.USES[kind]}", highlight=False)
    if not listing.is_complete:
        terminal.say(
            f"The list is incomplete: only the first {catalogue.MAX_BLOCKS} blocks were read. Add --application or "
            "--block.",
            errors=True,
        )
