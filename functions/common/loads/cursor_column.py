"""The cursor of an incremental load: a dimension of the query's explore.

Looker describes an explore in one more call, so the result is stored (`CursorColumn`) and used while the query is the
same.
"""

import difflib
import hashlib
from collections.abc import Sequence

import msgspec

from common import bridge_yaml
from common.bridge_yaml import Grain
from common.loads import positions
from common.loads.positions import CursorPosition
from common.looker.client import LookerClient
from common.looker.explore import ExploreField, ExploreFields, fields_of
from common.looker.query import LookerQuery
from common.platform import lookalikes
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

_RULES = 2
"The version of the rules of `read_column`: a column that was judged by others is read again."


def stored_column(
    previous: LastLanding | None, query: LookerQuery, cursor: str, *, repeatable: bool
) -> CursorColumn | None:
    """Return the column that an earlier run stored, or None if the query or the job has changed since."""
    column = previous.column if previous else None
    if column is None or column.asked != _digest(query, repeatable=repeatable) or column.field != cursor:
        return None
    return msgspec.structs.replace(column, time_zone=str(query.query_timezone))


def read_column(
    looker: LookerClient, query: LookerQuery, load: bridge_yaml.Incremental, *, repeatable: bool
) -> CursorColumn:
    """Ask Looker for the cursor's dimension. Raises as `column_in` and `fields_of` do."""
    return column_in(fields_of(looker, query), query, load, repeatable=repeatable)


def column_in(
    fields: ExploreFields, query: LookerQuery, load: bridge_yaml.Incremental, *, repeatable: bool
) -> CursorColumn:
    """Return the cursor's column. Raises CursorUnfit if it cannot be used."""
    cursor, zone = load.cursor, str(query.query_timezone)
    dimension = {field.name: field for field in fields.dimensions or []}.get(cursor)
    if dimension is None or not dimension.label:
        raise _unknown_dimension(cursor, fields.dimensions or [], query)
    grain = GRAINS.get(dimension.type or "")
    if grain is None:
        raise CursorUnfit(f"The dimension {cursor} has the type {dimension.type}, not a date, time or number.")
    if not positions.fits(load.start, grain):
        raise CursorUnfit(f"The dimension {cursor} has the type {dimension.type}; `start` has another type.")
    positions.zone_named(zone)
    _expect_whole_rows(query, fields, cursor, repeatable=repeatable)
    return CursorColumn(cursor, dimension.label, grain, zone, _digest(query, repeatable=repeatable))


def _unknown_dimension(cursor: str, dimensions: Sequence[ExploreField], query: LookerQuery) -> CursorUnfit:
    """The error for a name that the explore does not have: it may look like one, or be the label of one."""
    cause = f"There is no dimension {cursor} in {query.explore}."
    by_label = {field.label: field.name for field in dimensions if field.label}
    alike = lookalikes.of([cursor], [*by_label, *(field.name for field in dimensions)])
    if alike:
        cause = f"{cause} {lookalikes.differences(alike)}"
    existing = alike[0].existing if alike else cursor
    if name := by_label.get(existing):
        cause = f"{cause} {existing} is the label of {name}."
        existing = name
    if existing != cursor:
        return CursorUnfit(cause, next_step=f"Set load.incremental.cursor to {lookalikes.spelled(existing)}.")
    similar = difflib.get_close_matches(cursor, [field.name for field in dimensions], n=1)
    return CursorUnfit(cause, next_step=f"Did you mean {similar[0]}? {CursorUnfit.next_step}" if similar else None)


def start_of(load: bridge_yaml.Incremental, column: CursorColumn) -> CursorPosition:
    """Return where the first window begins. Raises CursorUnfit if start or window do not suit the cursor."""
    start, length = positions.position(load.start, column), load.window
    if start is None:
        raise CursorUnfit(f"load.incremental.start does not have the type of the cursor {column.field}.")
    if positions.is_shorter(length, column.grain):
        window = f"The window of {length.amount} {length.unit}"
        raise CursorUnfit(f"{window} is shorter than the {column.grain}s of the cursor.")
    return start


def _expect_whole_rows(query: LookerQuery, fields: ExploreFields, cursor: str, *, repeatable: bool) -> None:
    """Refuse a query whose rows change if the cursor is added to it, as every window does: Looker groups by it.

    A measure would be the sum of one value of the cursor. A row that has several values would be sent once for each.
    """
    selected, dimensions = query.fields or [], {field.name: field for field in fields.dimensions or []}
    if cursor in selected:
        return
    # Custom measures are not in the explore. Whatever is not known as a dimension can be a sum.
    summed = [name for name in selected if name not in {*dimensions, *query.custom_dimensions()}]
    if summed:
        next_step = "Select the cursor in the Look, so that each row shows what it sums, or remove the measures."
        cause = f"The query has measures ({', '.join(summed)}) and does not select its cursor {cursor}."
        raise CursorUnfit(cause, next_step=next_step)
    keys = [field for field in dimensions.values() if field.primary_key and field.view == dimensions[cursor].view]
    if not repeatable and not any(key.name in selected for key in keys):
        next_step = (
            f"Select in the Look the cursor{' or the primary key' if keys else ''}"
            f"{''.join(f' {key.name}' for key in keys)}. Or set target.repeatable: true, if the same row can safely "
            "be sent again."
        )
        cause = f"The query does not select its cursor {cursor}: rows that it shows once would be appended repeatedly."
        raise CursorUnfit(cause, next_step=next_step)


def _digest(query: LookerQuery, *, repeatable: bool) -> str:
    """Identify what `read_column` has judged, by which rules."""
    parts = [_RULES, query.model, query.view, query.fields, query.dynamic_fields, repeatable]
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:16]
