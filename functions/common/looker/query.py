"""A Looker query, and how a pull runs it."""

import json
from collections.abc import Mapping
from typing import Any, Self

import msgspec

from common.looker import obstacles

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

    def custom_dimensions(self) -> list[str]:
        """Return the names of the dimensions that the query defines itself."""
        return [str(each["dimension"]) for each in obstacles.own_fields(self.dynamic_fields, "dimension")]

    def body(self) -> dict[str, Any]:
        """Return the request that runs it, without totals and subtotals, which are not data rows."""
        left_out = {"pivots", "limit", "total", "row_total", "subtotals", "has_table_calculations"}
        left_out |= {"others", "keeps_limit"}
        fields = msgspec.structs.asdict(self).items()
        body = {**self.others, **{name: value for name, value in fields if value is not None and name not in left_out}}
        if calculations := obstacles.table_calculations(self.dynamic_fields):
            body |= self._without(calculations)
        # A filter_config that disagrees with the filters wins over them (API 4.0, Query.filter_config).
        return {**body, "filter_config": None, "limit": str(self.kept_limit() or -1)}

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


def other_parts(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a saved query, as Looker describes it, that `LookerQuery` has no field for."""
    known = {*LookerQuery.__struct_fields__, *_WITHOUT_ROWS}
    return {name: value for name, value in saved.items() if value is not None and name not in known}
