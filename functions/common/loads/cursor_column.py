"""The cursor of an incremental load: a dimension of the query's explore.

An explore is described by one more call, so what was learnt of it is stored (`CursorColumn`) and used while the query
stays the same.
"""

import hashlib

import msgspec

from common import bridge_yaml
from common.bridge_yaml import Grain
from common.loads import positions
from common.looker.client import LookerClient
from common.looker.explore import ExploreFields, fields_of
from common.looker.query import LookerQuery
from common.platform.errors import CursorUnfit
from common.runs.cursors import CursorColumn, LastLanding

GRAINS: dict[str, Grain] = {
    "date": "day",
    "date_date": "day",
    "date_hour": "hour",
    "date_minute": "minute",
    "date_second": "second",
    "date_time": "second",
    "number": "number",
}
"By a dimension's type (Looker docs, `dimension_group`, timeframes). Looker converts `raw` times to no time zone."


def stored_column(previous: LastLanding | None, query: LookerQuery, cursor: str) -> CursorColumn | None:
    """Return what an earlier run learnt, or None if the query or the cursor has changed since."""
    column = previous.column if previous else None
    if column is None or column.asked != _digest(query) or column.field != cursor:
        return None
    return msgspec.structs.replace(column, time_zone=str(query.query_timezone))


def read_column(looker: LookerClient, query: LookerQuery, load: bridge_yaml.Incremental) -> CursorColumn:
    """Ask Looker for the cursor's dimension. Raises CursorUnfit if rows cannot be loaded in windows over this cursor;
    LookNotFound, LookerRefused, LookerBusy, LookerLoginRefused or AnswerNotUnderstood.
    """
    fields, cursor, zone = fields_of(looker, query), load.cursor, str(query.query_timezone)
    dimension = {field.name: field for field in fields.dimensions or []}.get(cursor)
    if dimension is None or not dimension.label:
        raise CursorUnfit(f"There is no dimension {cursor} in {query.explore}.")
    grain = GRAINS.get(dimension.type or "")
    if grain is None:
        raise CursorUnfit(f"The dimension {cursor} has the type {dimension.type}, not a date, time or number.")
    if not positions.fits(load.start, grain):
        raise CursorUnfit(f"The dimension {cursor} has the type {dimension.type}; `start` has another type.")
    positions.zone_named(zone)
    _expect_no_partial_sums(query, fields, cursor)
    return CursorColumn(cursor, dimension.label, grain, zone, _digest(query))


def _expect_no_partial_sums(query: LookerQuery, fields: ExploreFields, cursor: str) -> None:
    """Refuse measures if the cursor is not a column: each row would hold the sum of one moment."""
    measures = {field.name for field in fields.measures or []}
    summed = [name for name in query.fields or [] if name in measures]
    if summed and cursor not in (query.fields or []):
        raise CursorUnfit(
            f"The query has measures ({', '.join(summed)}) and does not select its cursor {cursor}.",
            next_step="Select the cursor in the Look as well, so that each row shows what it sums, or remove the "
            "measures.",
        )


def _digest(query: LookerQuery) -> str:
    parts = msgspec.json.encode([query.model, query.view, query.fields, query.dynamic_fields])
    return hashlib.sha256(parts).hexdigest()[:16]
