# The alerts. Most of them match a log line of the functions. Each notification says what happened, what to do, and the command
# for it; where the log line has a next step, it is included.

locals {
  _channels = concat(var.alerts.channels, [for channel in google_monitoring_notification_channel.emails : channel.id])

  # Errors that the next run resolves. If no run succeeds, landing_overdue reports it.
  _temporary_codes = ["bigquery_busy", "configuration_occupied", "landing_unconfirmed", "lease_lost", "looker_busy", "pigment_busy", "run_interrupted", "storage_busy"]

  # Errors of the bridge or a vendor, as opposed to errors of the caller. At webhook-receive they cost a delivery, because Looker
  # does not send it again.
  _server_codes = [
    "answer_not_understood", "bigquery_busy", "bigquery_refused", "block_not_found", "bridge_file_invalid", "disk_full", "file_refused", "file_too_big",
    "import_configuration_not_found", "import_failed", "internal", "landing_unconfirmed", "landing_unknown", "lease_lost", "look_not_found", "looker_busy",
    "looker_login_refused", "looker_refused", "out_of_time", "pigment_busy", "pigment_key_refused", "pigment_refused",
    "query_failed", "rows_malformed", "run_interrupted", "secret_unreadable", "setting_missing", "storage_busy",
    "storage_refused", "stream_cut", "view_not_supported", "view_too_big",
  ]

  _bridge_command = "BRIDGE_BUCKET=${local._bucket} GOOGLE_CLOUD_PROJECT=${var.project_id} bridge"
  _gcloud_options = "--project=${var.project_id}"
  _sweep_log      = "gcloud logging read 'resource.labels.service_name=\"${local._functions["sweep"].name}\" AND severity>=WARNING' --freshness=1d ${local._gcloud_options}"
  _job_receipts   = "gs://${local._bucket}/receipts/$${log.extracted_label.job}/"

  # By name. `repeat_s` is the time before the same alert notifies again.
  _log_alerts = {
    block_not_compared = {
      title    = "rows in Pigment could not be compared"
      severity = "WARNING"
      repeat_s = 86400
      filter   = "${local._from_functions} AND jsonPayload.message=(\"run ended\" OR \"block read back\") AND jsonPayload.verified=\"impossible\""
      labels   = { job = "job", run = "run" }
      happened = "Run $${log.extracted_label.run} of the job $${log.extracted_label.job} landed, and its rows could not be compared with those in Pigment, although the job has `verify`. The `warnings` in its receipt, under ${local._job_receipts}, say why."
      action   = "Correct `verify` of the job in bridge.yaml, or the scopes of the export key. Then compare the rows."
      commands = [
        "${local._bridge_command} runs $${log.extracted_label.run}",
        "${local._bridge_command} verify $${log.extracted_label.job}",
      ]
    }
    call_refused = {
      title    = "a request failed before a run started"
      severity = "ERROR"
      repeat_s = 3600
      filter   = "${local._from_functions} AND jsonPayload.message=\"request refused\" AND jsonPayload.error.code=(${join(" OR ", local._server_codes)})"
      labels   = { code = "error.code", next_step = "error.next_step" }
      happened = "A function answered a request with the error `$${log.extracted_label.code}`. No run started, so the request leaves no receipt."
      action   = "$${log.extracted_label.next_step} If ${local._functions["webhook_receive"].name} logged the error, a webhook delivery was not accepted. Looker shows it as failed and does not retry it: after the fix, send it again from the schedule in Looker."
      commands = ["gcloud logging read 'jsonPayload.message=\"request refused\"' --freshness=1d ${local._gcloud_options}"]
    }
    delivery_dead = {
      title    = "a webhook delivery was refused"
      severity = "ERROR"
      repeat_s = 300
      filter   = "${local._from_functions} AND jsonPayload.message=\"inbox processed\" AND jsonPayload.dead>0"
      labels   = {}
      happened = "A webhook delivery was refused for good. It is stored under gs://${local._bucket}/dead/ and its receipt under gs://${local._bucket}/receipts/RELAY/."
      action   = "List the deliveries to see the reason, fix the cause, then replay the delivery."
      commands = ["${local._bridge_command} deliveries", "${local._bridge_command} deliveries replay ID"]
    }
    delivery_waiting = {
      title    = "a webhook delivery is delayed"
      severity = "WARNING"
      repeat_s = 21600
      filter   = "${local._inbox_sweeps} AND jsonPayload.oldest_waiting_s>${var.alerts.waiting_after}"
      labels   = {}
      happened = "A webhook delivery has been waiting for more than ${var.alerts.waiting_after} seconds. It is stored and not lost. Receipts of attempts are under gs://${local._bucket}/receipts/RELAY/."
      action   = "List the deliveries to see the reason. If a vendor is busy, no action is needed. If a run has the outcome `unknown`, settle it. If the relay was removed from bridge.yaml, add it again."
      commands = ["${local._bridge_command} deliveries", "${local._bridge_command} runs"]
    }
    landing_overdue = {
      title    = "a scheduled job is overdue"
      severity = "ERROR"
      repeat_s = 21600
      filter   = "${local._from_functions} AND jsonPayload.message=\"landing overdue\""
      labels   = { due_at = "due_at", job = "job", kind = "kind", last_good_at = "last_good_at" }
      happened = "The $${log.extracted_label.kind} $${log.extracted_label.job} was due at $${log.extracted_label.due_at} and has not succeeded since. Its last success was at $${log.extracted_label.last_good_at}. Its receipts are under ${local._job_receipts}."
      action   = "List its runs. If they failed, follow the next step in the newest receipt. If there are none, check that its schedule in Cloud Scheduler is enabled. Then run the job."
      commands = [
        "${local._bridge_command} runs $${log.extracted_label.job}",
        "gcloud scheduler jobs describe ${var.prefix}-$${log.extracted_label.kind}-$${log.extracted_label.job} --location=${var.region} ${local._gcloud_options}",
        "gcloud scheduler jobs run ${var.prefix}-$${log.extracted_label.kind}-$${log.extracted_label.job} --location=${var.region} ${local._gcloud_options}",
      ]
    }
    outcome_unknown = {
      title    = "Pigment did not confirm an import"
      severity = "CRITICAL"
      repeat_s = 300
      filter   = "${local._run_ended} AND jsonPayload.outcome=\"unknown\" AND jsonPayload.error.code=\"landing_unknown\""
      labels   = { job = "job", next_step = "error.next_step", run = "run" }
      happened = "Pigment may have accepted the file of run $${log.extracted_label.run} of the job $${log.extracted_label.job} but did not confirm it. Sending it again could double its rows, so nothing is sent to this import configuration until a person has settled the run. Its receipt is under ${local._job_receipts}."
      action   = "$${log.extracted_label.next_step}"
      commands = [
        "${local._bridge_command} settle $${log.extracted_label.run} --landed",
        "${local._bridge_command} settle $${log.extracted_label.run} --not-landed",
      ]
    }
    rows_skipped = {
      title    = "rows were skipped"
      severity = "WARNING"
      repeat_s = 3600
      filter   = "${local._run_ended} AND (jsonPayload.rows.skipped>0 OR jsonPayload.rows.held>0)"
      labels   = { job = "job" }
      happened = "Pigment skipped rows of the job $${log.extracted_label.job}, or the bridge held them back. The `skips` in its receipt, under ${local._job_receipts}, name the column, the reason and the number of rows."
      action   = "Add the missing items in Pigment or fix the rows in Looker. If the target is repeatable, run the job again then; otherwise the skipped rows are not sent again, and have to be entered in Pigment. If the rows may be skipped, raise guards.max_skipped."
      commands = ["${local._bridge_command} runs $${log.extracted_label.job} --json"]
    }
    run_failed = {
      title    = "a run failed or was refused"
      severity = "ERROR"
      repeat_s = 3600
      filter   = "${local._run_ended} AND jsonPayload.outcome=(\"failed\" OR \"refused\") AND NOT jsonPayload.error.code=(${join(" OR ", local._temporary_codes)})"
      labels   = { code = "error.code", job = "job", kind = "kind", next_step = "error.next_step", outcome = "outcome" }
      happened = "A run of the $${log.extracted_label.kind} $${log.extracted_label.job} ended as `$${log.extracted_label.outcome}` with the error `$${log.extracted_label.code}`. Its receipt is under ${local._job_receipts}."
      action   = "$${log.extracted_label.next_step}"
      commands = ["${local._bridge_command} runs $${log.extracted_label.job}", "${local._bridge_command} check"]
    }
    run_held = {
      title    = "a run waits for approval"
      severity = "WARNING"
      repeat_s = 300
      filter   = "${local._run_ended} AND jsonPayload.outcome=\"held\""
      labels   = { changes = "error.message", job = "job", next_step = "error.next_step", run = "run" }
      happened = "Run $${log.extracted_label.run} of the job $${log.extracted_label.job} sent nothing and waits for a person: $${log.extracted_label.changes} Its receipt is under ${local._job_receipts}."
      action   = "$${log.extracted_label.next_step}"
      commands = [
        "${local._bridge_command} approve $${log.extracted_label.run}",
        "${local._bridge_command} reject $${log.extracted_label.run}",
      ]
    }
    secret_ending = {
      title    = "a secret expires"
      severity = "WARNING"
      repeat_s = 86400
      filter   = "${local._from_functions} AND jsonPayload.message=\"secret expires soon\""
      labels   = { expires = "expires", secret = "secret" }
      happened = "The key in the secret $${log.extracted_label.secret} stops working on $${log.extracted_label.expires}. From that day on, runs that need it fail; their receipts are under gs://${local._bucket}/receipts/."
      action   = "Create a new key with the vendor and add it as a version of the secret. The functions find it without a deployment. Then write its expiry under `secrets` in bridge.yaml and run Terraform."
      commands = ["gcloud secrets versions add $${log.extracted_label.secret} --data-file=- ${local._gcloud_options}"]
    }
    watch_blind = {
      title    = "the check for overdue jobs failed"
      severity = "ERROR"
      repeat_s = 21600
      filter   = "${local._from_functions} AND jsonPayload.message=\"overdue check failed\" AND NOT jsonPayload.code=\"storage_busy\""
      labels   = { code = "code" }
      happened = "A sweep could not check for overdue jobs: `$${log.extracted_label.code}`. Until this is fixed, no alert reports an overdue job. Deliveries are still processed. Receipts are under gs://${local._bucket}/receipts/."
      action   = "Read the cause in the log of ${local._functions["sweep"].name} and fix it. The next sweep checks again."
      commands = [local._sweep_log]
    }
  }
}

