"""Queries and their translation into SQL."""

import dataclasses
import datetime as dt
import hashlib
import json
import re
import string
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from local.sandbox.duckdb_engine import literal
from local.sandbox.looker import filters
from local.sandbox.looker.explores import Explore, LookerField, quoted

DEFAULT_LIMIT = 500
BROWSER_LIMIT = 5_000
"The limit for a query that cannot stream, and for a user without `download_without_limit`."
CUSTOM_LIMIT = 100_000
_SLUG_CHARACTERS = string.ascii_letters + string.digits
_SLUG_LENGTH = 22
_CUSTOM_MEASURES = {
    "count_distinct": "COUNT(DISTINCT {})",
    "sum": "SUM({})",
    "average": "AVG({})",
    "min": "MIN({})",
    "max": "MAX({})",
    "median": "MEDIAN({})",
}


class QueryRefused(ValueError):
    """Looker refuses to run this query."""


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A query with the attributes that a client sends."""

    model: str
    view: str
    fields: list[str] | None = None
    pivots: list[str] | None = None
    fill_fields: list[str] | None = None
    filters: dict[str, str] | None = None
    filter_expression: str | None = None
    sorts: list[str] | None = None
    limit: str | None = None
    column_limit: str | None = None
    total: bool | None = None
    row_total: str | None = None
    subtotals: list[str] | None = None
    vis_config: dict[str, Any] | None = None
    filter_config: dict[str, Any] | None = None
    visible_ui_sections: str | None = None
    dynamic_fields: str | None = None
    query_timezone: str | None = None

    @property
    def slug(self) -> str:
        """The ID, derived from the attributes: queries are immutable, and posting the same query again returns it."""
        digest = int.from_bytes(hashlib.sha256(msgspec.json.encode(self)).digest())
        return "".join(_SLUG_CHARACTERS[digest // 62**place % 62] for place in range(_SLUG_LENGTH))

    @property
    def has_table_calculations(self) -> bool:
        return any("table_calculation" in field for field in self.own_fields)

    @property
    def streams(self) -> bool:
        """False if the whole result is needed first: for table calculations, row totals and, as on MySQL, pivots."""
        row_total = (self.row_total or "").lower() not in {"", "false", "none", "no"}
        return not (self.has_table_calculations or row_total or self.pivots)

    def custom_fields(self, explore: Explore) -> Iterator[LookerField]:
        """Return the measures that a query defines. Raises QueryRefused if the sandbox cannot compute one of them."""
        for field in self.own_fields:
            if "table_calculation" in field:
                continue
            name = str(field.get("measure") or field.get("dimension"))
            aggregate, base = (
                _CUSTOM_MEASURES.get(str(field.get("type"))),
                explore.fields.get(str(field.get("based_on"))),
            )
            if "measure" not in field or field.get("filters") or aggregate is None or base is None:
                raise QueryRefused(f"The sandbox cannot compute the custom field {name!r}")
            kind = base.sql_type if field["type"] in {"min", "max"} else "DOUBLE"
            if field["type"] == "count_distinct":
                kind = "BIGINT"
            yield LookerField(name, str(field.get("label") or name), aggregate.format(base.sql), kind, measure=True)

    @property
    def own_fields(self) -> list[dict[str, Any]]:
        """The table calculations and custom fields, from the JSON text in `dynamic_fields`."""
        try:
            fields = json.loads(self.dynamic_fields or "[]")
        except ValueError:
            return []
        return [field for field in fields if isinstance(field, dict)] if isinstance(fields, list) else []

    def describe(self, address: str) -> dict[str, Any]:
        """Return the query as the API shows it."""
        slug = self.slug
        return {
            "can": {"run": True, "see_results": True, "explore": True, "show": True, "download": True},
            "id": slug,
            "slug": slug,
            "client_id": slug,
            "share_url": f"{address}/x/{slug}",
            "expanded_share_url": f"{address}/explore/{self.model}/{self.view}?fields={','.join(self.fields or [])}",
            "url": f"/explore/{self.model}/{self.view}?qid={slug}",
            "has_table_calculations": self.has_table_calculations,
            **{name: getattr(self, name) for name in self.__struct_fields__},
        }


@dataclasses.dataclass(frozen=True)
class Statement:
    """A query in SQL, with one column per field, named like the field."""

    fields: list[LookerField]
    sql: str
    totals: str | None = None
    "The totals row, which Looker does not mark: measures over all rows, empty dimensions."


def row_limit(query: Query, asked: int | None, *, unlimited: bool) -> int | None:
    """Return the maximum number of rows, or None for no limit."""
    limit = asked if asked is not None else int(query.limit or DEFAULT_LIMIT)
    if limit < 0:
        return None if query.streams and unlimited else BROWSER_LIMIT
    return min(limit, CUSTOM_LIMIT if unlimited else BROWSER_LIMIT)


def translate(query: Query, explore: Explore, *, limit: int | None, now: dt.datetime) -> Statement:
    """Translate a query into SQL. Raises QueryRefused if the explore lacks a field or an option is not supported."""
    if query.pivots:
        raise QueryRefused("The sandbox does not pivot")
    if (query.filter_expression or "").strip():
        raise QueryRefused("The sandbox does not evaluate filter_expression")
    known = {**explore.fields, **{field.name: field for field in query.custom_fields(explore)}}
    calculations = {field.get("table_calculation") for field in query.own_fields}
    fields = [_find_field(name, known) for name in dict.fromkeys(query.fields or []) if name not in calculations]
    if not fields:
        raise QueryRefused("No fields are selected")
    where, having = _conditions(query.filters or {}, known, now)
    source = f"FROM {quoted(explore.table)}{where}"
    # Looker groups by every dimension even without a measure: equal rows appear once.
    grouped = " GROUP BY " + ", ".join(str(place) for place, field in enumerate(fields, 1) if not field.measure)
    sql = (
        f"SELECT {_columns(fields, now)} {source}{grouped if any(not field.measure for field in fields) else ''}"
        f"{having}{_order(query.sorts or [], fields, known)}{f' LIMIT {limit}' if limit is not None else ''}"
    )
    totals = f"SELECT {_columns(fields, now, totals=True)} {source}"
    return Statement(fields, sql, totals if query.total and any(field.measure for field in fields) else None)


def _columns(fields: list[LookerField], now: dt.datetime, *, totals: bool = False) -> str:
    return ", ".join(
        f"{'NULL' if totals and not field.measure else _local(field, now)} AS {quoted(field.name)}" for field in fields
    )


def _local(field: LookerField, now: dt.datetime) -> str:
    """Return SQL for the value: times are stored in UTC and shown in the query's time zone."""
    zone = str(now.tzinfo)
    if field.kind is not filters.Kind.TIME or zone == "UTC":
        return field.sql
    return f"timezone({literal(zone)}, timezone('UTC', {field.sql}))"


