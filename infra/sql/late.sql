-- The scheduled jobs of which no run has ended well for longer than their schedule has pauses.
WITH jobs AS (
  SELECT '' AS job, '' AS schedule, '' AS time_zone, 0 AS late_after_s
%{ for job in jobs ~}
  UNION ALL SELECT '${job.job}', '${job.schedule}', '${job.time_zone}', ${job.late_after_s}
%{ endfor ~}
),
ended_well AS (
  SELECT r.job, MAX(r.started_at) AS last_good_at
  FROM `${project}`.${dataset}.receipts AS r
  WHERE r.outcome IN ('landed', 'landed_with_skips', 'nothing_new', 'published')
  GROUP BY r.job
)
SELECT
  jobs.job,
  jobs.schedule,
  jobs.time_zone,
  ended_well.last_good_at,
  ended_well.last_good_at + INTERVAL (jobs.late_after_s) SECOND AS late_since
FROM jobs
LEFT JOIN ended_well ON ended_well.job = jobs.job
WHERE jobs.job != ''
  AND (
    ended_well.last_good_at IS NULL
    OR ended_well.last_good_at + INTERVAL (jobs.late_after_s) SECOND < CURRENT_TIMESTAMP
  )
