"""Delivering: webhook deliveries from the inbox into Pigment, the oldest of a configuration first, one at a time.

    take the lease → settle what an earlier run left → read the oldest delivery into a staged file, checked
    → guards → push → follow the import → read the block back, if the relay says so → receipt → cursor
    → close the delivery → release the lease

The inbox decides what is to be landed. The message that starts this flow is only a hint, and an extra call is harmless.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

import msgspec

from common import bridge_yaml
from common.flows.leased import Tenure, open_pigment, run_in
from common.flows.pull import is_answered, pull
from common.looker import webhook
from common.looker.client import CAPS
from common.platform.clock import Deadline
from common.platform.errors import (
    BridgeError,
    DeliveryNotUsable,
    ErrorReport,
    NoSuchJob,
    OutOfTime,
    PigmentBusy,
    StorageBusy,
    StorageRefused,
    as_bridge_error,
)
from common.platform.log import log
from common.runs import approval, backoff, cursors, guards, known, leases, settling
from common.runs.cursors import KnownCursors, LastLanding
from common.runs.ends import End, NothingNew
from common.runs.instance import Instance
from common.runs.landing import journal_of
from common.runs.leases import Lease
from common.runs.receipts import Receipt
from common.runs.run import Run
from common.runs.verification import land_and_verify
from common.storage import claims, inbox, paths
from common.storage.bucket import Bucket
from common.storage.claims import REPLACED
from common.storage.inbox import WaitingDelivery
from common.tables import staging
from common.tables.check import Contract
from common.tables.staging import Staged

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


class DeliveredRows(msgspec.Struct, frozen=True):
    """The rows of a delivery as CSV, with the warnings about them."""

    blocks: Iterator[bytes]
    warnings: list[str]
    "Complete once the rows have been read."
    row_limit: int | None
    "The limit of Looker's query, at which the rows are cut."
    width: int | None
    "The number of columns of Looker's query, if that is certain."
    is_empty: bool = False
    "Whether there is not even a header."


class _Closed:
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
            return not self._bucket.exists(delivery.path) or _delete_closed_copy(self._bucket, delivery)
        if delivery.relay not in self._names:
            of_relay = [each for each in self._listed.values() if each.relay == delivery.relay]
            self._names[delivery.relay] = inbox.closed_among(self._bucket, of_relay)
        names = self._names[delivery.relay]
        if names is None:
            return _delete_closed_copy(self._bucket, delivery)
        if delivery.name in names:
            self._bucket.delete(delivery.path)
        return delivery.name in names


class _Turn(NamedTuple):
    """A relay and the delivery of which it is the turn."""

    relay: bridge_yaml.AnyRelay
    delivery: WaitingDelivery
    closed: _Closed


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
        for number, turn in enumerate(_turns(tenure, bucket, relays)):
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


def _turns(tenure: Tenure, bucket: Bucket, relays: Sequence[bridge_yaml.AnyRelay]) -> Iterator[_Turn]:
    """Yield whose turn it is, as long as deliveries wait: the relay with the oldest delivery is the next.

    A listing serves as many landings as it has names, if the call had the lease when it was made.
    """
    by_name = {relay.name: relay for relay in relays}
    while listed := inbox.next_of(bucket, by_name):
        closed = _Closed(bucket, tenure.lease, listed)
        for oldest in listed:
            relay = by_name[oldest.relay]
            if isinstance(relay, bridge_yaml.Relay) and relay.keep == "every":
                yield _Turn(relay, oldest, closed)
                if closed.lease is None:
                    break
                continue
            # This turn is for all deliveries of the relay: what is left of them is listed again.
            yield _Turn(relay, _newest(bucket, relay) or oldest, closed)
            break


def _newest(bucket: Bucket, relay: bridge_yaml.AnyRelay) -> WaitingDelivery | None:
    return inbox.newest(bucket, relay.name) if isinstance(relay, bridge_yaml.Relay) else None


def _incomplete(relay: bridge_yaml.AnyRelay, receipt: Receipt) -> BridgeError:
    """Return why a delivery is still in the inbox after a run without an error."""
    if receipt.outcome == "importing":
        return PigmentBusy(f"Pigment is still importing {receipt.import_id}, run {receipt.run}.")
    if isinstance(relay, bridge_yaml.Relay):
        # The lease has the journal of this end: the next call closes the delivery, and does not land it again.
        return StorageBusy(f"The rows of run {receipt.run} have landed, but Cloud Storage did not close its delivery.")
    return OutOfTime(f"The time budget ended before {receipt.job} landed all its windows; the next call continues.")


def _deliver_one(
    instance: Instance,
    bridge: bridge_yaml.Bridge,
    turn: _Turn,
    tenure: Tenure,
    deadline: Deadline,
    on_end: Callable[[Receipt], object],
) -> DeliveryCounts:
    """Land one delivery, unless it was closed before; the error says why it still waits."""
    relay, delivery = turn.relay, turn.delivery
    try:
        if isinstance(relay, bridge_yaml.Relay):
            receipt = _land(instance, bridge, relay, turn, tenure, deadline)
        else:
            # The pull takes the lease itself.
            tenure.end()
            receipt = _start_pull(instance, bridge, relay, delivery, deadline)
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


def _start_pull(
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
    if _delete_closed_copy(bucket, oldest):
        return None
    # In this order: a signal that comes between the two is not closed by this pull, and counts for those during it.
    signals = list(inbox.waiting(bucket, relay.name))
    claims.forget_signals(bucket, relay.name)
    # After a kill while the signals are closed, the newest is still there: the next pull is the same call.
    call_id = f"delivery {signals[-1].name}" if signals else None
    job = bridge.pulls[relay.start]
    arrived_at = claims.arrival_of(signals[-1].name) if signals else None
    receipt = pull(instance, bridge, job, call_id=call_id, deadline=deadline, due_at=arrived_at)
    place = _place_of_signals(receipt, has_landed=is_answered(job, cursors.read(bucket, job.name), call_id))
    for signal in signals if place else ():
        inbox.close(bucket, relay.name, signal.name, place, settling.metadata_of(receipt))
    return receipt


def _place_of_signals(receipt: Receipt, *, has_landed: bool) -> Literal["delivered", "dead", ""]:
    """Return the folder for the signals of a pull; empty if they wait for the next one."""
    if receipt.has_ended_well:
        return "delivered" if receipt.progress is msgspec.UNSET or receipt.progress.done else ""
    if receipt.outcome == "held":
        # The pull has begun, as the signals asked for; now it waits for a person.
        return "delivered"
    # Its rows are in an append: the same call does not send them again, and gets this receipt whenever it is made.
    return "dead" if has_landed else ""


def _land(
    instance: Instance,
    bridge: bridge_yaml.Bridge,
    relay: bridge_yaml.Relay,
    turn: _Turn,
    tenure: Tenure,
    deadline: Deadline,
) -> Receipt | None:
    """Return None if the delivery had already been closed, or is now replaced; the receipt of an earlier run if it is
    held. Raises ConfigurationOccupied.
    """
    delivery = turn.delivery
    run = Run(instance, relay.name, relay.kind, deadline=deadline, due_at=claims.arrival_of(delivery.name))
    run.note_target(relay)
    # Each file is pushed over a connection of its own. One that was used before can be closed by Pigment at that
    # moment, and would leave open whether the file was accepted.
    pigment = open_pigment(run, bridge)

    def work(lease: Lease, known_cursors: KnownCursors, _: Receipt | None) -> End | Receipt | None:
        if turn.closed.has(lease, delivery):
            return None
        if held := approval.undecided(run, relay, delivery.name):
            return held
        previous = known_cursors.read(relay.name)
        guards.expect_kept_rows(previous, relay.target.configuration, relay.max_deleted)
        if relay.keep == "latest" and _is_replaced(instance.bucket, relay, delivery, previous, deadline):
            return None
        try:
            staged = _stage(run, relay, delivery, previous)
        except StorageRefused:
            if instance.bucket.exists(delivery.path):
                raise
            # A person has deleted it since it was listed.
            return None
        landed = cursors.of(staged, run.id, previous, tick=delivery.name)
        if staged.checked.rows == 0:
            # It is the newest all the same: with `latest`, the cursor says that no older one may land after it.
            return NothingNew(landed if relay.keep == "latest" else None)
        with _discarding_unsent(run, lease, staged):
            staged, landed = known.expect_known(run, pigment, relay, staged, landed)
        approval.expect_small_change(run, relay, previous, staged, landed, delivery.name)
        with _discarding_unsent(run, lease, staged):
            return land_and_verify(run, bridge, relay, lease, pigment, staged, landed)

    journal = journal_of(run, relay, delivery.name)
    with pigment:
        return run_in(tenure, run, bridge, journal, pigment, work, delivery)


@contextlib.contextmanager
def _discarding_unsent(run: Run, lease: Lease, staged: Staged) -> Iterator[None]:
    """Delete a file of which Pigment accepted nothing: the next attempt stages the delivery again."""
    try:
        yield
    except BridgeError as error:
        if lease.journal.step == "reading" and not error.concerns_content:
            with contextlib.suppress(BridgeError):
                run.instance.bucket.delete(staged.path)
        raise


def _delete_closed_copy(bucket: Bucket, delivery: WaitingDelivery) -> bool:
    """Delete a delivery from the inbox if it has been closed before, and return whether it has."""
    if not inbox.is_closed(bucket, delivery.relay, delivery.name):
        return False
    bucket.delete(delivery.path)
    return True


def _is_replaced(
    bucket: Bucket,
    relay: bridge_yaml.Relay,
    newest: WaitingDelivery,
    previous: LastLanding | None,
    deadline: Deadline,
) -> bool:
    """Whether a later delivery than the newest that waits has landed; then the waiting ones are closed as replaced.

    They are closed only now, so that an older one still lands if the newest is refused. After a kill between the
    landing and this, the cursor still says which delivery landed.
    """
    landed = cursors.newest_delivery(previous)
    if landed is None or newest.name >= landed:
        return False
    for each in inbox.next_of(bucket, [relay.name]):
        if each.name < landed and deadline.allows(0):
            inbox.close(bucket, relay.name, each.name, "delivered", {"outcome": REPLACED, "by": landed})
    return True


def _stage(run: Run, relay: bridge_yaml.Relay, delivery: WaitingDelivery, previous: LastLanding | None) -> Staged:
    bucket = run.instance.bucket
    rows_of = _open(bucket, delivery, webhook.Accepted.by(relay))
    accepts, columns = relay.guards.accept_error_text, relay.target.columns or None
    contract = Contract(columns, relay.target.delimiter, width=rows_of.width, accepts_error_text=accepts)
    path = paths.staged(relay.name, run.id)
    if rows_of.is_empty:
        staged = staging.nothing(path)
    else:
        staged = staging.stage(bucket, path, rows_of.blocks, contract, run.instance.progress)
    run.note_read(staged, rows_of.warnings)
    rows = staged.checked.rows
    guards.expect_rows(rows, relay.guards.min_rows)
    if not relay.guards.accept_cap:
        guards.expect_no_cap_of_delivery(rows, CAPS, rows_of.row_limit)
    guards.expect_no_shrinking(rows, previous.rows if previous else None, relay.guards.max_shrink)
    return staged


def _open(bucket: Bucket, delivery: WaitingDelivery, accepted: webhook.Accepted) -> DeliveredRows:
    """Open a stored delivery. Raises DeliveryNotUsable or another error that concerns the content if it has no rows."""
    with _reading():
        warnings = [delivery.metadata[inbox.WARNINGS]] if inbox.WARNINGS in delivery.metadata else []
        if delivery.content_type == "text/csv":
            limit, width = (_number(delivery.metadata.get(name)) for name in (inbox.ROW_LIMIT, inbox.WIDTH))
            blocks = bucket.blocks(delivery.path)
            return DeliveredRows(_read(webhook.watched(blocks, warnings)), warnings, limit, width)
        posted = webhook.read(bucket.read(delivery.path), accepted)
        warnings = [*posted.warnings, *warnings]
        blocks = _read(posted.csv_blocks())
        return DeliveredRows(blocks, warnings, posted.row_limit, posted.width, posted.is_empty)


def _number(digits: str | None) -> int | None:
    return int(digits) if digits else None


def _read(blocks: Iterator[bytes]) -> Iterator[bytes]:
    with _reading():
        yield from blocks


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Convert what reading stored bytes raises: unless storage is at fault, every later attempt would fail as well."""
    try:
        yield
    except (StorageBusy, StorageRefused):
        raise
    except Exception as error:
        failure = as_bridge_error(error)
        if failure.concerns_content:
            raise
        cause = f"The stored delivery cannot be read. {failure.cause}"
        raise DeliveryNotUsable(cause, next_step=failure.next_step) from error
