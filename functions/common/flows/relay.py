"""A relay: a delivery from the inbox into a Pigment import.

take the lease → settle what an earlier run left → read the delivery into a staged file, checked → guards
→ push → follow the import → read the block back, if the relay says so → receipt → cursor
→ close the delivery → release the lease
"""

import msgspec

from common import bridge_yaml
from common.flows.leased import Tenure, open_pigment, run_in
from common.flows.turns import Turn
from common.looker import webhook
from common.looker.client import CAPS
from common.looker.webhook.stored import open_delivery
from common.platform.clock import Deadline
from common.platform.errors import StorageRefused
from common.runs import approval, cursors, guards, known
from common.runs.cursors import KnownCursors, LastLanding
from common.runs.ends import End, NothingNew
from common.runs.instance import Instance
from common.runs.landing import discarding_unsent, journal_of
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


def land_delivery(
    instance: Instance,
    bridge: bridge_yaml.Bridge,
    relay: bridge_yaml.Relay,
    turn: Turn,
    tenure: Tenure,
    deadline: Deadline,
) -> Receipt | None:
    """Land a delivery and return the receipt of the run; that of an earlier run if it is held.

    Returns None if the delivery had already been closed, or is now replaced. Raises ConfigurationOccupied.
    """
    delivery = turn.delivery
    run = Run(instance, relay.name, relay.kind, deadline=deadline, due_at=claims.arrival_of(delivery.name))
    run.note_target(relay)
    run.note_call(delivery.name)
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
        # What has become of earlier deliveries is in the bucket by their names.
        landed = msgspec.structs.replace(landed, delimiter=relay.target.delimiter, answered={})
        if staged.checked.rows == 0:
            # It is the newest all the same: with `latest`, the cursor says that no older one may land after it.
            return NothingNew(_passed(previous, landed) if relay.keep == "latest" else None)
        with discarding_unsent(run, lease, staged):
            left, landed = known.expect_known(run, pigment, relay, staged, landed)
            known.expect_enough_left(relay, staged, left, previous)
            staged = left
        approval.expect_small_change(run, relay, previous, staged, landed, delivery.name)
        with discarding_unsent(run, lease, staged):
            return land_and_verify(run, bridge, relay, lease, pigment, staged, landed)

    journal = journal_of(run, relay, delivery.name)
    with pigment:
        return run_in(tenure, run, bridge, journal, pigment, work, delivery)


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


def _passed(previous: LastLanding | None, empty: LastLanding) -> LastLanding:
    """Return the cursor after a delivery without rows: later ones are compared with the rows that landed before it."""
    if previous is None:
        return empty
    rows_of = previous.run_with_rows
    return msgspec.structs.replace(previous, run=empty.run, previous=previous.run, earlier=rows_of, tick=empty.tick)


def _stage(run: Run, relay: bridge_yaml.Relay, delivery: WaitingDelivery, previous: LastLanding | None) -> Staged:
    bucket = run.instance.bucket
    rows_of = open_delivery(bucket, delivery, webhook.Accepted.by(relay))
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
