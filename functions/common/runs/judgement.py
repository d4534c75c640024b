"""The judgement of an import: what Pigment's report means for the run."""

from common.pigment.import_state import ImportState
from common.platform.errors import ImportFailed, TooManyDeleted, TooManySkipped
from common.runs import guards
from common.runs.ends import Failed, Landed, LandedInPart
from common.runs.leases import Journal
from common.runs.receipts import Rows, Skip


def judge(state: ImportState, journal: Journal) -> Landed | LandedInPart | Failed:
    """Return the end of an import; Pigment's `Completed` alone does not say whether rows were skipped or deleted."""
    if state.ended == "failed":
        return Failed(ImportFailed(f"Pigment's import failed. {state.reasons()}"))
    report = state.detailed_report
    if report is None or report.summary is None:
        return Landed(warnings=("Pigment sent no detailed report: it is not known whether it skipped rows.",))
    counts, skipped = report.summary, max(report.summary.skipped_count, 0)
    inserted, updated, deleted = counts.inserted_count, counts.updated_count, counts.deleted_count
    rows = Rows(inserted=inserted, updated=updated, deleted=deleted, skipped=skipped)
    skips = tuple(Skip(skip.reason, skip.source_column_name, skip.count) for skip in report.skips())
    is_empty = not (inserted or updated or deleted or skipped)
    warnings = ("Pigment counted no row as inserted, updated, deleted or skipped.",) if is_empty else ()
    try:
        guards.expect_few_deletions(deleted, journal.max_deleted)
        guards.expect_few_skips(skipped, journal.max_skipped)
    except (TooManyDeleted, TooManySkipped) as error:
        return LandedInPart(error, rows, skips, warnings)
    return Landed(rows, skips, warnings)
