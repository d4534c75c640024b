"""From a job's source to a file in the bucket: whole, checked, and no more than that."""

from common import bridge_yaml
from common.looker import resources
from common.looker.client import CAPS, LookerClient, Query
from common.platform.errors import CannotStream
from common.runs import guards
from common.runs.run import Run
from common.tables import staging
from common.tables.csv import Contract
from common.tables.staging import Staged

Asked = Query | str
"A query, or the resource of Looker's own that is listed."


def find(run: Run, looker: LookerClient, source: bridge_yaml.Source) -> Asked:
    """What a source comes to, with the job's filters merged over its own.

    Raises:
        LookNotFound, LookerRefused, LookerBusy, LookerLoginRefused, AnswerNotUnderstood: Looker does not say.
        CannotStream: it says that not all rows can be had.
    """
    if isinstance(source, bridge_yaml.ResourceSource):
        return resources.query_of(source.resource) or source.resource
    with run.timed("looker"):
        query = find_query(looker, source)
    obstacles = query.obstacles()
    if obstacles:
        raise CannotStream(f"Looker cannot stream all rows of this query: it has {'; '.join(obstacles)}.")
    return query


def find_query(
    looker: LookerClient, source: bridge_yaml.LookSource | bridge_yaml.QuerySource | bridge_yaml.ExploreSource
) -> Query:
    match source:
        case bridge_yaml.LookSource():
            query = looker.look_query(source.look)
        case bridge_yaml.QuerySource():
            query = looker.slug_query(source.query)
        case bridge_yaml.ExploreSource(explore=fields):
            query = Query(
                model=fields.model,
                view=fields.view,
                fields=list(fields.fields),
                filters=dict(fields.filters),
                sorts=list(fields.sorts) or None,
            )
    return query.narrowed(source.filters, source.query_timezone)


def read(run: Run, looker: LookerClient, asked: Asked, contract: Contract, path: str, *, accept_cap: bool) -> Staged:
    """All that was asked for, checked while it comes, into a file of the bucket.

    Raises:
        QueryFailed, RowsMalformed, StreamCut, ColumnsChanged, TruncatedAtLimit: it is not what may be sent on.
        LookerRefused, LookNotFound, LookerBusy, LookerLoginRefused, StorageRefused, StorageBusy.
    """
    here = run.instance
    if isinstance(asked, Query) and (asked.total or asked.subtotals):
        run.warn("The query's totals were left out: they are rows that are not data.")
    with (
        run.timed("looker"),
        looker.run(asked) if isinstance(asked, Query) else resources.listed(looker, asked) as stream,
    ):
        staged = staging.stage(here.store, path, stream.blocks(), contract, here.progress)
    run.note_read(staged, stream.warnings)
    if isinstance(asked, Query) and not accept_cap:
        guards.expect_no_cap(staged.checked.rows, CAPS, asked.own_limit())
    return staged
