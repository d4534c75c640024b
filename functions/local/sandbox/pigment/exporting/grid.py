"""The export of a metric or a table: dimensions as rows, metrics as columns, one scenario after the other."""

# ruff: noqa: S608  # names consist of positions and UUIDs; literal() quotes every text from outside
import dataclasses
import datetime as dt
from collections.abc import Iterable, Sequence

from local.sandbox.duckdb_engine import literal
from local.sandbox.pigment.database import comparable, table
from local.sandbox.pigment.exporting import names
from local.sandbox.pigment.exporting.csv_text import ExportedField, Extract
from local.sandbox.pigment.exporting.request_bodies import (
    Comparison,
    GridRequest,
    RequestedCondition,
    RequestedDimensionFilter,
    RequestedField,
    RequestedFilter,
    RequestedValueFilter,
    TableRequest,
    Unanswerable,
)
from local.sandbox.pigment.model import Block, PropertyType, Scenario

_OPERATORS: dict[Comparison, str] = {
    "LessThan": "<",
    "LessThanOrEqual": "<=",
    "Equal": "=",
    "NotEqual": "IS DISTINCT FROM",
    "GreaterThan": ">",
    "GreaterThanOrEqual": ">=",
}
_ROWS_OF_ONE_METRIC = 1 << 40


@dataclasses.dataclass(frozen=True)
class Dimension:
    """A dimension of one or more metrics; metrics that refer to the same list share it."""

    id: str
    name: str
    type: PropertyType


@dataclasses.dataclass(frozen=True)
class Metric:
    block: Block
    dimensions: dict[Dimension, str]
    "Each dimension, and the property that refers to its items."
    value: str
    "The property that contains the metric's values."

    @property
    def type(self) -> PropertyType:
        return self.block.properties[self.value]


