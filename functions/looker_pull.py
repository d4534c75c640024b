"""The function `looker_pull`: a Look's rows, all of them, into a Pigment import.

hold the configuration → settle what an earlier run left open → read the Look → stage while checking → guards
→ note the intent → push → note the import id → follow the import → receipt → cursor → free the configuration
"""

import flask
import functions_framework
import msgspec
from werkzeug.datastructures import Headers

from common import config, cursors, guards, instance, landing, leases, log, receipts, runs, staging, web
from common.csv import Contract
from common.errors import CannotStream, MalformedRequest, NoSuchJob, NotYetSupported
from common.leases import Flight
from common.looker import CAPS, Looker, Query
from common.pigment import Pigment
from common.receipts import Receipt, Rows
from common.runs import Run
from common.staging import Staged

log.configure()

_FOR_LANDING_S = 30.0
_FOR_CLOSING_S = 5.0


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """What Cloud Scheduler, or a person, posts."""

    job: str
    preview: bool = False
    from_: str | None = None
    to: str | None = None


@functions_framework.http  # type: ignore[untyped-decorator]
def looker_pull(request: flask.Request) -> flask.Response:
    return web.answer(request, Call, pull)


def pull(call: Call, headers: Headers) -> Receipt:
    """Run a pull once, and file its receipt whatever comes of it.

    Raises:
        NoSuchJob, BridgeFileInvalid, StorageRefused, StorageBusy, SettingMissing: it did not come to a run.
    """
    here = instance.current
    bridge = here.config()
    job = _find_job(bridge, call.job)
    run = Run(here, job.name, job.kind, job.time_zone)
    run.note(configuration=job.target.configuration)
    looker = Looker(bridge.looker, here.secrets, run.keep_back(0.2, _FOR_LANDING_S), here.chance)
    pigment = Pigment(bridge.pigment, here.secrets, run.keep_back(0.1, _FOR_CLOSING_S), here.chance)
    try:
        _expect_supported(job, call)
        with looker, pigment:
            if call.preview:
                return _preview(run, job, looker)
            return _fly(run, job, looker, pigment, headers.get("X-CloudScheduler-ScheduleTime"))
    except Exception as error:  # noqa: BLE001  # a receipt for every run, also for one that fails unforeseen
        return run.end(run.failed(runs.as_bridge_error(error)))


def _fly(run: Run, job: config.Pull, looker: Looker, pigment: Pigment, schedule_time: str | None) -> Receipt:
    store, target = run.instance.store, job.target
    flight = Flight("reading", run.receipt, target.repeatable, job.guards.max_skipped, expires_at="")
    with leases.take(store, target.configuration, run.instance.clock, flight) as lease:
        try:
            if lease.flight.receipt.run != run.receipt.run:
                landing.settle(run, lease, pigment)
                lease.note(flight)
            previous = cursors.read(store, job.name)
            answered = _answered(run, job, previous, schedule_time)
            if answered is not None:
                lease.free()
                return answered
            staged = _stage(run, job, looker, previous)
            if staged.checked.rows == 0:
                return landing.end_without(run, lease)
            lease.flight = msgspec.structs.replace(flight, landed=_landed(run, staged, schedule_time))
            return landing.land(run, lease, pigment, target, staged)
        except Exception as error:  # noqa: BLE001  # whatever it is, the hold must not outlive the run
            return landing.end_by_error(run, lease, runs.as_bridge_error(error))


def _answered(run: Run, job: config.Pull, previous: cursors.Landed | None, schedule_time: str | None) -> Receipt | None:
    """The receipt of the run that answered this tick of Cloud Scheduler before, where landing again would double.

    Cloud Scheduler calls at least once, and again when an answer is lost.
    """
    if job.target.repeatable or not schedule_time or previous is None or previous.schedule_time != schedule_time:
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
        query = _find_query(looker, job.source)
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


def _find_query(looker: Looker, source: config.Source) -> Query:
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


def _landed(run: Run, staged: Staged, schedule_time: str | None) -> cursors.Landed:
    """What the cursor will say once this has landed."""
    run.note(rows=Rows(sent=staged.checked.rows))
    return cursors.Landed(
        run=run.receipt.run,
        landed_at="",
        rows=staged.checked.rows,
        sha256=staged.sha256,
        header=staged.checked.header,
        staged=staged.path,
        schedule_time=schedule_time,
    )


def _warnings(staged: Staged, job: config.Pull, previous: cursors.Landed | None) -> list[str]:
    changed = previous is not None and not job.target.columns and previous.header != staged.checked.header
    if not changed or previous is None:
        return staged.checked.warnings
    said = f"The header changed since run {previous.run}: {', '.join(previous.header)} became "
    return [*staged.checked.warnings, f"{said}{', '.join(staged.checked.header)}."]


def _expect_supported(job: config.Pull, call: Call) -> None:
    if job.load != "full":
        raise NotYetSupported(f"pulls.{job.name}.load is not full; this version pulls in full only.")
    if call.from_ or call.to:
        raise MalformedRequest("`from` and `to` are for incremental pulls.")


def _find_job(bridge: config.Bridge, name: str) -> config.Pull:
    job = bridge.job(name)
    if isinstance(job, config.Pull):
        return job
    known = ", ".join(sorted(pull for pull in bridge.pulls)) or "none"
    kind = f"is a {job.kind}, no pull" if job else "does not exist"
    raise NoSuchJob(f"The job {name} {kind}. Pulls: {known}.")
