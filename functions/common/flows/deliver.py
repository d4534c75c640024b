"""From the inbox into Pigment: the oldest delivery of a configuration first, one at a time.

    hold the configuration → settle what an earlier run left open → take the oldest delivery → stage while checking
    → guards → intent → push → import id → follow → receipt → cursor → out of the inbox → free the configuration

The inbox is the truth: what wakes this up is only a hint, and calling it once more does no harm.
"""

from collections.abc import Iterator, Sequence

import msgspec

from common import bridge_yaml
from common.flows.pull import pull
from common.looker import webhook
from common.looker.client import CAPS
from common.pigment.client import PigmentClient
from common.platform.clock import Deadline
from common.platform.errors import BridgeError, NoSuchJob, OutOfTime, PigmentBusy
from common.runs import cursors, guards, landing, leases
from common.runs import run as runs
from common.runs.instance import Instance
from common.runs.leases import Journal
from common.runs.receipts import ErrorReport, Receipt, Rows
from common.runs.run import Run
from common.storage import inbox
from common.storage.inbox import Waiting
from common.storage.store import Store
from common.tables import staging
from common.tables.csv import Contract
from common.tables.staging import Staged

_FOR_CLOSING_S = 5.0
_LEAST_SHARE_FOR_A_LANDING = 0.1
_ADOPT = "Put the relays back into bridge.yaml until nothing waits for them: `bridge deliveries` shows what does."

Relay = bridge_yaml.Relay | bridge_yaml.Signal


class DeliveryCounts(msgspec.Struct, frozen=True):
    """What a call did: deliveries landed, still waiting, refused for good."""

    delivered: int = 0
    waiting: int = 0
    dead: int = 0
    error: ErrorReport | None = None
    "Why the first of those that wait has to."

    def plus(self, other: "DeliveryCounts") -> "DeliveryCounts":
        return DeliveryCounts(
            self.delivered + other.delivered,
            self.waiting + other.waiting,
            self.dead + other.dead,
            self.error or other.error,
        )


def deliver(here: Instance, bridge: bridge_yaml.Bridge, hint: str | None = None) -> DeliveryCounts:
    """Land what waits.

    Args:
        hint: the relay whose delivery woke this up; without it, or with one that is unknown, every relay is looked at.
    """
    deadline = here.deadline()
    tally = DeliveryCounts()
    for relays in _by_configuration(bridge, hint):
        tally = tally.plus(_empty(here, bridge, relays, deadline))
    return tally if hint in bridge.relays else tally.plus(_orphaned(here, bridge))


def _orphaned(here: Instance, bridge: bridge_yaml.Bridge) -> DeliveryCounts:
    """What was acknowledged for relays that bridge.yaml no longer names: it waits, and each sweep says so."""
    orphans = [relay for relay in inbox.relays(here.store) if relay not in bridge.relays]
    if not orphans:
        return DeliveryCounts()
    names = ", ".join(sorted(set(orphans)))
    gone = NoSuchJob(f"Deliveries wait for relays that bridge.yaml does not name: {names}.", next_step=_ADOPT)
    return DeliveryCounts(waiting=len(orphans), error=ErrorReport.of(gone))


def _by_configuration(bridge: bridge_yaml.Bridge, hint: str | None) -> list[list[Relay]]:
    """Relays that land in the same place, and so one after the other."""
    groups: dict[str, list[Relay]] = {}
    for relay in bridge.relays.values():
        groups.setdefault(_configuration(bridge, relay), []).append(relay)
    hinted = [group for group in groups.values() if hint in [relay.name for relay in group]]
    return hinted or list(groups.values())


def _configuration(bridge: bridge_yaml.Bridge, relay: Relay) -> str:
    target = relay.target if isinstance(relay, bridge_yaml.Relay) else bridge.pulls[relay.start].target
    return target.configuration


def _empty(here: Instance, bridge: bridge_yaml.Bridge, relays: Sequence[Relay], deadline: Deadline) -> DeliveryCounts:
    """Land the deliveries of one configuration, oldest first, until one has to wait."""
    by_name = {relay.name: relay for relay in relays}
    least_s = deadline.remaining_s() * _LEAST_SHARE_FOR_A_LANDING
    tally = DeliveryCounts()
    while (oldest := _oldest(here, relays)) is not None:
        if not deadline.allows(least_s):
            late = OutOfTime("The time budget ended while deliveries were waiting.")
            return tally.plus(_left(here, relays, ErrorReport.of(late)))
        try:
            receipt = _land(here, bridge, by_name[oldest.relay], oldest, deadline)
        except BridgeError as error:
            return tally.plus(_left(here, relays, ErrorReport.of(error)))
        if receipt is None:
            continue
        if here.store.exists(oldest.path):
            return tally.plus(_left(here, relays, receipt.error or ErrorReport.of(_not_through(receipt))))
        tally = tally.plus(DeliveryCounts(dead=1) if receipt.error else DeliveryCounts(delivered=1))
    leases.forget(here.store, _configuration(bridge, relays[0]), here.clock)
    return tally


def _not_through(receipt: Receipt) -> BridgeError:
    """Why a run that landed well leaves its delivery waiting."""
    if receipt.outcome == "importing":
        return PigmentBusy(f"Pigment is still at the import {receipt.import_id} of run {receipt.run}.")
    return OutOfTime(f"The time budget ended before {receipt.job} had landed all its windows: the next call goes on.")


