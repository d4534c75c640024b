"""The demo: a pull of all flights that left New York in 2013, three webhook deliveries, and an export of the flights.

Looker, Pigment, Cloud Storage and Secret Manager are sandboxes. The functions are the ones that are deployed.
"""

import contextlib
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path

import requests
from rich.text import Text

from common.platform.errors import OurFault
from common.runs.receipts import Receipt
from common.storage import paths
from common.storage.bucket import Bucket
from local import bridge_file, deliveries, output, state_folder, terminal
from local.demo import comparison, processes, vendors
from local.demo.vendors import CONFIGURATION, DELIVERY_LIMIT_ROWS, EXPORT, PULL, RELAYS, TOKEN_SECRET
from local.inbox_notifier import InboxNotifier
from local.listing import FormField
from local.sandbox.vendors import SandboxVendors
from local.terminal import TerminalConsole

_LANDING_TIMEOUT_S = 60


def run(folder: Path) -> None:
    """Run the demo in a folder. It can be repeated with the same folder.

    Raises:
        OurFault: Pigment does not contain the rows of Looker, or the export does not contain the rows of Pigment.
    """
    console = terminal.console()
    folder.mkdir(exist_ok=True)
    state = folder / ".bridge"
    bucket = state / state_folder.BUCKET
    _print_step(console, 1, "Start sandboxes of Looker, Pigment, Cloud Storage and Secret Manager on this machine")
    notifier = InboxNotifier()
    with (
        vendors.start(folder) as sites,
        state_folder.serve(state, vendors.write_env(folder, sites), notifier.on_finalize) as services,
    ):
        state_folder.install(bridge_file.load_file(vendors.write_bridge_yaml(folder, sites)))
        _print_step(console, 2, "Start the four functions behind functions-framework")
        with processes.start(services, folder) as addresses:
            staged = _pull(console, sites, addresses["looker_pull"], bucket)
            with contextlib.closing(notifier.start(addresses["webhook_deliver"])):
                _relay(console, sites, addresses["webhook_receive"])
            _export(console, addresses["pigment_export"], bucket, staged)
    console.print(f"\nFiles     {staged}\n          {bucket / 'exports'}\n          {bucket / 'receipts'}")
    console.print(f"          {folder / 'pigment' / 'received'}\n          {folder / 'bridge.yaml'}")
    console.print(f"          {folder}/*.log")
    console.print(f"\nLook at it with `cd {folder}`, and there, with `.venv/bin` on your PATH:\n")
    for command in ("bridge runs", "bridge deliveries --all", "bridge check --offline"):
        console.print(f"    {command}")


def _pull(console: TerminalConsole, sites: SandboxVendors, address: str, bucket: Path) -> Path:
    """Pull the flights and return the staged file."""
    _print_step(console, 3, f'POST {{"job": "{PULL}"}}, as Cloud Scheduler sends it')
    receipt = processes.call(console, address, PULL, bucket / paths.lease(CONFIGURATION))
    console.print()
    output.print_form_of(receipt)
    console.print()
    staged = bucket / paths.staged(PULL, receipt.run)
    _compare_landed(console, sites, receipt, staged)
    return staged


def _compare_landed(console: TerminalConsole, sites: SandboxVendors, receipt: Receipt, staged: Path) -> None:
    _raise_error_of(receipt)
    received = sites.pigment.received(receipt.import_id or "")
    landed = sites.pigment.count(CONFIGURATION)
    is_same_file = comparison.sha256(staged) == comparison.sha256(received) == receipt.sha256
    rows = receipt.rows
    if not is_same_file or not rows.read == rows.sent == landed:
        raise OurFault("Pigment does not contain the rows of Looker.", next_step=f"Compare {staged} and {received}.")
    console.print(
        Text.assemble(
            (f"{landed:,} rows read = sent = landed.", "green"),
            f" A delivery from Looker would have ended at {DELIVERY_LIMIT_ROWS:,}. "
            "The staged file and the file that Pigment received have the same sha256.",
        )
    )


def _relay(console: TerminalConsole, sites: SandboxVendors, address: str) -> None:
    """Post three deliveries as Looker does, two of them while Pigment is down."""
    console.print()
    _print_step(console, 4, "Looker delivers airlines by webhook, and airports and planes while Pigment is down")
    began = datetime.now(UTC)
    _post_delivery(address, sites.secrets[TOKEN_SECRET], "airlines")
    _wait_until_landed(began, 1)
    sites.pigment_server.fault(".*", times=-1, reset_before=True)
    for relay in ("airports", "planes"):
        _post_delivery(address, sites.secrets[TOKEN_SECRET], relay)
    waiting = deliveries.summaries(Bucket(state_folder.BUCKET), "", ["waiting"])
    console.print(f"  Pigment is down: {len(waiting)} deliveries were acknowledged and are waiting in the inbox")
    sites.pigment_server.heal()
    console.print("  Pigment is up again")
    _wait_until_landed(began, 3)
    console.print()
    deliveries.print_table(_delivered_since(began), datetime.now(UTC))
    for relay, configuration in RELAYS.items():
        rows = vendors.row_count(relay)
        if sites.pigment.count(configuration) != rows:
            raise OurFault(f"Pigment does not contain the {rows} rows of {relay}.", next_step="Read the logs.")
    landed = ("\nAll three deliveries landed exactly once.", "green")
    console.print(Text.assemble(landed, " `bridge deliveries --all` in .demo lists them."))


def _post_delivery(address: str, token: str, relay: str) -> None:
    headers = {"X-Looker-Webhook-Token": token, "X-Looker-Webhook-Id": secrets.token_hex(8)}
    answer = requests.post(address + relay, json=vendors.delivery(relay), headers=headers, timeout=60)
    if not answer.ok:
        raise OurFault(f"webhook_receive answered {answer.status_code}.", next_step="Read its log.")


def _wait_until_landed(began: datetime, count: int) -> None:
    deadline_s = time.monotonic() + _LANDING_TIMEOUT_S
    while len(_delivered_since(began)) < count:
        if time.monotonic() > deadline_s:
            raise OurFault("The deliveries did not land.", next_step="Read the logs.")
        time.sleep(0.1)


def _delivered_since(began: datetime) -> list[deliveries.DeliverySummary]:
    delivered = deliveries.summaries(Bucket(state_folder.BUCKET), "", ["delivered"])
    return [each for each in delivered if datetime.fromisoformat(each.received_at) >= began]


def _export(console: TerminalConsole, address: str, bucket: Path, staged: Path) -> None:
    """Export the flights from Pigment and compare them with the staged file."""
    console.print()
    _print_step(console, 5, f'POST {{"job": "{EXPORT}"}}: export the same list from Pigment to Cloud Storage')
    receipt = processes.call(console, address, EXPORT, bucket / paths.lease(f"export-{EXPORT}"))
    _raise_error_of(receipt)
    exported = bucket / paths.export("flights.csv")
    columns, sent = comparison.row_digest(staged)
    if comparison.row_digest(exported, columns) != (columns, sent):
        raise OurFault(
            "The export does not contain the rows of Pigment.", next_step=f"Compare {staged} and {exported}."
        )
    console.print()
    round_trip = Text(f"{sent.rows:,} rows, all as they were sent", "green")
    output.print_form_of(receipt, bucket.parent, FormField("round trip", round_trip))


def _print_step(console: TerminalConsole, number: int, text: str) -> None:
    console.print(Text.assemble((str(number), "bold"), f" {text}"))


def _raise_error_of(receipt: Receipt) -> None:
    if receipt.error is not None:
        raise OurFault(receipt.error.message, next_step=receipt.error.next_step)
