"""The command line `bridge`."""

import functools
import importlib.metadata
import io
import platform
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NoReturn

import typer

from common.platform.errors import BridgeError
from local import next_steps, own_files, terminal
from local.commands import (
    assistant,
    checks,
    deliveries,
    explain,
    jobs,
    looker,
    pigment,
    proof,
    receipts,
    reference,
    servers,
    setup,
    status,
)
from local.stopping import StoppableGroup

_PACKAGE = "looker-pigment-bridge"

app = typer.Typer(cls=StoppableGroup, no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        terminal.say(f"bridge {importlib.metadata.version(_PACKAGE)}, Python {platform.python_version()}")
        raise typer.Exit


@app.callback(
    help="Operate the Looker–Pigment bridge: run its jobs, read its receipts, and check its settings.\n\n"
    "If BRIDGE_BUCKET is set, commands work on the deployed bridge that owns this bucket. Otherwise they work on a "
    "local bridge, which stores its bucket in the folder --state and reads its secrets from the file --env-file.",
)
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    pass


_COMMANDS: dict[str, tuple[Callable[..., Any], ...]] = {
    "Try it on this machine": (servers.demo, servers.sandbox, servers.serve),
    "Run jobs": (jobs.pull, jobs.backfill, jobs.export, jobs.deliver, jobs.resend, jobs.approve, jobs.reject),
    "See what happened": (
        *(status.status, receipts.runs, explain.explain, receipts.settle),
        *(proof.verify, proof.reconcile, assistant.mcp),
    ),
    "Write and check bridge.yaml": (
        setup.init,
        *(checks.check, pigment.applications, pigment.blocks, pigment.views, pigment.configurations),
        *(looker.resources, looker.looker, reference.errors),
    ),
}
for panel, commands in _COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(setup.app, name="add", rich_help_panel="Write and check bridge.yaml")
app.add_typer(deliveries.app, name="deliveries", rich_help_panel="See what happened")


@functools.cache
def command_line() -> Any:
    """Build every command once; `app` itself does it for each call, which takes longer than most commands."""
    return typer.main.get_command(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command. Errors of the bridge are printed as a code, a cause and a next step, without a traceback.

    Args:
        arguments: those of the process if omitted.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal without UTF-8 has no arrow. In JSON, what takes its place means the same.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        command_line()(arguments, prog_name="bridge")
    except BridgeError as error:
        _exit(error)
    except OSError as error:
        _exit(own_files.refusal(error))
    except Exception:  # noqa: BLE001  # a fault of the bridge itself, for a report to its developers
        _exit(None)


def _exit(error: BridgeError | None) -> NoReturn:
    """Say what is wrong, and end. Without an error of the bridge, show the trace of what is being handled."""
    if error is None:
        terminal.say(traceback.format_exc().rstrip(), errors=True)
    else:
        next_steps.tell(error)
    sys.exit(1)