locals {
  # What a mail of each alert says, of those on log lines and of those on metrics.
  _alert_texts = {
    for name, alert in merge(local._log_alerts, local._metric_alerts) :
    name => "**What happened:** ${alert.happened}\n\n**What to do:** ${alert.action}\n\n${join("\n", formatlist("- `%s`", alert.commands))}"
  }
}

resource "google_monitoring_notification_channel" "emails" {
  for_each = toset(var.alerts.emails)

  display_name = each.key
  force_delete = true # otherwise Google refuses to remove an address that an alert still names
  labels       = { email_address = each.key }
  type         = "email"
  user_labels  = var.labels

  depends_on = [google_project_service.services]
}

resource "google_monitoring_alert_policy" "logged" {
  for_each = local._log_alerts

  combiner              = "OR"
  display_name          = "${var.prefix}: ${each.value.title}"
  notification_channels = local._channels
  severity              = each.value.severity
  user_labels           = var.labels

  alert_strategy {
    auto_close = "86400s"

    notification_rate_limit {
      period = "${each.value.repeat_s}s"
    }
  }

  conditions {
    display_name = each.value.title

    condition_matched_log {
      filter           = each.value.filter
      label_extractors = { for label, field in each.value.labels : label => "EXTRACT(jsonPayload.${field})" }
    }
  }

  documentation {
    content   = local._alert_texts[each.key]
    mime_type = "text/markdown"
    subject   = "${var.prefix}: ${each.value.title}"
  }

  depends_on = [google_project_service.services]
}

