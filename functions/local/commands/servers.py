"""`bridge demo`, `bridge sandbox` and `bridge serve`: the vendors and the functions on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from local.commands.connection import ConfiguredBridge, with_bridge
from local.fault_names import FaultName


def demo() -> None:
    """Run every flow on this machine, with sandboxes of Looker, Pigment and Google Cloud.

    The demo pulls 336,776 flights from Looker into Pigment, relays webhook deliveries, and exports the flights again.
    It needs no account and no settings. Its files are in the folder .demo afterwards.
    """
    from local import demo as demonstration  # noqa: PLC0415  # it imports the whole sandbox

    demonstration.run(Path(".demo"))


def sandbox(
    look_texts: Annotated[
        list[str],
        typer.Option(
            "--look", metavar="NUMBER=FILE", help="A CSV file and the number of its Look, such as 12=sales.csv."
        ),
    ],
    fault_names: Annotated[
        list[FaultName] | None,
        typer.Option("--fault", help="How the vendors misbehave, for as long as the sandbox runs."),
    ] = None,
) -> None:
    """Serve a Looker and a Pigment on this machine, over your own CSV files.

    Each file becomes a Look, and a list in Pigment with an import configuration for its columns. A bridge.yaml and a
    .env that use them are written into the current folder, unless they exist. Prints addresses and keys, and serves
    until Ctrl-C.
    """
    from local import csv_sandbox  # noqa: PLC0415  # it imports the whole sandbox

    csv_sandbox.run([csv_sandbox.LookFile.parse(text) for text in look_texts], fault_names or ())


@with_bridge
def serve(
    bridge: ConfiguredBridge,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 selects a free one.")] = 8080,
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--name", help="A further host name under which callers reach the functions, such as that of a tunnel."
        ),
    ] = None,
) -> None:
    """Serve the functions on this machine, with the real Looker and Pigment that bridge.yaml names.

    Prints the address of each function and serves until Ctrl-C. Deliveries to the address `receive` are landed without
    further calls; jobs are not started by their schedules.
    """
    from local import (  # noqa: PLC0415  # servers that no other command needs
        bridge_file,
        foreground,
        function_server,
        state_folder,
    )
    from local.inbox_notifier import InboxNotifier  # noqa: PLC0415

    checked = bridge_file.load_file(bridge.config)
    notifier = InboxNotifier()
    with state_folder.serve(bridge.state, bridge.env_file, notifier.on_finalize) as services:
        state_folder.install(checked)
        with function_server.serve_functions(port, names or ()) as addresses:
            notifier.start(addresses["deliver"])
            shown = {**addresses, "storage": services.storage}
            foreground.run_until_signal(lambda: function_server.print_addresses(shown))
            notifier.close()
