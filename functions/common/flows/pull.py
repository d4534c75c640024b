"""A pull: Looker's rows into a Pigment import.

hold the configuration → settle what an earlier run left open → read the Look → stage while checking → guards
→ note the intent → push → note the import id → follow the import → receipt → cursor → free the configuration

What one flight takes depends on the job's `load` (`common.loads`): all rows, a window of them, or those that are
new or changed. A load of several windows is one flight after another, each with a receipt of its own.
"""

import msgspec

from common import bridge_yaml
from common.loads.changes import ChangesLoad
from common.loads.full import FullLoad
from common.loads.incremental import IncrementalLoad, RequestedRange
from common.loads.load import FOR_LANDING_S, Loader
from common.looker.client import LookerClient
from common.pigment.client import PigmentClient
from common.platform.clock import Deadline
from common.platform.errors import ConfigurationOccupied, MalformedRequest
from common.runs import cursors, landing, leases, receipts
from common.runs import run as runs
from common.runs.cursors import LastLanding
from common.runs.instance import Instance
from common.runs.leases import Journal
from common.runs.receipts import Receipt, Rows
from common.runs.run import Run

_FOR_CLOSING_S = 5.0
_SPARE = 1.5
"How much longer than the longest flight so far the next one may take."


def pull(
    here: Instance,
    bridge: bridge_yaml.Bridge,
    job: bridge_yaml.Pull,
    *,
    preview: bool = False,
    tick: str | None = None,
    stretch: RequestedRange | None = None,
    deadline: Deadline | None = None,
) -> Receipt:
    """Run a pull once, and file a receipt whatever comes of it.

    Args:
        tick: what the run answers, such as a time of Cloud Scheduler: an append lands once for it, however often it is
            called.
        stretch: of an incremental load, what to load again, or how far to go.

    Returns:
        the receipt, of a load in windows the last one's.
    """
    run = _begin(here, job, deadline or here.deadline())
    looker = LookerClient(bridge.looker, here.secrets, run.keep_back(0.2, FOR_LANDING_S), here.chance)
    pigment = PigmentClient(bridge.pigment, here.secrets, run.keep_back(0.1, _FOR_CLOSING_S), here.chance)
    try:
        with looker, pigment:
            load = _load_of(job, looker, stretch)
            return _preview(run, load) if preview else _fly_on(run, job, load, pigment, tick)
    except Exception as error:  # noqa: BLE001  # a receipt for every run, also for one that fails unforeseen
        return run.end(run.failed(runs.as_bridge_error(error)))


def _begin(here: Instance, job: bridge_yaml.Pull, deadline: Deadline) -> Run:
    run = Run(here, job.name, job.kind, job.time_zone, deadline)
    run.note(configuration=job.target.configuration)
    return run


def _load_of(job: bridge_yaml.Pull, looker: LookerClient, stretch: RequestedRange | None) -> Loader:
    if isinstance(job.load, bridge_yaml.Incremental):
        return IncrementalLoad(job, job.load, looker, stretch)
    if stretch is not None:
        raise MalformedRequest(f"`from`, `to` and `windows` are for incremental pulls, and {job.name} is none.")
    if isinstance(job.load, bridge_yaml.Changes):
        return ChangesLoad(job, job.load, looker)
    return FullLoad(job, looker)


def _fly_on(run: Run, job: bridge_yaml.Pull, load: Loader, pigment: PigmentClient, tick: str | None) -> Receipt:
    """Flight after flight, until nothing is left to read, one has not landed, or the next might not end in time."""
    receipt = _fly(run, job, load, pigment, tick)
    flights, sums, longest_s = 0, Rows(), 0.0
    while _has_landed(receipt) and (progress := load.progress()) is not None:
        flights, sums, longest_s = flights + 1, sums.plus(receipt.rows), max(longest_s, receipt.seconds.total)
        told = msgspec.structs.replace(progress, flights=flights, rows=sums)
        receipt = msgspec.structs.replace(receipt, progress=told)
        if not load.may_go_on() or not run.deadline.allows(longest_s * _SPARE + FOR_LANDING_S):
            break
        run = _begin(run.instance, job, run.deadline)
        try:
            receipt = msgspec.structs.replace(_fly(run, job, load, pigment, tick), progress=told)
        except ConfigurationOccupied:
            # Another run came between two flights; the next call reads on from where that one has landed.
            break
        except Exception as error:  # noqa: BLE001  # of this flight; those before it have landed and say so
            receipt = run.end(run.failed(runs.as_bridge_error(error)))
    return receipt


def _has_landed(receipt: Receipt) -> bool:
    return receipt.error is None and receipt.outcome != "importing"


def _fly(run: Run, job: bridge_yaml.Pull, load: Loader, pigment: PigmentClient, tick: str | None) -> Receipt:
    store, target = run.instance.store, job.target
    flight = Journal("reading", run.receipt, target.repeatable, job.guards.max_skipped, expires_at="")
    with leases.take(store, target.configuration, run.instance.clock, flight) as lease:
        try:
            if lease.flight.receipt.run != run.receipt.run:
                landing.settle(run, lease, pigment)
                lease.note(flight)
            previous = cursors.read(store, job.name)
            answered = _answered(run, job, previous, tick)
            if answered is not None:
                lease.free()
                return answered
            cargo = load.stage(run, previous, preview=False)
            if cargo is None:
                return landing.end_without(run, lease)
            landed = msgspec.structs.replace(cargo.landed, tick=tick, configuration=target.configuration)
            if cargo.staged.checked.rows == 0:
                if cargo.moves_without_rows:
                    # Killed before this: the same nothing is read again.
                    cursors.move(store, job.name, landed)
                return landing.end_without(run, lease)
            run.note(rows=Rows(sent=cargo.staged.checked.rows))
            lease.flight = msgspec.structs.replace(flight, landed=landed)
            return landing.land(run, lease, pigment, target, cargo.staged)
        except Exception as error:  # noqa: BLE001  # whatever it is, the hold must not outlive the run
            return landing.end_by_error(run, lease, runs.as_bridge_error(error))


def _answered(run: Run, job: bridge_yaml.Pull, previous: LastLanding | None, tick: str | None) -> Receipt | None:
    """The receipt of the run that answered this tick before, where landing again would double.

    Cloud Scheduler and Pub/Sub call at least once, and again when an answer is lost. What reads on from a cursor, or
    compares with what has landed, sends nothing twice by itself.
    """
    if job.load != "full" or job.target.repeatable or not tick or previous is None or previous.tick != tick:
        return None
    return receipts.read(run.instance.store, job.name, previous.run)


def _preview(run: Run, load: Loader) -> Receipt:
    """The same path up to the push, without holding the configuration; what was staged is taken away again."""
    store = run.instance.store
    cargo = load.stage(run, cursors.read(store, run.receipt.job), preview=True)
    receipt = run.end(msgspec.structs.replace(run.receipt, outcome="previewed"))
    if cargo is not None:
        for path in (cargo.staged.path, *cargo.scratch):
            store.delete(path)
        receipt = msgspec.structs.replace(receipt, preview=cargo.staged.sample)
    progress = load.progress()
    return msgspec.structs.replace(receipt, progress=progress) if progress else receipt
