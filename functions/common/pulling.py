"""A pull: a Look's rows, all of them, into a Pigment import.

hold the configuration → settle what an earlier run left open → read the Look → stage while checking → guards
→ note the intent → push → note the import id → follow the import → receipt → cursor → free the configuration
"""

import msgspec

from common import config, cursors, guards, landing, leases, receipts, runs, staging
from common.clock import Deadline
from common.csv import Contract
from common.errors import CannotStream, NotYetSupported
from common.instance import Instance
from common.leases import Flight
from common.looker import CAPS, Looker, Query
from common.pigment import Pigment
from common.receipts import Receipt, Rows
from common.runs import Run
from common.staging import Staged

_FOR_LANDING_S = 30.0
_FOR_CLOSING_S = 5.0


def pull(
    here: Instance,
    bridge: config.Bridge,
    job: config.Pull,
    *,
    preview: bool = False,
    tick: str | None = None,
    deadline: Deadline | None = None,
) -> Receipt:
    """Run a pull once, and file its receipt whatever comes of it.

    Args:
        tick: what the run answers, such as a time of Cloud Scheduler: an append lands once for it, however often it is
            called.
    """
    run = Run(here, job.name, job.kind, job.time_zone, deadline)
    run.note(configuration=job.target.configuration)
    looker = Looker(bridge.looker, here.secrets, run.keep_back(0.2, _FOR_LANDING_S), here.chance)
    pigment = Pigment(bridge.pigment, here.secrets, run.keep_back(0.1, _FOR_CLOSING_S), here.chance)
    try:
        _expect_supported(job)
        with looker, pigment:
            return _preview(run, job, looker) if preview else _fly(run, job, looker, pigment, tick)
    except Exception as error:  # noqa: BLE001  # a receipt for every run, also for one that fails unforeseen
        return run.end(run.failed(runs.as_bridge_error(error)))


def _expect_supported(job: config.Pull) -> None:
    if job.load != "full":
        raise NotYetSupported(f"pulls.{job.name}.load is not full; this version pulls in full only.")


def _fly(run: Run, job: config.Pull, looker: Looker, pigment: Pigment, tick: str | None) -> Receipt:
    store, target = run.instance.store, job.target
    flight = Flight("reading", run.receipt, target.repeatable, job.guards.max_skipped, expires_at="")
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
            staged = _stage(run, job, looker, previous)
            if staged.checked.rows == 0:
                return landing.end_without(run, lease)
            run.note(rows=Rows(sent=staged.checked.rows))
            lease.flight = msgspec.structs.replace(flight, landed=cursors.of(staged, run.receipt.run, tick))
            return landing.land(run, lease, pigment, target, staged)
        except Exception as error:  # noqa: BLE001  # whatever it is, the hold must not outlive the run
            return landing.end_by_error(run, lease, runs.as_bridge_error(error))


def _answered(run: Run, job: config.Pull, previous: cursors.Landed | None, tick: str | None) -> Receipt | None:
    """The receipt of the run that answered this tick before, where landing again would double.

    Cloud Scheduler and Pub/Sub call at least once, and again when an answer is lost.
    """
    if job.target.repeatable or not tick or previous is None or previous.tick != tick:
        return None
    return receipts.read(run.instance.store, job.name, previous.run)


def _preview(run: Run, job: config.Pull, looker: Looker) -> Receipt:
    """The same path up to the push, without holding the configuration; what was staged is taken away again."""
    staged = _stage(run, job, looker, cursors.read(run.instance.store, job.name))
    run.instance.store.delete(staged.path)
    receipt = run.end(msgspec.structs.replace(run.receipt, outcome="previewed"))
    return msgspec.structs.replace(receipt, preview=staged.sample)


def _stage(run: Run, job: config.Pull, looker: Looker, previous: cursors.Landed | None) -> Staged:
    """Read all rows of the job's source into a staged file that the guards let pass."""
    with run.timed("looker"):
        query = find_query(looker, job.source)
        obstacles = query.obstacles()
        if obstacles:
            raise CannotStream(f"Looker cannot stream all rows of this query: it has {'; '.join(obstacles)}.")
        if query.total or query.subtotals:
            run.note(warnings=["The query's totals were left out: they are rows that are not data."])
        with looker.run(query) as stream:
            run.note(warnings=stream.warnings)
            contract = Contract(job.target.columns or None, job.target.delimiter)
            path = staging.path_of(job.name, run.receipt.run)
            staged = staging.stage(run.instance.store, path, stream.blocks(), contract, run.instance.progress)
    rows = staged.checked.rows
    run.note(rows=Rows(read=rows), bytes=staged.bytes, sha256=staged.sha256, warnings=_warnings(staged, job, previous))
    guards.expect_rows(rows, job.guards.min_rows)
    if not job.guards.accept_cap:
        guards.expect_no_cap(rows, CAPS, query.own_limit())
    guards.expect_no_shrinking(rows, previous.rows if previous else None, job.guards.max_shrink)
    return staged


def find_query(looker: Looker, source: config.Source) -> Query:
    """The query of a source, with the job's filters merged over its own."""
    match source:
        case config.LookSource():
            query = looker.look_query(source.look)
        case config.QuerySource():
            query = looker.slug_query(source.query)
        case config.ExploreSource(explore=fields):
            query = Query(
                model=fields.model,
                view=fields.view,
                fields=list(fields.fields),
                filters=dict(fields.filters),
                sorts=list(fields.sorts) or None,
            )
        case config.ResourceSource():
            raise NotYetSupported("source.resource is not pulled by this version.")
    return query.narrowed(source.filters, source.query_timezone)


def _warnings(staged: Staged, job: config.Pull, previous: cursors.Landed | None) -> list[str]:
    changed = previous is not None and not job.target.columns and previous.header != staged.checked.header
    if not changed or previous is None:
        return staged.checked.warnings
    said = f"The header changed since run {previous.run}: {', '.join(previous.header)} became "
    return [*staged.checked.warnings, f"{said}{', '.join(staged.checked.header)}."]
