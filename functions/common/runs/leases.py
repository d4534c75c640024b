"""The lease on an import configuration, which allows one run at a time, and its journal: `leases/<configuration>.json`.

The lease and the journal are the same object on purpose. A run can write the next step only while it has the lease,
because both depend on the same generation precondition: a run that lost its lease cannot begin to push.

A lease expires if its run has not renewed it for `LIFETIME_S`. Cloud Storage's clock alone decides that: the age of the
object when it is read. The clocks of two instances can differ by minutes, and a stopped process does not notice the
time. The journal then says what the run was doing:

    reading     nothing was sent; the next run starts from the beginning
    pushing     Pigment may have accepted the file; there is no import id
    importing   Pigment accepted the file; the import's status says how it ended
    unknown     a person has to decide whether the file has landed (`bridge settle`)
    publishing  an export's object may have been published; its metadata names the run that did so
"""

import contextvars
import threading
from collections.abc import Iterator
from typing import Literal, Self

import msgspec

from common.platform.clock import Clock
from common.platform.errors import BridgeError, Busy, ConfigurationOccupied, LeaseLost
from common.platform.log import log
from common.runs.cursors import LastLanding
from common.runs.receipts import Receipt
from common.storage import inbox, paths
from common.storage.bucket import Bucket
from common.storage.objects import Dated, Stale

LIFETIME_S = 90
RENEWAL_S = 30

JournalStep = Literal["reading", "pushing", "importing", "unknown", "publishing"]


class Journal(msgspec.Struct, frozen=True):
    """The state of the run that has, or had, the lease."""

    step: JournalStep
    receipt: Receipt
    "The receipt so far: a later run completes it if this run cannot."
    repeatable: bool
    max_skipped: int
    max_deleted: int | None = None
    "None: any number."
    samples: int = 0
    "How many skipped rows of each reason the receipt shows."
    delivery: str | None = None
    "The name in the inbox of the webhook delivery that is being landed."
    landed: LastLanding | None = None
    "The job's last landing, to be stored once the import has ended well."
    holder: str = ""
    "The run that has the lease; while it settles an earlier run, the receipt is still that run's."
    lifetime_s: float = LIFETIME_S
    "How long the lease lasts after this was written. The run renews it before."


class Lease:
    """The lease of one run on a configuration. A thread renews it until it is released."""

    def __init__(self, bucket: Bucket, configuration: str, clock: Clock, journal: Journal, generation: int) -> None:
        self._bucket = bucket
        self._path = paths.lease(configuration)
        self._clock = clock
        self._journal = journal
        self._generation = generation
        self._holders = {journal.holder}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._is_lost = False

    @property
    def journal(self) -> Journal:
        """The journal as it stands; after `take` this may be the one that an earlier run left."""
        return self._journal

    def __enter__(self) -> Self:
        # With the run's log context, so that a warning of the thread carries its trace.
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._renew_until_ended,), name="lease", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def note(self, journal: Journal) -> None:
        """Write the next step before it is taken. Raises LeaseLost if another run has the lease, StorageBusy or
        StorageRefused.

        The lease lasts at least half of `LIFETIME_S` from the return: a process that was stopped while it waited for
        the answer writes again.
        """
        with self._lock:
            while True:
                began_s = self._clock.monotonic_s()
                self._write(journal, LIFETIME_S)
                if self._clock.monotonic_s() - began_s < LIFETIME_S / 2:
                    return

    def note_fact(self, journal: Journal) -> None:
        """Write what has already happened. If storage is busy, the next renewal writes it. Raises LeaseLost if another
        run has the lease, StorageRefused.
        """
        with self._lock:
            self._journal = journal
            try:
                self._write(journal, LIFETIME_S)
            except Busy as busy:
                # This run continues. The fact is lost only if the process is killed before the next renewal.
                log.warning("step not recorded", step=journal.step, cause=busy.cause)

    def pass_on(self, journal: Journal) -> None:
        """Let the next run of this process have the lease, once the one that has it has ended completely. Raises
        LeaseLost if another run has taken it, StorageBusy or StorageRefused.
        """
        with self._lock:
            # Either may be found after a write whose answer was lost.
            self._holders = {self._journal.holder, journal.receipt.run}
            self._write(journal, LIFETIME_S, journal.receipt.run)

    def leave_open(self, journal: Journal) -> None:
        """Give up the lease of a run that has not ended: the next run may take it immediately, and settles this one."""
        self._ended.set()
        with self._lock:
            self._write(journal, 0)

    def free(self) -> None:
        """Delete the lease of a run that has ended."""
        self._ended.set()
        with self._lock:
            while not self._bucket.delete(self._path, generation=self._generation):
                self._find_own_write()

    def _write(self, journal: Journal, lifetime_s: float, holder: str = "") -> None:
        if self._is_lost:
            raise LeaseLost(f"The lease of run {self._journal.holder} had expired.")
        holder = holder or self._journal.holder
        journal = msgspec.structs.replace(journal, holder=holder, lifetime_s=lifetime_s)
        while True:
            try:
                self._generation = self._bucket.write_json(self._path, journal, over=self._generation)
            except Stale:
                self._find_own_write()
            else:
                self._journal = journal
                return

    def _find_own_write(self) -> None:
        """Continue from an earlier write of this run whose answer was lost. Raises LeaseLost if it is another run's."""
        there = self._bucket.read_json(self._path, Journal)
        if there is None or there.value.holder not in self._holders:
            self._is_lost = True
            raise LeaseLost(f"Another run took the lease of run {self._journal.holder}.")
        self._generation = there.generation

    def _renew_until_ended(self) -> None:
        # In real time, not the run's clock: the lease must expire when the process no longer exists.
        while not self._ended.wait(RENEWAL_S):
            with self._lock:
                if self._ended.is_set() or self._is_lost:
                    return
                try:
                    self._write(self._journal, LIFETIME_S)
                except LeaseLost:
                    return
                except BridgeError as error:
                    run, job = self._journal.holder, self._journal.receipt.job
                    log.warning("lease not renewed", run=run, job=job, code=error.code, cause=error.cause)


