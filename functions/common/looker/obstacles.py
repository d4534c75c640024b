"""What in a query keeps its answer from being one plain table of all its rows: one list, for the queries that a pull
sends and for the query that a delivery says it comes from.

Sources: Looker docs, "Downloading content" and "What are all the row limits": table calculations and row totals are not
streamed, totals are exported as rows and columns without a label, and pivots write a second header line.
"""

import json
from collections.abc import Iterator
from typing import Any, Protocol


class DescribedQuery(Protocol):
    """The parts of a query that the list reads. A webhook's may have any type: Looker's documents disagree."""

    @property
    def fields(self) -> Any: ...
    @property
    def pivots(self) -> Any: ...
    @property
    def row_total(self) -> Any: ...
    @property
    def total(self) -> Any: ...
    @property
    def subtotals(self) -> Any: ...
    @property
    def dynamic_fields(self) -> Any: ...
    @property
    def has_table_calculations(self) -> Any: ...


def of_pull(query: DescribedQuery) -> list[str]:
    """Return why Looker cannot stream all rows. `LookerQuery.body` leaves totals, disabled calculations and row totals
    out of the request; row totals add up the columns of pivots, and matter with pivots alone.
    """
    return [*_calculations(query), *(_columns(query) if _is_on(query.pivots) else ())]


def of_delivery(query: DescribedQuery) -> list[str]:
    """Return what Looker adds to the rows of a delivery. Table calculations are none: they are columns like others."""
    return [*_columns(query), *_rows(query)]


def width(query: DescribedQuery) -> int | None:
    """Return how many columns its rows have; None if that depends on the data or on calculations, or is not said."""
    names = query.fields
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    if _is_on(query.pivots) or has_calculations(query):
        return None
    calculated = {str(each["table_calculation"]) for each in table_calculations(query.dynamic_fields)}
    return len({*names} - calculated) or None


def has_totals(query: DescribedQuery) -> bool:
    """Whether Looker adds rows to the answer that are sums of others."""
    return any(_rows(query))


def has_calculations(query: DescribedQuery) -> bool:
    """Whether the query has table calculations, which add columns to its fields."""
    return any(_calculations(query))


def _calculations(query: DescribedQuery) -> Iterator[str]:
    calculations = table_calculations(query.dynamic_fields)
    names = [str(each["table_calculation"]) for each in calculations if not each.get("is_disabled")]
    if names or (query.has_table_calculations and not calculations):
        yield f"table calculations ({', '.join(names) or 'unnamed'})"


def _columns(query: DescribedQuery) -> Iterator[str]:
    if _is_on(query.row_total):
        yield "row totals"
    if _is_on(query.pivots):
        names = ", ".join(map(str, query.pivots)) if isinstance(query.pivots, list) else "unnamed"
        yield f"pivots ({names}), whose columns depend on the data"


def _rows(query: DescribedQuery) -> Iterator[str]:
    # Nothing in the file tells these rows from the others, so that none of them can be taken away with certainty.
    if _is_on(query.total):
        yield "totals, which land as one more row"
    if _is_on(query.subtotals):
        yield "subtotals, which land as more rows"


def _is_on(value: Any) -> bool:
    is_off_in_words = isinstance(value, str) and value.strip().lower() in ("false", "no", "off", "0")
    return bool(value) and not is_off_in_words


def table_calculations(dynamic_fields: Any) -> list[dict[str, Any]]:
    """Return the table calculations. Custom fields are in the same list, and can be streamed."""
    return own_fields(dynamic_fields, "table_calculation")


def own_fields(dynamic_fields: Any, kind: str) -> list[dict[str, Any]]:
    """Return the fields of one kind that a query defines itself."""
    try:
        fields = json.loads(dynamic_fields or "[]")
    except (TypeError, ValueError):
        return []
    fields = fields if isinstance(fields, list) else []
    return [field for field in fields if isinstance(field, dict) and kind in field]
