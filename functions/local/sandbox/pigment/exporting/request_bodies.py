"""Bodies of export requests, with the names of Pigment's API description. Unknown fields are refused."""

from typing import Literal
from uuid import UUID

import msgspec

DateFormat = Literal["Legacy", "Iso8601"]
DelimiterName = Literal["Semicolon", "Comma"]
Comparison = Literal["LessThan", "LessThanOrEqual", "Equal", "NotEqual", "GreaterThan", "GreaterThanOrEqual"]


class _RequestBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    pass


class RequestedDimensionFilter(_RequestBody, frozen=True):
    dimension_id: UUID
    modality_ids: list[UUID]


class RequestedPropertyFilter(_RequestBody, frozen=True):
    property_technical_name: str
    modality_ids: list[UUID]


class RequestedCondition(_RequestBody, frozen=True):
    type: Comparison | Literal["IsNotBlank"]
    value: str | float | int | bool | None = None


class RequestedValueFilter(_RequestBody, frozen=True):
    metric_id: UUID
    condition: RequestedCondition


class RequestedFilter(_RequestBody, frozen=True):
    type: Literal["And", "Or", "Dimension", "Value"]
    all_of: "list[RequestedFilter] | None" = msgspec.field(default=None, name="and")
    any_of: "list[RequestedFilter] | None" = msgspec.field(default=None, name="or")
    dimension: RequestedDimensionFilter | None = None
    value: RequestedValueFilter | None = None


class RequestedField(_RequestBody, frozen=True):
    """One column of a table's file; the scenario column has no source."""

    type: Literal["DimensionField", "ScenarioField", "ValueField"]
    source_id: UUID | None
    display_name: str | None = None


class BlockRequest(_RequestBody, frozen=True):
    friendly_headers: bool | None = None
    date_format: DateFormat | None = None
    field_delimiter: DelimiterName | None = None
    decimal_separator: Literal["Comma", "Dot"] | None = None
    encoding: Literal["Utf8WithBom", "Utf8WithoutBom"] | None = None


class ListRequest(BlockRequest, frozen=True):
    property_technical_names: list[str] | None = None
    list_filter: list[UUID] | None = None
    property_filters: list[RequestedPropertyFilter] | None = None


class GridRequest(BlockRequest, frozen=True):
    scenarios: list[UUID] | None = None
    filters: list[RequestedDimensionFilter] | None = None
    export_filter: RequestedFilter | None = None


class TableRequest(GridRequest, frozen=True):
    metrics: list[UUID] | None = None
    fields: list[RequestedField] | None = None


class Unanswerable(ValueError):
    """The request is well-formed, but it does not fit the block."""