def take(bucket: Bucket, configuration: str, clock: Clock, journal: Journal) -> Lease:
    """Take the lease on a configuration. Raises ConfigurationOccupied if another run has it.

    If an earlier run left its journal there, the lease still has that one: it has to be settled first.
    """
    path, holder = paths.lease(configuration), journal.receipt.run
    journal = msgspec.structs.replace(journal, holder=holder, lifetime_s=LIFETIME_S)
    try:
        # Usually there is no lease, and looking for one first would be a request in vain.
        return Lease(bucket, configuration, clock, journal, bucket.write_json(path, journal, over=0))
    except Stale:
        stored = bucket.read_dated(path, Journal)
    if stored is not None:
        expect_expired(stored)
        # If this run dies while it settles the earlier journal, the next run finds that journal again.
        journal = msgspec.structs.replace(stored.value, holder=holder, lifetime_s=LIFETIME_S)
    try:
        generation = bucket.write_json(path, journal, over=stored.generation if stored else 0)
    except Stale:
        raise ConfigurationOccupied(f"Another run took {path} at the same moment.") from None
    return Lease(bucket, configuration, clock, journal, generation)


def every(bucket: Bucket) -> Iterator[tuple[str, Dated[Journal]]]:
    """Yield the path and the journal of each lease that is there, expired or not."""
    for path in bucket.names(paths.LEASES):
        stored = bucket.read_dated(path, Journal)
        if stored is not None:
            yield path, stored


def forget(bucket: Bucket, configuration: str) -> None:
    """Delete the lease of a run that was killed after its last step, when its delivery had left the inbox."""
    stored = bucket.read_dated(paths.lease(configuration), Journal)
    if stored is None or stored.left_s(stored.value.lifetime_s) > 0:
        return
    job, delivery = stored.value.receipt.job, stored.value.delivery
    if delivery and inbox.is_closed(bucket, job, delivery):
        bucket.delete(paths.lease(configuration), generation=stored.generation)


def expect_expired(stored: Dated[Journal]) -> None:
    """Raise ConfigurationOccupied if the run of this journal still has the lease."""
    left_s = stored.left_s(stored.value.lifetime_s)
    if left_s > 0:
        receipt = stored.value.receipt
        expiry = f"Its lease expires in {left_s:.0f} seconds unless the run renews it."
        raise ConfigurationOccupied(f"Run {receipt.run} of {receipt.job} is in progress. {expiry}")
