"""`bridge applications`, `blocks`, `views` and `configurations`: the ids of Pigment that bridge.yaml needs."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from common.runs import instance
from local import catalogue, output
from local.commands import options
from local.commands.connection import open_bridge
from local.commands.options import Config, EnvFile, Json, State

Application = Annotated[str, typer.Option(help="The name or id of an application, to list only what it contains.")]
BlockName = Annotated[
    str, typer.Option("--block", help="The name or id of a list, metric or table, to list only what belongs to it.")
]


def applications(
    config: Config = options.CONFIG,
    env_file: EnvFile = options.ENV_FILE,
    state: State = options.STATE,
    as_json: Json = False,
) -> None:
    """List Pigment's applications with their ids."""
    _list("applications", "", "", config, env_file, state, as_json)


def blocks(
    application: Application = "",
    config: Config = options.CONFIG,
    env_file: EnvFile = options.ENV_FILE,
    state: State = options.STATE,
    as_json: Json = False,
) -> None:
    """List Pigment's lists, metrics and tables with their ids. An export can read each of them."""
    _list("blocks", application, "", config, env_file, state, as_json)


def views(
    application: Application = "",
    block: BlockName = "",
    config: Config = options.CONFIG,
    env_file: EnvFile = options.ENV_FILE,
    state: State = options.STATE,
    as_json: Json = False,
) -> None:
    """List Pigment's views with their ids. An export can read each of them."""
    _list("views", application, block, config, env_file, state, as_json)


def configurations(
    application: Application = "",
    block: BlockName = "",
    config: Config = options.CONFIG,
    env_file: EnvFile = options.ENV_FILE,
    state: State = options.STATE,
    as_json: Json = False,
) -> None:
    """List Pigment's import configurations with their ids. They are the targets of pulls and relays."""
    _list("configurations", application, block, config, env_file, state, as_json)


def _list(
    kind: catalogue.CatalogueKind,
    application: str,
    block: str,
    config: Path,
    env_file: Path,
    state: Path,
    as_json: bool,
) -> None:
    settings = catalogue.read_settings(config)
    console = output.console()
    spinner = contextlib.nullcontext() if as_json else console.status("reading")
    with (
        open_bridge(env_file, state),
        spinner as status,
        catalogue.open_catalogue(settings, instance.current) as (pigment, _),
    ):
        listing = pigment.listing(kind, application, block, status.update if status else str)
    if as_json:
        output.print_json(listing.entries)
    else:
        console.print(catalogue.table(listing, kind))
        console.print(f"\n{catalogue.USES[kind]}", markup=False, highlight=False)
    if not listing.is_complete:
        print(
            f"The list is incomplete: only the first {catalogue.MAX_BLOCKS} blocks were read. Add --application or "
            "--block.",
            file=sys.stderr,
        )
