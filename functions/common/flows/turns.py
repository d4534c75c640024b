"""The turns of deliveries: those of one configuration land one after the other, the oldest first."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from common import bridge_yaml
from common.flows.leased import Tenure
from common.runs.leases import Lease
from common.storage import inbox
from common.storage.bucket import Bucket
from common.storage.inbox import WaitingDelivery


class ClosedCopies:
    """Which of some listed deliveries have been closed before, although they are in the inbox.

    There is such a copy after a kill, or if a receiver got no answer and wrote the delivery again. Only the run with
    the lease can tell, because no other one closes a delivery then. Those that this call lists while it has the lease
    are therefore looked up together, and are still there when their turn comes.
    """

    def __init__(self, bucket: Bucket, lease: Lease | None, listed: Sequence[WaitingDelivery]) -> None:
        self._bucket = bucket
        self.lease = lease
        "The one that this call had when it made the listing, if it had one."
        self._listed = {each.path: each for each in listed}
        self._names: dict[str, set[str] | None] = {}

    def has(self, lease: Lease, delivery: WaitingDelivery) -> bool:
        """Whether a delivery has left the inbox, or has been closed; what is left of a closed one is deleted.

        Args:
            lease: of the run whose turn it is.
        """
        if lease is not self.lease or delivery.path not in self._listed:
            return not self._bucket.exists(delivery.path) or delete_closed_copy(self._bucket, delivery)
        if delivery.relay not in self._names:
            of_relay = [each for each in self._listed.values() if each.relay == delivery.relay]
            self._names[delivery.relay] = inbox.closed_among(self._bucket, of_relay)
        names = self._names[delivery.relay]
        if names is None:
            return delete_closed_copy(self._bucket, delivery)
        if delivery.name in names:
            self._bucket.delete(delivery.path)
        return delivery.name in names


class Turn(NamedTuple):
    """A relay and the delivery of which it is the turn."""

    relay: bridge_yaml.AnyRelay
    delivery: WaitingDelivery
    closed: ClosedCopies


def turns_of(tenure: Tenure, bucket: Bucket, relays: Sequence[bridge_yaml.AnyRelay]) -> Iterator[Turn]:
    """Yield whose turn it is, as long as deliveries wait: the relay with the oldest delivery is the next.

    A listing serves as many landings as it has names, if the call had the lease when it was made.
    """
    by_name = {relay.name: relay for relay in relays}
    while listed := inbox.next_of(bucket, by_name):
        closed = ClosedCopies(bucket, tenure.lease, listed)
        for oldest in listed:
            relay = by_name[oldest.relay]
            if isinstance(relay, bridge_yaml.Relay) and relay.keep == "every":
                yield Turn(relay, oldest, closed)
                if closed.lease is None:
                    break
                continue
            # This turn is for all deliveries of the relay: what is left of them is listed again.
            yield Turn(relay, _newest(bucket, relay) or oldest, closed)
            break


def _newest(bucket: Bucket, relay: bridge_yaml.AnyRelay) -> WaitingDelivery | None:
    return inbox.newest(bucket, relay.name) if isinstance(relay, bridge_yaml.Relay) else None


def delete_closed_copy(bucket: Bucket, delivery: WaitingDelivery) -> bool:
    """Delete a delivery from the inbox if it has been closed before, and return whether it has."""
    if not inbox.is_closed(bucket, delivery.relay, delivery.name):
        return False
    bucket.delete(delivery.path)
    return True
