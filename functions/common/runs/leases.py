"""The lease on an import configuration, which allows one run at a time, and its journal: `leases/<configuration>.json`.

The lease and the journal are the same object on purpose. A run can write the next step only while it has the lease,
because both depend on the same generation precondition: a run that lost its lease cannot begin to push.

A lease expires shortly after its run stopped renewing it. The journal then says what the run was doing:

    reading     nothing was sent; the next run starts from the beginning
    pushing     Pigment may have accepted the file; there is no import id
    importing   Pigment accepted the file; the import's status says how it ended
    unknown     a person has to decide whether the file has landed (`bridge settle`)
    publishing  an export's object may have been published; its metadata names the run that did so
"""

import contextvars
import threading
from datetime import datetime, timedelta
from typing import Literal, Self

import msgspec

from common.platform.clock import Clock, stamp
from common.platform.errors import BridgeError, Busy, ConfigurationOccupied, LeaseLost
from common.platform.log import log
from common.runs.cursors import LastLanding
from common.runs.receipts import Receipt
from common.storage import inbox, paths
from common.storage.bucket import Bucket, Stale

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
    expires_at: str = ""
    delivery: str | None = None
    "The name in the inbox of the webhook delivery that is being landed."
    landed: LastLanding | None = None
    "The job's last landing, to be stored once the import has ended well."


class Lease:
    """The lease of one run on a configuration. A thread renews it until it is released."""

    def __init__(self, bucket: Bucket, configuration: str, clock: Clock, journal: Journal, generation: int) -> None:
        self._bucket = bucket
        self._path = paths.lease(configuration)
        self._clock = clock
        self._journal = journal
        self._generation = generation
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._is_lost = False

    @property
    def journal(self) -> Journal:
        """The journal as it stands; after `take` this may be the one that an earlier run left."""
        return self._journal

    def __enter__(self) -> Self:
        # With the run's log context, so that a warning of the thread carries its run and trace.
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._renew_until_ended,), name="lease", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def note(self, journal: Journal) -> None:
        """Write the next step. Raises LeaseLost if another run has the lease, StorageBusy or StorageRefused."""
        with self._lock:
            self._write(journal, LIFETIME_S)

    def note_or_remember(self, journal: Journal) -> None:
        """Write a step that has already happened, as `note` does; if storage is busy, the next renewal writes it."""
        with self._lock:
            try:
                self._write(journal, LIFETIME_S)
            except Busy as busy:
                # This run continues. The step is lost only if the process is killed before the next renewal.
                self._journal = journal
                log.warning("import id not recorded", cause=busy.cause)

    def leave_open(self, journal: Journal) -> None:
        """Give up the lease of a run that has not ended: the next run may take it immediately, and settles this one."""
        self._ended.set()
        with self._lock:
            self._write(journal, 0)

    def free(self) -> None:
        """Delete the lease of a run that has ended."""
        self._ended.set()
        with self._lock:
            self._bucket.delete(self._path, generation=self._generation)

    def _write(self, journal: Journal, lifetime_s: float) -> None:
        if self._is_lost:
            raise LeaseLost(f"The lease of run {journal.receipt.run} had expired.")
        journal = msgspec.structs.replace(journal, expires_at=_after(self._clock, lifetime_s))
        try:
            self._generation = self._bucket.write_json(self._path, journal, over=self._generation)
        except Stale:
            self._is_lost = True
            raise LeaseLost(f"Another run took the lease of run {journal.receipt.run}.") from None
        self._journal = journal

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
                    log.warning("lease not renewed", code=error.code, cause=error.cause)


def take(bucket: Bucket, configuration: str, clock: Clock, journal: Journal) -> Lease:
    """Take the lease on a configuration. Raises ConfigurationOccupied if another run has it.

    If an earlier run left its journal there, the lease still has that one: it has to be settled first.
    """
    stored = bucket.read_json(paths.lease(configuration), Journal)
    if stored is not None:
        expect_expired(stored.value, clock)
        # If this run dies while it settles the earlier journal, the next run finds that journal again.
        journal = stored.value
    journal = msgspec.structs.replace(journal, expires_at=_after(clock, LIFETIME_S))
    try:
        generation = bucket.write_json(paths.lease(configuration), journal, over=stored.generation if stored else 0)
    except Stale:
        raise ConfigurationOccupied(f"Another run took {paths.lease(configuration)} at the same moment.") from None
    return Lease(bucket, configuration, clock, journal, generation)


def forget(bucket: Bucket, configuration: str, clock: Clock) -> None:
    """Delete the lease of a run that was killed after its last step, when its delivery had left the inbox."""
    stored = bucket.read_json(paths.lease(configuration), Journal)
    if stored is None or not _has_expired(stored.value, clock):
        return
    job, delivery = stored.value.receipt.job, stored.value.delivery
    if delivery and inbox.is_closed(bucket, job, delivery):
        bucket.delete(paths.lease(configuration), generation=stored.generation)


def expect_expired(journal: Journal, clock: Clock) -> None:
    """Raise ConfigurationOccupied if the run of this journal still has the lease."""
    if not _has_expired(journal, clock):
        expiry = f"Its lease expires at {journal.expires_at} unless the run renews it."
        raise ConfigurationOccupied(f"Run {journal.receipt.run} of {journal.receipt.job} is in progress. {expiry}")


def _has_expired(journal: Journal, clock: Clock) -> bool:
    return datetime.fromisoformat(journal.expires_at) <= clock.now()


def _after(clock: Clock, seconds: float) -> str:
    return stamp(clock.now() + timedelta(seconds=seconds))
