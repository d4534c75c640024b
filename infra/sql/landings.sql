-- One row for each run whose rows have landed in Pigment, or whose export was published.
SELECT
  r.job,
  r.kind,
  r.run,
  r.started_at,
  r.outcome,
  r.rows.read AS rows_read,
  r.rows.sent AS rows_sent,
  r.rows.inserted AS rows_inserted,
  r.rows.updated AS rows_updated,
  r.rows.deleted AS rows_deleted,
  r.rows.skipped AS rows_skipped,
  r.rows.held AS rows_held,
  r.verified,
  r.bytes,
  r.sha256,
  r.seconds.looker AS seconds_looker,
  r.seconds.pigment AS seconds_pigment,
  r.seconds.total AS seconds_total,
  r.calls.query AS looker_query_calls,
  r.calls.administrative AS looker_administrative_calls,
  r.configuration,
  r.import_id,
  r.object
FROM `${project}`.${dataset}.receipts AS r
WHERE r.outcome IN ('landed', 'landed_with_skips', 'published')
