"""The state of an import as Pigment reports it: `GET /api/v1/import/{importId}/status` with its detailed report."""

from typing import Literal

import msgspec

from common.platform import http

_OF_IMPORTED_ROWS = "MissingModalityUseDefaultOrNullModality"


class SkippedRows(msgspec.Struct, frozen=True, rename="camel"):
    """Rows that Pigment skipped for one reason (`ApiSkippedData`)."""

    count: int = 0
    reason: str = ""
    source_column_name: str | None = None
    samples: list[str] | None = None
    "Some of the rows. They contain data."

    @property
    def are_imported(self) -> bool:
        """Whether the rows are in Pigment, with a default instead of an item that does not exist."""
        return self.reason == _OF_IMPORTED_ROWS


class ImpactedBlock(msgspec.Struct, frozen=True, rename="camel"):
    skipped_data: list[SkippedRows] | None = None


class ImportSummary(msgspec.Struct, frozen=True, rename="camel"):
    inserted_count: int = 0
    updated_count: int = 0
    deleted_count: int = 0
    skipped_count: int = 0


class ImportReport(msgspec.Struct, frozen=True, rename="camel"):
    block_type: str = ""
    "`List`, or `Metric`, whose cells can each take several rows."
    summary: ImportSummary | None = None
    impacted_blocks: list[ImpactedBlock] | None = None

    def skips(self) -> list[SkippedRows]:
        return [skip for block in self.impacted_blocks or [] for skip in block.skipped_data or []]


class ImportErrorDetail(msgspec.Struct, frozen=True):
    name: str | None = None
    description: str | None = None


class ImportState(msgspec.Struct, frozen=True, rename="camel"):
    """The state of an import. An unknown status counts as still in progress."""

    import_status: str
    errors_details: list[ImportErrorDetail] | None = None
    detailed_report: ImportReport | None = None

    @property
    def ended(self) -> Literal["completed", "failed"] | None:
        return {"Completed": "completed", "Failed": "failed"}.get(self.import_status)  # type: ignore[return-value]

    def reasons(self) -> str:
        """Pigment's explanation of a failure."""
        details = self.errors_details or []
        words = [f"{detail.name or 'Error'}: {detail.description or ''}".strip() for detail in details]
        return http.redacted("; ".join(words)) or "Pigment gave no reason."
