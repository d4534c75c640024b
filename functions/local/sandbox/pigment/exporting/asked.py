"""What an export may ask for, in the words of Pigment's API description; a field it does not know is refused."""

from typing import Literal
from uuid import UUID

import msgspec

DateFormat = Literal["Legacy", "Iso8601"]
Delimiter = Literal["Semicolon", "Comma"]
Comparison = Literal["LessThan", "LessThanOrEqual", "Equal", "NotEqual", "GreaterThan", "GreaterThanOrEqual"]


class _Asked(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    pass


class DimensionFilter(_Asked, frozen=True):
    dimension_id: UUID
    modality_ids: list[UUID]


class PropertyFilter(_Asked, frozen=True):
    property_technical_name: str
    modality_ids: list[UUID]


class Condition(_Asked, frozen=True):
    type: Comparison | Literal["IsNotBlank"]
    value: str | float | int | bool | None = None


class ValueFilter(_Asked, frozen=True):
    metric_id: UUID
    condition: Condition


class ExportFilter(_Asked, frozen=True):
    type: Literal["And", "Or", "Dimension", "Value"]
    all_of: "list[ExportFilter] | None" = msgspec.field(default=None, name="and")
    any_of: "list[ExportFilter] | None" = msgspec.field(default=None, name="or")
    dimension: DimensionFilter | None = None
    value: ValueFilter | None = None


class Field(_Asked, frozen=True):
    """One column of a table's file; a scenario's has no source."""

    type: Literal["DimensionField", "ScenarioField", "ValueField"]
    source_id: UUID | None
    display_name: str | None = None


class BlockRequest(_Asked, frozen=True):
    friendly_headers: bool | None = None
    date_format: DateFormat | None = None
    field_delimiter: Delimiter | None = None
    decimal_separator: Literal["Comma", "Dot"] | None = None
    encoding: Literal["Utf8WithBom", "Utf8WithoutBom"] | None = None


class ListRequest(BlockRequest, frozen=True):
    property_technical_names: list[str] | None = None
    list_filter: list[UUID] | None = None
    property_filters: list[PropertyFilter] | None = None


class GridRequest(BlockRequest, frozen=True):
    scenarios: list[UUID] | None = None
    filters: list[DimensionFilter] | None = None
    export_filter: ExportFilter | None = None


class TableRequest(GridRequest, frozen=True):
    metrics: list[UUID] | None = None
    fields: list[Field] | None = None


class Unanswerable(ValueError):
    """It is well-formed, and the block has no such thing."""
