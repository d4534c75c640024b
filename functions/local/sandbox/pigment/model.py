"""What a workspace holds, and the reports it gives in the words of Pigment's API description."""

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
    """An API key, known only by its digest."""

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
    "The blocks that a Table shows side by side."

    def position(self, name: str) -> int:
        return list(self.properties).index(name)


class View(msgspec.Struct, frozen=True, tag_field="record"):
    """What a person made of a block to look at; it shows all of it."""

    id: str
    block: str
    name: str
    type: ViewType
    exportable: bool
    "False where what lies under it is no list, metric or table."


class Scenario(msgspec.Struct, frozen=True, tag_field="record"):
    id: str
    application: str
    name: str
    blocks: dict[str, str]
    "Metrics whose values it does not share with the default scenario, and the blocks that hold them."


class BlockColumn(msgspec.Struct, frozen=True):
    """How one CSV column is read and which property it fills."""

    header: str
    type: PropertyType = "text"
    property: str = ""
    "The header, where nothing else is said."
    format: str = "%Y-%m-%d"
    "Of a date, in strptime's letters."
    to: str | None = None
    "The DimensionList whose items a dimension column names."
    missing: Literal["skip", "blank", "create"] = "skip"
    "What happens to a row that names an item its dimension lacks."

    def __post_init__(self) -> None:
        if not self.property:
            msgspec.structs.force_setattr(self, "property", self.header)


class Configuration(msgspec.Struct, frozen=True, tag_field="record"):
    """An import configuration: how a CSV is read and what it does to its block."""

    id: str
    block: str
    name: str
    columns: tuple[BlockColumn, ...]
    delimiter: str = ","
    unique: tuple[str, ...] = ()
    "Properties; rows with the same values are updated in place of appended."
    clear: Clear = "none"
    scope: tuple[str, ...] = ()
    "Properties; `clear` deletes only where their values are among the file's."
    learn: bool = False
    "The first file's header completes the columns, as a sample CSV does in Pigment's wizard."

    @property
    def properties(self) -> list[str]:
        return [column.property for column in self.columns]

    def key(self, block: Block) -> Sequence[str]:
        """The properties that tell one row from another; none where rows are appended."""
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
    """One accepted file and how its import ended."""

    id: str
    configuration: str
    created_s: float
    bytes: int
    sha256: str
    status: Status = "InProgress"
    ended_s: float | None = None
    rows: int = 0
    "Data rows found in the file; 0 until the import has run."
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
    "Left out rather than null, which its description rules out by what it refers to."


class ImportFailure(Exception):
    """What makes an import end as `Failed`, in the words of `errorsDetails`."""

    def __init__(self, name: str, description: str) -> None:
        super().__init__(description)
        self.detail = ErrorDetail(name, description)


def check(configuration: Configuration, block: Block) -> None:
    """A configuration Pigment's wizard would not let anyone save.

    Raises:
        ValueError: it cannot work on this block.
    """
    names = configuration.properties
    headers = [column.header for column in configuration.columns]
    key = configuration.key(block)
    unknown = [name for name in (*key, *configuration.scope) if name not in names]
    faults = {
        "a Table takes no imports": block.type == "Table",
        "two columns share a header": len(set(headers)) < len(headers),
        "two columns fill one property": len(set(names)) < len(names),
        f"no column fills {', '.join(unknown)}": bool(unknown),
        "a DimensionList cannot be cleared": block.type == "DimensionList" and configuration.clear != "none",
        "clear and scope go together": (configuration.clear == "scope") != bool(configuration.scope),
        "a dimension column says which list it names, with `to`": any(
            column.type == "dimension" and not column.to for column in configuration.columns
        ),
        "a Metric needs dimension columns (or unique) and a value": block.type == "Metric"
        and not 0 < len(key) < len(names),
    }
    found = [fault for fault, present in faults.items() if present]
    if found:
        raise ValueError(f"Import configuration {configuration.name!r}: {'; '.join(found)}.")


def add_properties(block: Block, columns: Sequence[BlockColumn]) -> Block:
    """The block with a property for every column.

    Raises:
        ValueError: a column reads a property as something it is not.
    """
    properties = dict(block.properties)
    for column in columns:
        if properties.setdefault(column.property, column.type) != column.type:
            raise ValueError(
                f"{block.name}: {column.property!r} is {properties[column.property]}, the column {column.type}."
            )
    return msgspec.structs.replace(block, properties=properties)
