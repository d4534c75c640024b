"""From a job's source in Looker to a checked file in the bucket."""

from common import bridge_yaml
from common.looker import resources
from common.looker.client import CAPS, LookerClient
from common.looker.explore import fields_of
from common.looker.query import LookerQuery
from common.platform.errors import CannotStream
from common.runs import guards
from common.runs.run import Run
from common.tables import staging
from common.tables.check import Contract
from common.tables.staging import Staged


def read_all(run: Run, looker: LookerClient, job: bridge_yaml.Pull, path: str) -> Staged:
    """Stage all rows of a job's source. Raises as `resolve` and `stage` do."""
    contract = Contract(job.target.columns or None, job.target.delimiter)
    accept_cap = job.guards.accept_cap
    return stage(run, looker, resolve(run, looker, job.source), contract, path, accept_cap=accept_cap)


def resolve(run: Run, looker: LookerClient, source: bridge_yaml.Source) -> LookerQuery | str:
    """Return a source's query with the job's filters, or the name of the Looker resource to list. Raises CannotStream
    if Looker cannot send all rows of the query, and the errors of `find_query`.
    """
    if isinstance(source, bridge_yaml.ResourceSource):
        query = resources.query_of(source.resource)
        if query is None:
            return source.resource
        with run.timed("looker"):
            return resources.without_nulls(query, fields_of(looker, query))
    with run.timed("looker"):
        query = find_query(looker, source)
    obstacles = query.obstacles()
    if obstacles:
        raise CannotStream(f"Looker cannot stream all rows of this query: it has {'; '.join(obstacles)}.")
    return query


def find_query(
    looker: LookerClient, source: bridge_yaml.LookSource | bridge_yaml.QuerySource | bridge_yaml.ExploreSource
) -> LookerQuery:
    """Return a source's query with the job's filters. Raises as `LookerClient.look_query` does."""
    match source:
        case bridge_yaml.LookSource():
            query = looker.look_query(source.look)
        case bridge_yaml.QuerySource():
            query = looker.slug_query(source.query)
        case bridge_yaml.ExploreSource(explore=inline):
            fields, filters, sorts = list(inline.fields), dict(inline.filters), list(inline.sorts) or None
            query = LookerQuery(model=inline.model, view=inline.view, fields=fields, filters=filters, sorts=sorts)
    return query.narrowed(source.filters, source.query_timezone)


def stage(
    run: Run, looker: LookerClient, source: LookerQuery | str, contract: Contract, path: str, *, accept_cap: bool
) -> Staged:
    """Read all rows and check them while they stream into a file of the bucket. Raises TruncatedAtLimit, and the errors
    of `LookerClient.run` and `staging.stage`.
    """
    query = source if isinstance(source, LookerQuery) else None
    if query and (query.total or query.subtotals):
        run.warn("The query's totals were left out, because they are not data rows.")
    with (
        run.timed("looker"),
        looker.run(source) if isinstance(source, LookerQuery) else resources.ResourceListing(looker, source) as stream,
    ):
        staged = staging.stage(run.instance.bucket, path, stream.blocks(), contract, run.instance.progress)
    run.note_read(staged, stream.warnings)
    if query and not accept_cap:
        guards.expect_no_cap(staged.checked.rows, CAPS, query.own_limit())
    return staged
