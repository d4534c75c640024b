"""Delivering: webhook deliveries from the inbox into Pigment, the oldest of a configuration first, one at a time.

    for each configuration, while deliveries wait: see whose turn it is (`turns`)
    → land this delivery (`relay`), or pull once for all signals (`signals`)

The inbox decides what is to be landed. The message that starts this flow is only a hint, and an extra call is harmless.
"""

from collections.abc import Callable, Sequence

import msgspec

from common import bridge_yaml
from common.flows.leased import Tenure
from common.flows.relay import land_delivery
from common.flows.signals import pull_for_signals
from common.flows.turns import Turn, turns_of
from common.platform.clock import Deadline
from common.platform.errors import BridgeError, ErrorReport, NoSuchJob, OutOfTime, PigmentBusy, StorageBusy
from common.platform.log import log
from common.runs import backoff, leases
from common.runs.instance import Instance
from common.runs.receipts import Receipt
from common.storage import inbox

_LEAST_SHARE_FOR_A_LANDING = 0.1
_RESTORE_RELAYS = "Put the relays back into bridge.yaml until `bridge deliveries` lists no more deliveries for them."


class DeliveryCounts(msgspec.Struct, frozen=True):
    """The result of a call: how many deliveries were landed, are waiting, and were refused permanently."""

    delivered: int = 0
    waiting: int = 0
    "At most 1,000: that many, or more."
    dead: int = 0
    error: ErrorReport | None = None
    "Why the oldest of the waiting deliveries was not landed."

    @property
    def status(self) -> int:
        return self.error.kind.status if self.error else 200

    @property
    def is_capped(self) -> bool:
        """Whether more deliveries may wait than were counted."""
        return self.waiting >= inbox.MOST_COUNTED

    def plus(self, other: "DeliveryCounts") -> "DeliveryCounts":
        delivered, waiting = self.delivered + other.delivered, min(self.waiting + other.waiting, inbox.MOST_COUNTED)
        return DeliveryCounts(delivered, waiting, self.dead + other.dead, self.error or other.error)


def deliver(
    instance: Instance,
    bridge: bridge_yaml.Bridge,
    hint: str | None = None,
    on_end: Callable[[Receipt], object] = lambda _: None,
) -> DeliveryCounts:
    """Land the waiting deliveries: for the configuration of the hinted relay, or all without a valid hint.

    Args:
        on_end: called with the receipt of each run.
    """
    deadline = instance.deadline()
    counts = DeliveryCounts()
    for relays in _by_configuration(bridge, hint):
        counts = counts.plus(_deliver_all(instance, bridge, relays, deadline, on_end))
    return counts if hint in bridge.relays else counts.plus(_orphaned(instance, bridge))


def log_counts(instance: Instance, counts: DeliveryCounts, *, is_sweep: bool) -> None:
    numbers = {"delivered": counts.delivered, "waiting": counts.waiting, "dead": counts.dead}
    oldest_waiting_s = _oldest_waiting_s(instance) if counts.waiting else 0
    log.info("inbox processed", **numbers, oldest_waiting_s=oldest_waiting_s, sweep=is_sweep)


def _oldest_waiting_s(instance: Instance) -> int | None:
    """Return None if storage does not answer: the deliveries that were landed are reported all the same."""
    try:
        arrived_at = inbox.oldest(instance.bucket)
    except BridgeError:
        return None
    return max(0, round((instance.clock.now() - arrived_at).total_seconds())) if arrived_at else 0


def _orphaned(instance: Instance, bridge: bridge_yaml.Bridge) -> DeliveryCounts:
    """Count the deliveries of relays that bridge.yaml no longer contains. They wait, and each sweep reports them."""
    orphans = [relay for relay in inbox.relays(instance.bucket) if relay not in bridge.relays]
    if not orphans:
        return DeliveryCounts()
    names = ", ".join(orphans)
    error = NoSuchJob(f"Deliveries wait for relays that bridge.yaml does not have: {names}.", next_step=_RESTORE_RELAYS)
    return DeliveryCounts(waiting=inbox.count(instance.bucket, orphans), error=ErrorReport.of(error))


