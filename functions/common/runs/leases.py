"""One flight per import configuration, and its journal: `leases/<configuration>.json`.

The lease and the journal are one object on purpose. Whoever writes the next step must still hold the lease, because
both are the same generation precondition: a run that was silent too long cannot push after another took its place.

A lease lapses by itself a short while after its run stopped renewing it. What it says then is what its run was doing:

    reading     nothing was sent; the next run starts afresh
    pushing     the file may have been accepted, nobody noted an import id
    importing   accepted; the import's status tells the rest
    unknown     a person has to say what became of it (`bridge settle`)
    publishing  of an export: the object may have been published, and says itself by which run
"""

import contextvars
import threading
from datetime import datetime, timedelta
from typing import Literal, Self

import msgspec

from common.platform.clock import Clock, stamp
from common.platform.errors import BridgeError, ConfigurationOccupied, LeaseLost
from common.platform.log import log
from common.runs.cursors import LastLanding
from common.runs.receipts import Receipt
from common.storage import inbox
from common.storage.store import Stale, Store

LIFETIME_S = 90
RENEWAL_S = 30

JournalStep = Literal["reading", "pushing", "importing", "unknown", "publishing"]


class Journal(msgspec.Struct, frozen=True):
    """What is under way for a configuration, or for an export."""

    step: JournalStep
    receipt: Receipt
    "As it stands: a later run completes it if this one cannot."
    repeatable: bool
    "Whether sending the same file again does no harm."
    max_skipped: int
    expires_at: str
    delivery: str | None = None
    "The webhook delivery that is landed, by its name in the inbox."
    landed: LastLanding | None = None
    "What to note as the job's last landing once the import has ended well."


class Lease:
    """The hold of one run on a configuration, kept alive by a thread of its own until it is let go."""

    def __init__(self, store: Store, configuration: str, clock: Clock, flight: Journal, generation: int) -> None:
        self._store = store
        self._path = path_of(configuration)
        self._clock = clock
        self._generation = generation
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._lost = False
        self.flight = flight

    def __enter__(self) -> Self:
        # Within the run's context, so that a warning bears its run and trace.
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._keep_alive,), name="lease", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def note(self, flight: Journal) -> None:
        """Write the next step of the journal.

        Raises:
            LeaseLost: another run holds the configuration by now.
        """
        self._write(flight, LIFETIME_S)

    def leave_open(self, flight: Journal) -> None:
        """Let go of a flight that has not ended: the next run may take it up at once."""
        self._ended.set()
        self._write(flight, 0)

    def free(self) -> None:
        """The flight has ended and is on record; the configuration is free."""
        self._ended.set()
        with self._lock:
            self._store.delete(self._path, generation=self._generation)

    def _write(self, flight: Journal, lifetime_s: float) -> None:
        with self._lock:
            if self._lost:
                raise LeaseLost(f"The hold of run {flight.receipt.run} on its configuration had lapsed.")
            flight = msgspec.structs.replace(flight, expires_at=_in(self._clock, lifetime_s))
            try:
                self._generation = self._store.write_json(self._path, flight, over=self._generation)
            except Stale:
                self._lost = True
                raise LeaseLost(f"Another run took the configuration of run {flight.receipt.run}.") from None
            self.flight = flight

    def _keep_alive(self) -> None:
        # Real time on purpose: it guards against a process that is really gone.
        while not self._ended.wait(RENEWAL_S):
            try:
                with self._lock:
                    if self._ended.is_set() or self._lost:
                        return
                    renewed = msgspec.structs.replace(self.flight, expires_at=_in(self._clock, LIFETIME_S))
                    self._generation = self._store.write_json(self._path, renewed, over=self._generation)
                    self.flight = renewed
            except Stale:
                self._lost = True
            except BridgeError as error:
                log.warning("lease not renewed", code=error.code, cause=error.cause)


def take(store: Store, configuration: str, clock: Clock, flight: Journal) -> Lease:
    """Hold a configuration. If a flight was left open there, the lease still carries that one, to be settled first.

    Raises:
        ConfigurationOccupied: a run that is alive holds it.
    """
    flight = msgspec.structs.replace(flight, expires_at=_in(clock, LIFETIME_S))
    there = store.read_json(path_of(configuration), Journal)
    if there is not None:
        expect_lapsed(there.value, clock)
        # Still the old flight, under a new hold: if this run dies while settling it, the next one finds it again.
        flight = msgspec.structs.replace(there.value, expires_at=flight.expires_at)
    try:
        generation = store.write_json(path_of(configuration), flight, over=there.generation if there else 0)
    except Stale:
        raise ConfigurationOccupied(f"Another run took {path_of(configuration)} at the same moment.") from None
    return Lease(store, configuration, clock, flight, generation)


def forget(store: Store, configuration: str, clock: Clock) -> None:
    """Take away what a run left that was killed when all but this was done: its delivery is no longer in the inbox."""
    there = store.read_json(path_of(configuration), Journal)
    if there is None or not _has_lapsed(there.value, clock):
        return
    job, delivery = there.value.receipt.job, there.value.delivery
    if delivery and inbox.closed(store, job, delivery):
        store.delete(path_of(configuration), generation=there.generation)


def path_of(configuration: str) -> str:
    return f"leases/{configuration}.json"


def expect_lapsed(flight: Journal, clock: Clock) -> None:
    """
    Raises:
        ConfigurationOccupied: the flight's run is alive, as far as anyone can tell.
    """
    if not _has_lapsed(flight, clock):
        raise ConfigurationOccupied(
            f"Run {flight.receipt.run} of {flight.receipt.job} is under way; "
            f"unless it renews its hold, that lapses at {flight.expires_at}."
        )


def _has_lapsed(flight: Journal, clock: Clock) -> bool:
    return datetime.fromisoformat(flight.expires_at) <= clock.now()


def _in(clock: Clock, seconds: float) -> str:
    return stamp(clock.now() + timedelta(seconds=seconds))
