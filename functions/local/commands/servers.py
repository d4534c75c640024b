"""`bridge demo` and `bridge serve`: the functions on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from local.commands.connection import ConfiguredBridge, with_bridge


def demo() -> None:
    """Run every flow on this machine, with sandboxes of Looker, Pigment and Google Cloud.

    The demo pulls 336,776 flights from Looker into Pigment, relays webhook deliveries, and exports the flights again.
    It needs no account and no settings. Its files are in the folder .demo afterwards.
    """
    from local import demo as demonstration  # noqa: PLC0415  # it imports the whole sandbox

    demonstration.run(Path(".demo"))


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
    from local import bridge_file, function_server, state_folder  # noqa: PLC0415  # servers that no other command needs
    from local.inbox_notifier import InboxNotifier  # noqa: PLC0415

    checked = bridge_file.load_file(bridge.config)
    notifier = InboxNotifier()
    with state_folder.serve(bridge.state, bridge.env_file, notifier.on_finalize) as services:
        state_folder.install(checked)
        with function_server.serve_functions(port, names or ()) as addresses:
            notifier.start(addresses["deliver"])
            function_server.run_until_signal({**addresses, "storage": services.storage})
            notifier.close()