def _conditions(wanted: Mapping[str, str], known: Mapping[str, LookerField], now: dt.datetime) -> tuple[str, str]:
    where: list[str] = []
    having: list[str] = []
    for name, expression in wanted.items():
        field = _find_field(name, known)
        try:
            condition = filters.condition(expression, field.kind, field.sql, now=now)
        except filters.Malformed as error:
            raise QueryRefused(f"Invalid filter expression {expression!r} for field {name!r}: {error}") from None
        if condition:
            (having if field.measure else where).append(f"({condition})")
    return (
        f" WHERE {' AND '.join(where)}" if where else "",
        f" HAVING {' AND '.join(having)}" if having else "",
    )


def _order(sorts: list[str], fields: list[LookerField], known: Mapping[str, LookerField]) -> str:
    if sorts == ["__UNSORTED__"]:
        return ""
    places = {field.name: place for place, field in enumerate(fields, 1)}
    orders = []
    for sort in sorts or [_default_sort(fields)]:
        found = re.fullmatch(r"(\S+)(?:\s+(asc|desc))?(?:\s+\d+)?", sort.strip(), re.IGNORECASE)
        if found is None:
            raise QueryRefused(f"Invalid sort {sort!r}")
        if place := places.get(_find_field(found[1], known).name):
            orders.append(f"{place} {(found[2] or 'asc').upper()}")
    return f" ORDER BY {', '.join(orders)}" if orders else ""


def _default_sort(fields: list[LookerField]) -> str:
    """Sort by the latest time, else by the largest measure, else alphabetically."""
    moments = [field for field in fields if not field.measure and field.kind in {filters.Kind.DATE, filters.Kind.TIME}]
    measures = [field for field in fields if field.measure]
    return f"{(moments or measures)[0].name} desc" if moments or measures else fields[0].name


def _find_field(name: str, known: Mapping[str, LookerField]) -> LookerField:
    if name not in known:
        raise QueryRefused(f"Unknown field {name!r}: it is not in this explore or you may not see it")
    return known[name]
