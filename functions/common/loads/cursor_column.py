"""The cursor of an incremental load: a dimension of the query's explore.

Looker describes an explore in one more call, so the result is stored (`CursorColumn`) and used while the query is the
same.
"""

import hashlib

import msgspec

from common import bridge_yaml
from common.bridge_yaml import Grain
from common.loads import positions
from common.loads.positions import CursorPosition
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
    """Return the column that an earlier run stored, or None if the query or the cursor has changed since."""
    column = previous.column if previous else None
    if column is None or column.asked != _digest(query) or column.field != cursor:
        return None
    return msgspec.structs.replace(column, time_zone=str(query.query_timezone))


def read_column(looker: LookerClient, query: LookerQuery, load: bridge_yaml.Incremental) -> CursorColumn:
    """Ask Looker for the cursor's dimension. Raises as `column_in` and `fields_of` do."""
    return column_in(fields_of(looker, query), query, load)


def column_in(fields: ExploreFields, query: LookerQuery, load: bridge_yaml.Incremental) -> CursorColumn:
    """Return the cursor's column. Raises CursorUnfit if it cannot be used."""
    cursor, zone = load.cursor, str(query.query_timezone)
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


def start_of(load: bridge_yaml.Incremental, column: CursorColumn) -> CursorPosition:
    """Return where the first window begins. Raises CursorUnfit if start or window do not suit the cursor."""
    start, length = positions.position(load.start, column), load.window
    if start is None:
        raise CursorUnfit(f"load.incremental.start does not have the type of the cursor {column.field}.")
    if positions.is_shorter(length, column.grain):
        window = f"The window of {length.amount} {length.unit}"
        raise CursorUnfit(f"{window} is shorter than the {column.grain}s of the cursor.")
    return start


def _expect_no_partial_sums(query: LookerQuery, fields: ExploreFields, cursor: str) -> None:
    """Refuse measures if the query does not select the cursor: each row would contain the sum of one moment."""
    measures = {field.name for field in fields.measures or []}
    summed = [name for name in query.fields or [] if name in measures]
    if summed and cursor not in (query.fields or []):
        next_step = "Select the cursor in the Look, so that each row shows what it sums, or remove the measures."
        cause = f"The query has measures ({', '.join(summed)}) and does not select its cursor {cursor}."
        raise CursorUnfit(cause, next_step=next_step)


def _digest(query: LookerQuery) -> str:
    parts = msgspec.json.encode([query.model, query.view, query.fields, query.dynamic_fields])
    return hashlib.sha256(parts).hexdigest()[:16]
