"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path, typer.Option(help="The path of bridge.yaml.")]
EnvFile = Annotated[
    Path,
    typer.Option(
        help="A file with the secrets of a local bridge: lines of NAME=VALUE, where NAME is a secret that bridge.yaml "
        "names. Not used if BRIDGE_BUCKET is set."
    ),
]
State = Annotated[
    Path, typer.Option(help="The folder that stores the bucket of a local bridge. Not used if BRIDGE_BUCKET is set.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print a Markdown table, as the documentation has it.")]

CONFIG = Path("bridge.yaml")
ENV_FILE = Path(".env")
STATE = Path(".bridge")
