"""The judgement of an import: what Pigment's report means for the run.

Pigment has no outcome between `Completed` and `Failed`. Only its counts show whether rows are missing. They describe
what an import changed, not what became of each row: several rows can end in one cell of a metric, and one row can count
in several blocks or for several columns. Rows therefore count as missing only if nothing else explains the numbers.
"""

from collections.abc import Iterator

from common.pigment.import_state import ImportReport, ImportState, ImportSummary, SkippedRows
from common.platform.errors import ImportFailed, TooManyDeleted, TooManySkipped
from common.runs import guards
from common.runs.ends import Failed, Landed, LandedInPart
from common.runs.leases import Journal
from common.runs.receipts import Rows, Skip


def judge(state: ImportState, journal: Journal) -> Landed | LandedInPart | Failed:
    """Return the end of an import; Pigment's `Completed` alone does not say whether rows were skipped or deleted."""
    if state.ended == "failed":
        return Failed(ImportFailed(f"Pigment's import failed. {state.reasons()}"))
    report = state.detailed_report or ImportReport()
    rows = _counts(report)
    uncounted = _uncounted(report, rows, journal.receipt.rows.sent)
    skips = tuple(_skip(skip, journal.samples) for skip in report.skips())
    warnings = tuple(_warnings(state, report, rows, uncounted))
    try:
        guards.expect_few_deletions(rows.deleted or 0, journal.max_deleted)
        reasons = (skip.reason for skip in skips)
        guards.expect_few_skips(rows.skipped or 0, journal.max_skipped, reasons, _what_follows(journal))
    except (TooManyDeleted, TooManySkipped) as error:
        return LandedInPart(error, rows, skips, warnings)
    # At a repeatable target an uncounted row may have been there already; Pigment does not say how it counts those.
    return Landed(rows, skips, warnings, missing=0 if journal.repeatable else uncounted)


def _what_follows(journal: Journal) -> str:
    """Return how the skipped rows land, once the reason for it is gone."""
    if not journal.repeatable:
        return "No run sends the skipped rows again, because the others would land twice: enter them in Pigment."
    if journal.delivery is not None:
        return f"Then import it again: `bridge deliveries replay {journal.receipt.job}/{journal.delivery}`."
    return "Then run again."


def _skip(rows: SkippedRows, samples: int) -> Skip:
    return Skip(rows.reason, rows.source_column_name, rows.count, (rows.samples or [])[:samples])


def _counts(report: ImportReport) -> Rows:
    """Return Pigment's counts. If it gives two for the skipped rows, the greater one is used."""
    skipped = max(_skipped_in_all(report), _skipped_by_reason(report))
    if report.summary is None:
        return Rows(skipped=skipped) if skipped else Rows()
    counts = report.summary
    return Rows(
        inserted=counts.inserted_count, updated=counts.updated_count, deleted=counts.deleted_count, skipped=skipped
    )


def _skipped_in_all(report: ImportReport) -> int:
    return max((report.summary or ImportSummary()).skipped_count, 0)


def _skipped_by_reason(report: ImportReport) -> int:
    return sum(max(skip.count, 0) for skip in report.skips())


def _uncounted(report: ImportReport, rows: Rows, sent: int | None) -> int:
    """Return how many of the rows that were sent are in none of Pigment's counts."""
    if sent is None or report.summary is None or report.block_type == "Metric":
        return 0
    imported_as_well = sum(max(skip.count, 0) for skip in report.skips() if skip.are_imported)
    counted = (rows.inserted or 0) + (rows.updated or 0) + (rows.skipped or 0)
    return max(sent - counted + imported_as_well, 0)


def _warnings(state: ImportState, report: ImportReport, rows: Rows, uncounted: int) -> Iterator[str]:
    if state.errors_details:
        yield f"Pigment completed the import and reported errors. {state.reasons()}"
    if report.summary is None:
        yield "Pigment sent no detailed report: it is not known whether it skipped rows."
        return
    in_all, by_reason = _skipped_in_all(report), _skipped_by_reason(report)
    if in_all != by_reason:
        yield f"Pigment's report counts {in_all:,} skipped rows in all, but {by_reason:,} by reason."
    if not (rows.inserted or rows.updated or rows.deleted or rows.skipped):
        yield "Pigment counted no row as inserted, updated, deleted or skipped."
    elif uncounted:
        counted = f"{rows.inserted:,} inserted, {rows.updated:,} updated and {rows.skipped:,} skipped rows"
        yield f"Pigment's report does not account for {uncounted:,} of the rows that were sent: it counts {counted}."