def _oldest(here: Instance, relays: Sequence[Relay]) -> Waiting | None:
    firsts = [next(inbox.waiting(here.store, relay.name), None) for relay in relays]
    return min((first for first in firsts if first), key=lambda each: each.name, default=None)


def _left(here: Instance, relays: Sequence[Relay], why: ErrorReport | None) -> DeliveryCounts:
    return DeliveryCounts(waiting=sum(1 for relay in relays for _ in inbox.waiting(here.store, relay.name)), error=why)


def _land(
    here: Instance, bridge: bridge_yaml.Bridge, relay: Relay, oldest: Waiting, deadline: Deadline
) -> Receipt | None:
    """One delivery; None where it turned out to have come to its end before.

    Raises:
        ConfigurationOccupied: another run is at it.
    """
    if isinstance(relay, bridge_yaml.Relay):
        return _fly(here, bridge, relay, oldest, deadline)
    if inbox.closed(here.store, relay.name, oldest.name):
        here.store.delete(oldest.path)
        return None
    return _start(here, bridge, relay, deadline)


def _start(here: Instance, bridge: bridge_yaml.Bridge, relay: bridge_yaml.Signal, deadline: Deadline) -> Receipt:
    """Pull once for all the signals that are waiting: each of them came before the pull, which reads everything."""
    signals = list(inbox.waiting(here.store, relay.name))
    tick = f"delivery {signals[-1].name}" if signals else None
    receipt = pull(here, bridge, bridge.pulls[relay.start], tick=tick, deadline=deadline)
    through = receipt.progress is msgspec.UNSET or receipt.progress.done
    if receipt.error is None and receipt.outcome != "importing" and through:
        for signal in signals:
            end = {"outcome": receipt.outcome, "run": receipt.run}
            inbox.close(here.store, relay.name, signal.name, "delivered", end)
    return receipt


def _fly(
    here: Instance, bridge: bridge_yaml.Bridge, relay: bridge_yaml.Relay, oldest: Waiting, deadline: Deadline
) -> Receipt | None:
    store, target = here.store, relay.target
    run = Run(here, relay.name, relay.kind, deadline=deadline)
    run.note(configuration=target.configuration)
    flight = Journal(
        "reading", run.receipt, target.repeatable, relay.guards.max_skipped, expires_at="", delivery=oldest.name
    )
    pigment = PigmentClient(bridge.pigment, here.secrets, run.keep_back(0.1, _FOR_CLOSING_S), here.chance)
    with leases.take(store, target.configuration, here.clock, flight) as lease, pigment:
        try:
            if lease.flight.receipt.run != run.receipt.run:
                landing.settle(run, lease, pigment)
                lease.note(flight)
            if not store.exists(oldest.path):
                lease.free()
                return None
            if inbox.closed(store, relay.name, oldest.name):
                # Killed while it was taken out of the inbox, or put there again by a receiver that had no answer to
                # its first write: asked under the hold, for while another run lands it the answer would be no.
                store.delete(oldest.path)
                lease.free()
                return None
            if relay.keep == "latest" and _replace_older(here, relay, oldest):
                lease.free()
                return None
            staged = _stage(run, relay, oldest)
            run.note(rows=Rows(sent=staged.checked.rows))
            lease.flight = msgspec.structs.replace(flight, landed=cursors.of(staged, run.receipt.run, oldest.name))
            return landing.land(run, lease, pigment, target, staged)
        except Exception as error:  # noqa: BLE001  # whatever it is, the hold must not outlive the run
            return landing.end_by_error(run, lease, runs.as_bridge_error(error))


def _replace_older(here: Instance, relay: bridge_yaml.Relay, oldest: Waiting) -> bool:
    """Close every delivery but the newest; whether the oldest was among them."""
    *older, newest = inbox.waiting(here.store, relay.name)
    for each in older:
        inbox.close(here.store, relay.name, each.name, "delivered", {"outcome": "replaced", "by": newest.name})
    return newest.name != oldest.name


def _stage(run: Run, relay: bridge_yaml.Relay, oldest: Waiting) -> Staged:
    """A delivery's rows as a staged file that the guards let pass."""
    store = run.instance.store
    blocks, warnings = _open(store, oldest)
    contract = Contract(relay.target.columns or None, relay.target.delimiter)
    path = staging.path_of(relay.name, run.receipt.run)
    staged = staging.stage(store, path, blocks, contract, run.instance.progress)
    rows, previous = staged.checked.rows, cursors.read(store, relay.name)
    said = [*warnings, *staged.checked.warnings]
    run.note(rows=Rows(read=rows), bytes=staged.bytes, sha256=staged.sha256, warnings=said)
    guards.expect_rows(rows, max(1, relay.guards.min_rows))
    if not relay.guards.accept_cap:
        guards.expect_no_cap(rows, CAPS, None)
    guards.expect_no_shrinking(rows, previous.rows if previous else None, relay.guards.max_shrink)
    return staged


def _open(store: Store, oldest: Waiting) -> tuple[Iterator[bytes], list[str]]:
    """A delivery's rows as CSV, and what is to be said of them."""
    if oldest.content_type == "text/csv":
        warning = oldest.metadata.get("warnings")
        return store.reading(oldest.path).blocks(), [warning] if warning else []
    delivery = webhook.read(store.read(oldest.path))
    return delivery.csv_blocks(), delivery.warnings
