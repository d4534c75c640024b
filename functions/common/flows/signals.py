"""Signals: deliveries whose rows are not read. Each says that there is something new, and a pull reads everything."""

from typing import Literal

import msgspec

from common import bridge_yaml
from common.flows.pull import pull, run_that_answered
from common.flows.turns import delete_closed_copy
from common.platform.clock import Deadline
from common.platform.errors import DeliveryNotUsable, code_of
from common.runs import cursors, settling
from common.runs.instance import Instance
from common.runs.receipts import Receipt
from common.storage import claims, inbox
from common.storage.bucket import Bucket
from common.storage.inbox import WaitingDelivery


def pull_for_signals(
    instance: Instance,
    bridge: bridge_yaml.Bridge,
    relay: bridge_yaml.Signal,
    oldest: WaitingDelivery,
    deadline: Deadline,
) -> Receipt | None:
    """Pull once for all waiting signals: all of them arrived before the pull, which reads everything.

    Returns None if the oldest was closed before. Raises ConfigurationOccupied.
    """
    bucket = instance.bucket
    if delete_closed_copy(bucket, oldest):
        return None
    # In this order: a signal that comes between the two is not closed by this pull, and counts for those during it.
    signals = [each for each in inbox.waiting(bucket, relay.name) if _is_signal(bucket, relay, each)]
    if not signals and not claims.is_of_signal(oldest.metadata):
        return None
    claims.forget_signals(bucket, relay.name)
    # After a kill while the signals are closed, the newest is still there: the next pull is the same call.
    call_id = f"delivery {signals[-1].name}" if signals else None
    job = bridge.pulls[relay.start]
    arrived_at = claims.arrival_of(signals[-1].name) if signals else None
    receipt = pull(instance, bridge, job, call_id=call_id, deadline=deadline, due_at=arrived_at)
    answered = run_that_answered(job, cursors.read(bucket, job.name), call_id)
    place = _place_of_signals(receipt, has_landed=answered is not None)
    for signal in signals if place else ():
        inbox.close(bucket, relay.name, signal.name, place, settling.metadata_of(receipt))
    return receipt


def _is_signal(bucket: Bucket, relay: bridge_yaml.Signal, delivery: WaitingDelivery) -> bool:
    """Whether a delivery arrived as a signal. One that arrived before the relay was one has rows that nothing lands: it
    becomes dead, with the reason.
    """
    if claims.is_of_signal(delivery.metadata):
        return True
    reason = f"It has rows, and the relay {relay.name} no longer lands rows: it starts the pull {relay.start}."
    told = {"outcome": "failed", "code": code_of(DeliveryNotUsable), "reason": reason}
    inbox.close(bucket, relay.name, delivery.name, "dead", told, delivery)
    return False


def _place_of_signals(receipt: Receipt, *, has_landed: bool) -> Literal["delivered", "dead", ""]:
    """Return the folder for the signals of a pull; empty if they wait for the next one."""
    if receipt.has_ended_well:
        return "delivered" if receipt.progress is msgspec.UNSET or receipt.progress.done else ""
    if receipt.outcome == "held":
        # The pull has begun, as the signals asked for; now it waits for a person.
        return "delivered"
    # Its rows are in an append: the same call does not send them again, and gets this receipt whenever it is made.
    return "dead" if has_landed else ""
