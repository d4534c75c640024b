"""A Looker query, and how a pull runs it."""

import json
from collections.abc import Mapping
from typing import Any, Self

import msgspec

_WITHOUT_ROWS = {
    *("can", "id", "slug", "client_id", "share_url", "expanded_share_url", "url"),
    *("vis_config", "visible_ui_sections", "filter_config"),
}
"What Looker says of a query beside its rows: read-only, or about how it is shown (API 4.0, `Query`)."


class LookerQuery(msgspec.Struct, frozen=True):
    """The fields of a Looker query that decide which rows come (API 4.0, `WriteQuery`)."""

    model: str
    view: str
    fields: list[str] | None = None
    pivots: list[str] | None = None
    fill_fields: list[str] | None = None
    filters: dict[str, Any] | None = None
    filter_expression: str | None = None
    sorts: list[str] | None = None
    limit: str | int | None = None
    column_limit: str | int | None = None
    total: bool | None = None
    row_total: str | bool | None = None
    subtotals: list[str] | None = None
    dynamic_fields: str | None = None
    query_timezone: str | None = None
    has_table_calculations: bool | None = None
    others: dict[str, Any] = {}
    "What else Looker has saved with the query. A release of Looker may add parts that decide which rows come."
    keeps_limit: bool = False
    "Whether it is run with its own limit."

    @property
    def explore(self) -> str:
        """The explore it reads, as messages name it."""
        return f"the explore {self.model}/{self.view}"

    def narrowed(self, filters: Mapping[str, str], query_timezone: str | None) -> Self:
        """Return the query with a job's filters merged over its own, and the job's time zone if it has one."""
        merged = {**(self.filters or {}), **filters}
        return msgspec.structs.replace(self, filters=merged, query_timezone=query_timezone or self.query_timezone)

    def limited(self, *, keeps_limit: bool) -> Self:
        return msgspec.structs.replace(self, keeps_limit=keeps_limit)

    def own_limit(self) -> int | None:
        """Return the limit saved with the query, if there is one."""
        limit = str(self.limit or "")
        return int(limit) if limit.isdecimal() else None

    def kept_limit(self) -> int | None:
        """Return how many rows are requested; None for all."""
        return self.own_limit() if self.keeps_limit else None

    def width(self) -> int | None:
        """Return the number of columns of its rows; None if that depends on the data or on calculations."""
        if self.pivots or self.has_table_calculations or _table_calculations(self.dynamic_fields) or not self.fields:
            return None
        return len(set(self.fields))

    def custom_dimensions(self) -> list[str]:
        """Return the names of the dimensions that the query defines itself."""
        return _own_fields(self.dynamic_fields, "dimension")

    def obstacles(self) -> list[str]:
        """Return why Looker cannot stream all its rows, or would add rows that are not data (Looker docs, "Downloading
        content" and "What are all the row limits").
        """
        found = []
        calculations = _table_calculations(self.dynamic_fields)
        if calculations or self.has_table_calculations:
            found.append(f"table calculations ({', '.join(calculations) or 'unnamed'})")
        if self.row_total:
            found.append("row totals")
        if self.pivots:
            found.append(f"pivots ({', '.join(self.pivots)}), whose columns depend on the data")
        return found

    def body(self) -> dict[str, Any]:
        """Return the request that runs it, without totals and subtotals, which are not data rows."""
        left_out = {"pivots", "limit", "total", "row_total", "subtotals", "has_table_calculations"}
        left_out |= {"others", "keeps_limit"}
        fields = msgspec.structs.asdict(self).items()
        body = {**self.others, **{name: value for name, value in fields if value is not None and name not in left_out}}
        # A filter_config that disagrees with the filters wins over them (API 4.0, Query.filter_config).
        return {**body, "filter_config": None, "limit": str(self.kept_limit() or -1)}


def other_parts(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a saved query, as Looker describes it, that `LookerQuery` has no field for."""
    known = {*LookerQuery.__struct_fields__, *_WITHOUT_ROWS}
    return {name: value for name, value in saved.items() if value is not None and name not in known}


def _table_calculations(dynamic_fields: str | None) -> list[str]:
    """Return the names of the table calculations. Custom fields are in the same list, and can be streamed."""
    return _own_fields(dynamic_fields, "table_calculation")


def _own_fields(dynamic_fields: str | None, kind: str) -> list[str]:
    """Return the names of one kind of the fields that a query defines itself."""
    try:
        fields = json.loads(dynamic_fields or "[]")
    except ValueError:
        return []
    fields = [field for field in fields if isinstance(field, dict)] if isinstance(fields, list) else []
    return [str(field[kind]) for field in fields if kind in field]