def _by_configuration(bridge: bridge_yaml.Bridge, hint: str | None) -> list[list[bridge_yaml.AnyRelay]]:
    """Group the relays by the configuration into which they land: its deliveries are landed one after the other."""
    groups: dict[str, list[bridge_yaml.AnyRelay]] = {}
    for relay in bridge.relays.values():
        groups.setdefault(_configuration(bridge, relay), []).append(relay)
    hinted = [group for group in groups.values() if hint in [relay.name for relay in group]]
    return hinted or list(groups.values())


def _configuration(bridge: bridge_yaml.Bridge, relay: bridge_yaml.AnyRelay) -> str:
    target = relay.target if isinstance(relay, bridge_yaml.Relay) else bridge.pulls[relay.start].target
    return target.configuration


def _deliver_all(
    instance: Instance,
    bridge: bridge_yaml.Bridge,
    relays: Sequence[bridge_yaml.AnyRelay],
    deadline: Deadline,
    on_end: Callable[[Receipt], object],
) -> DeliveryCounts:
    """Land the deliveries of one configuration, the oldest first, until one of them has to wait."""
    bucket, configuration = instance.bucket, _configuration(bridge, relays[0])
    least_s = deadline.remaining_s() * _LEAST_SHARE_FOR_A_LANDING
    counts = DeliveryCounts()
    with Tenure(bucket, configuration, instance.clock) as tenure:
        for number, turn in enumerate(turns_of(tenure, bucket, relays)):
            if number == 0 and (error := backoff.current(bucket, configuration)):
                landed = DeliveryCounts(error=error)
            elif not deadline.allows(least_s):
                late = OutOfTime("The time budget ended while deliveries were waiting.")
                landed = DeliveryCounts(error=ErrorReport.of(late))
            else:
                landed = _deliver_one(instance, bridge, turn, tenure, deadline, on_end)
            counts = counts.plus(landed)
            if landed.error:
                return counts.plus(DeliveryCounts(waiting=inbox.count(bucket, [each.name for each in relays])))
    if counts == DeliveryCounts():
        leases.forget(bucket, configuration)
    return counts


def _deliver_one(
    instance: Instance,
    bridge: bridge_yaml.Bridge,
    turn: Turn,
    tenure: Tenure,
    deadline: Deadline,
    on_end: Callable[[Receipt], object],
) -> DeliveryCounts:
    """Land one delivery, unless it was closed before; the error says why it still waits."""
    relay, delivery = turn.relay, turn.delivery
    try:
        if isinstance(relay, bridge_yaml.Relay):
            receipt = land_delivery(instance, bridge, relay, turn, tenure, deadline)
        else:
            # The pull takes the lease itself.
            tenure.end()
            receipt = pull_for_signals(instance, bridge, relay, delivery, deadline)
    except BridgeError as error:
        return DeliveryCounts(error=ErrorReport.of(error))
    if receipt is None:
        return DeliveryCounts()
    on_end(receipt)
    if tenure.is_between_runs and receipt.has_ended_well:
        # What follows from its end has been done, the last of which is that its delivery was closed.
        return DeliveryCounts(delivered=1)
    if not instance.bucket.exists(delivery.path):
        is_dead = receipt.error is not None and receipt.outcome != "held"
        return DeliveryCounts(dead=1) if is_dead else DeliveryCounts(delivered=1)
    report = receipt.error or ErrorReport.of(_incomplete(relay, receipt))
    backoff.note(instance.bucket, _configuration(bridge, relay), report)
    return DeliveryCounts(error=report)


def _incomplete(relay: bridge_yaml.AnyRelay, receipt: Receipt) -> BridgeError:
    """Return why a delivery is still in the inbox after a run without an error."""
    if receipt.outcome == "importing":
        return PigmentBusy(f"Pigment is still importing {receipt.import_id}, run {receipt.run}.")
    if isinstance(relay, bridge_yaml.Relay):
        # The lease has the journal of this end: the next call closes the delivery, and does not land it again.
        return StorageBusy(f"The rows of run {receipt.run} have landed, but Cloud Storage did not close its delivery.")
    return OutOfTime(f"The time budget ended before {receipt.job} landed all its windows; the next call continues.")