# Without the sweep, no other alert about deliveries or overdue jobs works. When a count stops, Cloud Logging writes no values or
# zeros for a while. The first condition covers no values, the second covers zeros.
resource "google_monitoring_alert_policy" "silent" {
  combiner              = "OR"
  display_name          = "${var.prefix}: the sweep does not run"
  notification_channels = local._channels
  severity              = "CRITICAL"
  user_labels           = var.labels

  alert_strategy {
    auto_close = "86400s"
  }

  depends_on = [time_sleep.metrics]

  conditions {
    display_name = "no data about sweeps"

    condition_absent {
      duration = "${var.sweep.silent_after}s"
      filter   = local._sweeps

      aggregations {
        alignment_period     = "600s"
        cross_series_reducer = "REDUCE_SUM"
        per_series_aligner   = "ALIGN_DELTA"
      }
    }
  }

  conditions {
    display_name = "no sweeps"

    condition_threshold {
      comparison      = "COMPARISON_LT"
      duration        = "0s"
      filter          = local._sweeps
      threshold_value = 1

      aggregations {
        alignment_period     = "${var.sweep.silent_after}s"
        cross_series_reducer = "REDUCE_SUM"
        per_series_aligner   = "ALIGN_DELTA"
      }
    }
  }

  documentation {
    content = join("\n\n", [
      "**What happened:** No sweep has run for ${var.sweep.silent_after} seconds, so no alert about delayed deliveries or overdue jobs works. Deliveries are stored under gs://${local._bucket}/inbox/ and not lost. Receipts are under gs://${local._bucket}/receipts/.",
      "**What to do:** Check that the schedule ${var.prefix}-sweep is enabled in Cloud Scheduler, then read the errors of the function ${local._functions["sweep"].name}.",
      join("\n", formatlist("- `%s`", [
        "gcloud scheduler jobs describe ${var.prefix}-sweep --location=${var.region} ${local._gcloud_options}",
        local._sweep_log,
      ])),
    ])
    mime_type = "text/markdown"
    subject   = "${var.prefix}: the sweep does not run"
  }
}

locals {
  _sweeps = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.metrics["sweeps"].name}\" AND resource.type=\"cloud_run_revision\""
}
