"""The contents of a workspace, and its reports with the names of Pigment's API description."""

from collections.abc import Sequence
from typing import Literal

import msgspec

Scope = Literal["Import", "Export", "Modeling metadata"]
BlockType = Literal["DimensionList", "TransactionList", "Metric", "Table"]
PropertyType = Literal["text", "number", "integer", "date", "boolean", "dimension"]
ViewType = Literal["Public", "Personal"]
Clear = Literal["none", "all", "scope"]
Status = Literal["InProgress", "Completed", "Failed"]
SkipReason = Literal[
    "ParsingError",
    "MissingModalityUseDefaultOrNullModality",
    "MissingModalitySkippedDataRow",
    "MissingWriteAccessRights",
    "MissingModalitiesFromSnapshot",
]


class ApiKey(msgspec.Struct, frozen=True, tag_field="record", tag="Key"):
    """An API key; only its digest is stored."""

    id: str
    scopes: frozenset[Scope]


class SandboxApplication(msgspec.Struct, frozen=True, tag_field="record", tag="Application"):
    id: str
    name: str


class Block(msgspec.Struct, frozen=True, tag_field="record"):
    """A list, metric or table; the first property of a list names its items."""

    id: str
    application: str
    name: str
    type: BlockType
    properties: dict[str, PropertyType]
    metrics: tuple[str, ...] = ()
    "The metrics of a Table, by their blocks."

    def position(self, name: str) -> int:
        return list(self.properties).index(name)


class View(msgspec.Struct, frozen=True, tag_field="record"):
    """A saved view of a block. It shows the whole block."""

    id: str
    block: str
    name: str
    type: ViewType
    exportable: bool
    "False if the view does not show a list, metric or table."


class Scenario(msgspec.Struct, frozen=True, tag_field="record"):
    id: str
    application: str
    name: str
    blocks: dict[str, str]
    "Metrics with values of their own in this scenario, and the blocks that contain these values."


class BlockColumn(msgspec.Struct, frozen=True):
    """The format of one CSV column and the property that it fills."""

    header: str
    type: PropertyType = "text"
    property: str = ""
    "The default is the header."
    format: str = "%Y-%m-%d"
    "The format of a date, as for strptime."
    to: str | None = None
    "The DimensionList that a dimension column refers to."
    missing: Literal["skip", "blank", "create"] = "skip"
    "The treatment of a row whose item does not exist in the dimension."

    def __post_init__(self) -> None:
        if not self.property:
            msgspec.structs.force_setattr(self, "property", self.header)


class Configuration(msgspec.Struct, frozen=True, tag_field="record"):
    """An import configuration: the format of a CSV and its effect on a block."""

    id: str
    block: str
    name: str
    columns: tuple[BlockColumn, ...]
    delimiter: str = ","
    unique: tuple[str, ...] = ()
    "Properties that identify a row; rows with the same values are updated instead of appended."
    clear: Clear = "none"
    scope: tuple[str, ...] = ()
    "Properties; `clear` deletes only rows whose values for them occur in the file."
    learn: bool = False
    "Whether the header of the first file completes the columns, like a sample CSV in Pigment's wizard."

    @property
    def properties(self) -> list[str]:
        return [column.property for column in self.columns]

    def key(self, block: Block) -> Sequence[str]:
        """Return the properties that identify a row; none if rows are appended."""
        if self.unique:
            return self.unique
        if block.type == "Metric":
            return [column.property for column in self.columns if column.type == "dimension"]
        return list(block.properties)[:1] if block.type == "DimensionList" else []


class ErrorDetail(msgspec.Struct, frozen=True):
    name: str
    description: str


class SkippedData(msgspec.Struct, frozen=True, rename="camel"):
    count: int
    reason: SkipReason
    source_column_name: str | None
    samples: list[str]


class Summary(msgspec.Struct, frozen=True, rename="camel"):
    inserted_count: int
    updated_count: int
    deleted_count: int
    skipped_count: int


class ReportedBlock(msgspec.Struct, frozen=True, rename="camel"):
    block_id: str
    inserted_count: int
    updated_count: int
    deleted_count: int
    skipped_data: list[SkippedData]
    scenario_id: str | None = None


class AutoCreated(msgspec.Struct, frozen=True, rename="camel"):
    block_id: str
    count: int


class DetailedReport(msgspec.Struct, frozen=True, rename="camel"):
    block_type: Literal["Metric", "List"]
    summary: Summary
    impacted_blocks: list[ReportedBlock]
    auto_created_dimension_modalities: list[AutoCreated]


class SandboxImport(msgspec.Struct, frozen=True, tag_field="record"):
    """One accepted file and the result of its import."""

    id: str
    configuration: str
    created_s: float
    bytes: int
    sha256: str
    status: Status = "InProgress"
    ended_s: float | None = None
    rows: int = 0
    "Data rows in the file; 0 until the import has run."
    errors: list[ErrorDetail] = []
    report: DetailedReport | None = None


class StatusReport(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to a status call."""

    import_id: str
    created_at: str
    import_status: Status
    completed_at: str | None = None
    errors_details: list[ErrorDetail] | None = None
    detailed_report: DetailedReport | msgspec.UnsetType = msgspec.UNSET
    "Omitted instead of null: the API description does not allow null here."


class ImportFailure(Exception):
    """An import ends as `Failed`, with these `errorsDetails`."""

    def __init__(self, name: str, description: str) -> None:
        super().__init__(description)
        self.detail = ErrorDetail(name, description)


def check(configuration: Configuration, block: Block) -> None:
    """Validate a configuration as Pigment's wizard does. Raises ValueError if it does not fit the block."""
    names = configuration.properties
    headers = [column.header for column in configuration.columns]
    key = configuration.key(block)
    unknown = [name for name in (*key, *configuration.scope) if name not in names]
    faults = {
        "a Table cannot be imported into": block.type == "Table",
        "two columns share a header": len(set(headers)) < len(headers),
        "two columns fill one property": len(set(names)) < len(names),
        f"no column fills {', '.join(unknown)}": bool(unknown),
        "a DimensionList cannot be cleared": block.type == "DimensionList" and configuration.clear != "none",
        "clear and scope go together": (configuration.clear == "scope") != bool(configuration.scope),
        "a dimension column needs `to`, the list that it refers to": any(
            column.type == "dimension" and not column.to for column in configuration.columns
        ),
        "a Metric needs dimension columns (or unique) and a value": block.type == "Metric"
        and not 0 < len(key) < len(names),
    }
    found = [fault for fault, present in faults.items() if present]
    if found:
        raise ValueError(f"Import configuration {configuration.name!r}: {'; '.join(found)}.")


def add_properties(block: Block, columns: Sequence[BlockColumn]) -> Block:
    """Return the block with a property for every column. Raises ValueError if their types differ."""
    properties = dict(block.properties)
    for column in columns:
        if properties.setdefault(column.property, column.type) != column.type:
            raise ValueError(
                f"{block.name}: {column.property!r} is a {properties[column.property]}, "
                f"but its column is a {column.type}."
            )
    return msgspec.structs.replace(block, properties=properties)