@dataclasses.dataclass(frozen=True)
class Grid:
    """Several metrics side by side; the exported ones come first."""

    metrics: Sequence[Metric]
    shown: int
    holders: Sequence[tuple[Scenario | None, Sequence[Metric]]]
    "For each scenario, the blocks that contain the metrics' values."

    @property
    def dimensions(self) -> list[Dimension]:
        return list(dict.fromkeys(dimension for metric in self.metrics for dimension in metric.dimensions))

    def for_view(self) -> Extract:
        """Return the extract of a view, with display names."""
        return Extract(self._every_field(friendly=True), self._sources("true"))

    def for_request(self, requested: GridRequest) -> Extract:
        """Return the extract of a request. Raises Unanswerable if the block lacks a field or does not fit a filter."""
        conditions = [self._is_item(each) for each in requested.filters or ()]
        conditions += [self._filter(requested.export_filter)] if requested.export_filter else []
        friendly = bool(requested.friendly_headers)
        chosen = requested.fields if isinstance(requested, TableRequest) else None
        fields = self._every_field(friendly) if chosen is None else [self._field(each, friendly) for each in chosen]
        return Extract(fields, self._sources(" AND ".join(conditions) or "true"))

    def _every_field(self, friendly: bool) -> list[ExportedField]:
        """Pigment does not document the position of the scenario; here it follows the dimensions."""
        scenarios = [self._scenario(friendly)] if self._names_scenarios else []
        dimensions = [self._dimension(each, friendly) for each in self.dimensions]
        return [*dimensions, *scenarios, *(self._value(each, friendly) for each in self.metrics[: self.shown])]

    def _field(self, requested: RequestedField, friendly: bool) -> ExportedField:
        found = self._found(requested, friendly)
        if found is None:
            raise Unanswerable(f"There is no {requested.type} {requested.source_id}.")
        return found if requested.display_name is None else dataclasses.replace(found, header=requested.display_name)

    def _found(self, requested: RequestedField, friendly: bool) -> ExportedField | None:
        wanted = str(requested.source_id)
        match requested.type:
            case "DimensionField":
                return next((self._dimension(each, friendly) for each in self.dimensions if each.id == wanted), None)
            case "ValueField":
                shown = self.metrics[: self.shown]
                return next((self._value(each, friendly) for each in shown if each.block.id == wanted), None)
            case _:
                return self._scenario(friendly) if self._names_scenarios else None

    def _dimension(self, dimension: Dimension, friendly: bool) -> ExportedField:
        header = dimension.name if friendly else names.technical(dimension.id, dimension.name)
        return ExportedField(header, self._column(dimension), dimension.type)

    def _value(self, metric: Metric, friendly: bool) -> ExportedField:
        header = metric.block.name if friendly else names.technical(metric.block.id, metric.block.name)
        return ExportedField(header, f"m{self.metrics.index(metric)}", metric.type)

    def _scenario(self, friendly: bool) -> ExportedField:
        application = self.metrics[0].block.application
        return ExportedField("Scenario" if friendly else names.technical(application, "Scenario"), "scenario", "text")

    @property
    def _names_scenarios(self) -> bool:
        return any(scenario for scenario, _ in self.holders)

    def _column(self, dimension: Dimension) -> str:
        return f"d{self.dimensions.index(dimension)}"

    def _sources(self, condition: str) -> list[str]:
        return [f"({self._rows(scenario, metrics)}) WHERE {condition}" for scenario, metrics in self.holders]

    def _rows(self, scenario: Scenario | None, holders: Sequence[Metric]) -> str:
        """Return a row for every cell of an exported metric, in the order of import, not in the order of the lists."""
        name = literal(scenario.name) if scenario else "NULL"
        cells = [self._cells(n, metric) for n, metric in enumerate(holders)]
        if len(cells) == 1:
            return f"SELECT *, {name} AS scenario FROM ({cells[0]})"
        dimensions = [f"d{n}" for n in range(len(self.dimensions))]
        values = [f"any_value(m{n}) AS m{n}" for n in range(len(holders))]
        is_shown = " OR ".join(f"any_value(m{n}) IS NOT NULL" for n in range(self.shown))
        return (
            f"SELECT {', '.join([*dimensions, *values])}, {name} AS scenario "
            f"FROM ({' UNION ALL '.join(cells)}) {'GROUP BY ' + ', '.join(dimensions) if dimensions else ''} "
            f"HAVING {is_shown} ORDER BY min(position)"
        )

    def _cells(self, n: int, metric: Metric) -> str:
        dimensions = [
            f"{_property(metric, metric.dimensions[each]) if each in metric.dimensions else 'NULL'} AS d{position}"
            for position, each in enumerate(self.dimensions)
        ]
        values = [
            f"{_property(metric, metric.value) if position == n else 'NULL'} AS m{position}"
            for position in range(len(self.metrics))
        ]
        position = f"rowid + {n * _ROWS_OF_ONE_METRIC} AS position"
        filled = f"{_property(metric, metric.value)} IS NOT NULL"
        return f"SELECT {', '.join([*dimensions, *values, position])} FROM {table(metric.block)} WHERE {filled}"

    def _filter(self, requested: RequestedFilter) -> str:
        parts = {
            "And": requested.all_of,
            "Or": requested.any_of,
            "Dimension": requested.dimension,
            "Value": requested.value,
        }
        match parts[requested.type]:
            case list() as parts_of_it:
                joined = f" {requested.type.upper()} ".join(self._filter(each) for each in parts_of_it)
                return f"({joined or 'true'})"
            case RequestedDimensionFilter() as dimension:
                return self._is_item(dimension)
            case RequestedValueFilter() as value:
                return self._compares(value)
        raise Unanswerable(f"A filter of the type {requested.type} needs the field {requested.type.lower()!r}.")

    def _is_item(self, requested: RequestedDimensionFilter) -> str:
        """The description: only rows where the target dimension is defined will be filtered by this."""
        dimension = next((each for each in self.dimensions if each.id == str(requested.dimension_id)), None)
        if dimension is None or not requested.modality_ids:
            return "true"
        column = self._column(dimension)
        return f"({column} IS NULL OR {names.is_modality(dimension.id, column, requested.modality_ids)})"

    def _compares(self, requested: RequestedValueFilter) -> str:
        """The description: only rows where that metric could be defined, all its dimensions are, will be filtered."""
        metric = next(each for each in self.metrics if each.block.id == str(requested.metric_id))
        undefined = [f"{self._column(each)} IS NULL" for each in metric.dimensions]
        value = comparable(f"m{self.metrics.index(metric)}", metric.type)
        return f"({' OR '.join([*undefined, _condition(value, metric.type, requested.condition)])})"


def filtered_metrics(requested: RequestedFilter | None) -> Iterable[str]:
    """Return the metrics that a filter compares."""
    if requested:
        for each in (*(requested.all_of or ()), *(requested.any_of or ())):
            yield from filtered_metrics(each)
        if requested.value:
            yield str(requested.value.metric_id)


def _property(metric: Metric, name: str) -> str:
    return f"p{metric.block.position(name)}"


def _condition(value: str, kind: PropertyType, requested: RequestedCondition) -> str:
    if requested.type == "IsNotBlank":
        if requested.value is not None:
            raise Unanswerable("IsNotBlank does not accept a value.")
        return f"{value} IS NOT NULL"
    return f"coalesce({value} {_OPERATORS[requested.type]} {_operand(kind, requested)}, false)"


def _operand(kind: PropertyType, requested: RequestedCondition) -> str:
    """The description: must be the same type as the property being filtered."""
    match kind, requested.value:
        case "boolean", bool() as flag:
            return str(flag).lower()
        case "number" | "integer", (int() | float()) as number if not isinstance(number, bool):
            return repr(number)
        case "date", str() as text:
            try:
                return f"DATE {literal(dt.date.fromisoformat(text).isoformat())}"
            except ValueError:
                raise Unanswerable(f"{text} is not a date.") from None
        case "text" | "dimension", str() as text:
            return literal(text)
    raise Unanswerable(f"A {kind} cannot be compared with {requested.value!r}.")
