"""From a job's source in Looker to a checked file in the bucket."""

import msgspec

from common import bridge_yaml
from common.looker import obstacles, resources
from common.looker.client import CAPS, LookerClient
from common.looker.explore import fields_of
from common.looker.query import LookerQuery
from common.platform.errors import AnswerNotUnderstood, CannotStream, StreamCut
from common.runs import guards
from common.runs.run import Run
from common.tables import staging
from common.tables.check import Contract
from common.tables.records import write_records
from common.tables.staging import Staged


def read_all(run: Run, looker: LookerClient, job: bridge_yaml.Pull, path: str) -> Staged:
    """Stage all rows of a job's source. Raises as `resolve` and `stage` do."""
    accept_cap, accept_error_text = job.guards.accept_cap, job.guards.accept_error_text
    contract = Contract(job.target.columns or None, job.target.delimiter, accepts_error_text=accept_error_text)
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
    found = obstacles.of_pull(query)
    if found:
        raise CannotStream(f"Looker cannot stream all rows of this query: it has {'; '.join(found)}.")
    return query


def find_query(
    looker: LookerClient, source: bridge_yaml.LookSource | bridge_yaml.QuerySource | bridge_yaml.ExploreSource
) -> LookerQuery:
    """Return a source's query with the job's filters. Raises as `LookerClient.look_query` does."""
    match source:
        case bridge_yaml.LookSource():
            query = looker.look_query(source.look).limited(keeps_limit=source.limit == "look")
        case bridge_yaml.QuerySource():
            query = looker.slug_query(source.query).limited(keeps_limit=source.limit == "look")
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
    bucket, progress = run.instance.bucket, run.instance.progress
    if query:
        contract = msgspec.structs.replace(contract, width=obstacles.width(query))
    else:
        # The bridge itself writes the rows of a resource, so no text of Looker can be among them.
        contract = msgspec.structs.replace(contract, accepts_error_text=True)
    if query and obstacles.has_totals(query):
        run.warn("The query's totals were left out, because they are not data rows.")
    with (
        run.timed("looker"),
        looker.run(source) if isinstance(source, LookerQuery) else resources.ResourceListing(looker, source) as stream,
    ):
        try:
            staged = staging.stage(bucket, path, stream.blocks(), contract, progress)
        except StreamCut:
            if query is None or not stream.has_sent_nothing:
                raise
            header = write_records([looker.header_without_rows(query)])
            staged = staging.stage(bucket, path, [header], contract, progress)
    run.note_read(staged, stream.warnings)
    if query:
        _judge_limit(run, query, staged.checked.rows, accept_cap=accept_cap)
    return staged


def _judge_limit(run: Run, query: LookerQuery, rows: int, *, accept_cap: bool) -> None:
    """Raise TruncatedAtLimit or AnswerNotUnderstood if the number of rows cannot be right; warn of an ignored limit."""
    own, kept = query.own_limit(), query.kept_limit()
    if not accept_cap and rows != kept:
        guards.expect_no_cap(rows, CAPS, None if kept else own)
    if kept is not None and rows > kept:
        raise AnswerNotUnderstood(f"Looker returned {rows:,} rows, and was asked for {kept:,} at most.")
    if query.keeps_limit and own is None:
        run.warn("The Look or query has no row limit of its own, so all rows were read.")
    # Looker saves its own limits with every query; a person has chosen any other.
    if kept is None and own is not None and own not in CAPS and rows > own:
        limit = f"The Look or query has a limit of {own:,} rows, which was not applied: {rows:,} rows were read"
        run.warn(f"{limit}. To keep it, set source.limit: look.")
