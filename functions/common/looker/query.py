"""A Looker query, and how a pull runs it."""

import json
from collections.abc import Mapping
from typing import Any, Self

import msgspec


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

    @property
    def explore(self) -> str:
        """The explore it reads, as messages name it."""
        return f"the explore {self.model}/{self.view}"

    def narrowed(self, filters: Mapping[str, str], query_timezone: str | None) -> Self:
        """Return the query with a job's filters merged over its own, and the job's time zone if it has one."""
        merged = {**(self.filters or {}), **filters}
        return msgspec.structs.replace(self, filters=merged, query_timezone=query_timezone or self.query_timezone)

    def own_limit(self) -> int | None:
        """Return the limit saved with the query, if there is one."""
        limit = str(self.limit or "")
        return int(limit) if limit.isdecimal() else None

    def obstacles(self) -> list[str]:
        """Return why Looker cannot stream all its rows, or would add rows that are not data (Looker docs, "Downloading
        content" and "What are all the row limits").
        """
        found = []
        calculations = _table_calculations(self.dynamic_fields)
        names = [str(each["table_calculation"]) for each in calculations if not each.get("is_disabled")]
        if names or (self.has_table_calculations and not calculations):
            found.append(f"table calculations ({', '.join(names) or 'unnamed'})")
        # Row totals add up the columns of pivots. Without pivots there is nothing to add up.
        if self.row_total and self.pivots:
            found.append("row totals")
        if self.pivots:
            found.append(f"pivots ({', '.join(self.pivots)}), whose columns depend on the data")
        return found

    def body(self) -> dict[str, Any]:
        """Return the request that runs it in full, without totals and subtotals, which are not data rows."""
        left_out = {"pivots", "limit", "total", "row_total", "subtotals", "has_table_calculations"}
        fields = msgspec.structs.asdict(self).items()
        body = {name: value for name, value in fields if value is not None and name not in left_out}
        if calculations := _table_calculations(self.dynamic_fields):
            body |= self._without(calculations)
        # A filter_config that disagrees with the filters wins over them (API 4.0, Query.filter_config).
        return {**body, "filter_config": None, "limit": "-1"}

    def _without(self, calculations: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the parts of the request without table calculations: a disabled one, too, could keep Looker from
        streaming.
        """
        names = {str(each["table_calculation"]) for each in calculations}
        others = [field for field in json.loads(self.dynamic_fields or "[]") if field not in calculations]
        return {
            "dynamic_fields": json.dumps(others),
            "fields": [name for name in self.fields or [] if name not in names],
            "sorts": [sort for sort in self.sorts or [] if sort.partition(" ")[0] not in names],
        }


def _table_calculations(dynamic_fields: str | None) -> list[dict[str, Any]]:
    """Return the table calculations. Custom fields are in the same list, and can be streamed."""
    try:
        fields = json.loads(dynamic_fields or "[]")
    except ValueError:
        return []
    fields = fields if isinstance(fields, list) else []
    return [field for field in fields if isinstance(field, dict) and "table_calculation" in field]
