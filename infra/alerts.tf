# Who is told what, and what to do then. Each alert reads a line that the functions log; the mail bears the line's own
# next step, so that nobody has to look for it.

locals {
  _channels = concat(var.alerts.channels, [for channel in google_monitoring_notification_channel.emails : channel.id])

  # Codes whose next step is to do nothing: the next run tries again, and if none lands, that is told as overdue.
  _passing_codes = ["configuration_occupied", "landing_unconfirmed", "lease_lost", "looker_busy", "pigment_busy", "run_interrupted", "storage_busy"]

  # Of a call that came to no run: at webhook-receive, a delivery that Looker will not send again.
  _server_codes = [
    "answer_not_understood", "block_not_found", "bridge_file_invalid", "file_too_big", "import_configuration_not_found",
    "import_failed", "internal", "landing_unconfirmed", "landing_unknown", "lease_lost", "look_not_found", "looker_busy", "looker_login_refused",
    "looker_refused", "out_of_time", "pigment_busy", "pigment_key_refused", "pigment_refused", "query_failed",
    "rows_malformed", "run_interrupted", "secret_unreadable", "setting_missing", "storage_busy", "storage_refused",
    "stream_cut", "view_not_supported", "view_too_big",
  ]

  _receipts = "The receipt lies under gs://${local._bucket}/receipts/$${log.extracted_label.job}/, by day; `bridge runs` shows it."

  # By name. `every`: so many seconds pass before somebody is told of the same again.
  _log_alerts = {
    call_refused = {
      every    = 3600
      filter   = "${local._from_functions} AND jsonPayload.message=\"request refused\" AND jsonPayload.error.code=(${join(" OR ", local._server_codes)})"
      labels   = { code = "error.code", next_step = "error.next_step" }
      says     = "A call came to no run and leaves no receipt: $${log.extracted_label.code}. $${log.extracted_label.next_step}\n\nIf it was a delivery (${local._functions["webhook_receive"].name}), Looker shows it as failed and will not send it again: once this is mended, send it again from the Look's schedule."
      severity = "ERROR"
      title    = "a call could not be answered"
    }
    delivery_dead = {
      every    = 300
      filter   = "${local._from_functions} AND jsonPayload.message=\"inbox processed\" AND jsonPayload.dead>0"
      labels   = {}
      says     = "A webhook delivery was refused for good and lies under gs://${local._bucket}/dead/, with the reason in its metadata. `bridge deliveries` shows it; when the cause is mended, `bridge deliveries replay ID` lands it. Its receipt lies under gs://${local._bucket}/receipts/RELAY/."
      severity = "ERROR"
      title    = "a delivery is dead"
    }
    delivery_waiting = {
      every    = 21600
      filter   = "${local._looked_through} AND jsonPayload.oldest_waiting_s>${var.alerts.waiting_after}"
      labels   = {}
      says     = "A webhook delivery is safe and has not landed for more than ${var.alerts.waiting_after} seconds. `bridge deliveries` shows which and why: a vendor that is busy, a run that a person has to settle (`bridge runs`), or a relay that bridge.yaml no longer names. Nothing is lost meanwhile; receipts lie under gs://${local._bucket}/receipts/RELAY/."
      severity = "WARNING"
      title    = "a delivery waits"
    }
    landing_overdue = {
      every    = 21600
      filter   = "${local._from_functions} AND jsonPayload.message=\"landing overdue\""
      labels   = { due_at = "due_at", job = "job", kind = "kind", last_good_at = "last_good_at" }
      says     = "The $${log.extracted_label.kind} $${log.extracted_label.job} was due at $${log.extracted_label.due_at} and has not ended well since; it last did at $${log.extracted_label.last_good_at}. `bridge runs` shows what its runs ended in. If there is none, look at its job in Cloud Scheduler, ${var.prefix}-$${log.extracted_label.kind}-$${log.extracted_label.job}. ${local._receipts}"
      severity = "ERROR"
      title    = "a landing is overdue"
    }
    outcome_unknown = {
      every    = 300
      filter   = "${local._run_ended} AND jsonPayload.outcome=\"unknown\" AND jsonPayload.error.code=\"landing_unknown\""
      labels   = { job = "job", next_step = "error.next_step", run = "run" }
      says     = "Pigment may have taken the file of run $${log.extracted_label.run} of $${log.extracted_label.job}, or not, and to send it again could double its rows; this import configuration waits until a person has settled it. $${log.extracted_label.next_step} ${local._receipts}"
      severity = "CRITICAL"
      title    = "a person has to say whether it landed"
    }
    rows_skipped = {
      every    = 3600
      filter   = "${local._run_ended} AND jsonPayload.rows.skipped>0"
      labels   = { job = "job" }
      says     = "Pigment left out rows of $${log.extracted_label.job}; its receipt says which column, why and how many. Mend them at the source, add the missing items in Pigment, or raise guards.max_skipped if they may be left out. ${local._receipts}"
      severity = "WARNING"
      title    = "rows were skipped"
    }
    run_failed = {
      every    = 3600
      filter   = "${local._run_ended} AND jsonPayload.outcome=(\"failed\" OR \"refused\") AND NOT jsonPayload.error.code=(${join(" OR ", local._passing_codes)})"
      labels   = { code = "error.code", job = "job", kind = "kind", next_step = "error.next_step", outcome = "outcome" }
      says     = "The $${log.extracted_label.kind} $${log.extracted_label.job} $${log.extracted_label.outcome}: $${log.extracted_label.code}. $${log.extracted_label.next_step} ${local._receipts}"
      severity = "ERROR"
      title    = "a run failed or was refused"
    }
    secret_ending = {
      every    = 86400
      filter   = "${local._from_functions} AND jsonPayload.message=\"secret expires soon\""
      labels   = { expires = "expires", secret = "secret" }
      says     = "The key in the secret $${log.extracted_label.secret} works for the last time on the day before $${log.extracted_label.expires}. Make a new key with the vendor, add it as a version (`gcloud secrets versions add $${log.extracted_label.secret} --data-file=-`), which the functions find by themselves, and write its day under `secrets:` in bridge.yaml. From that day on, receipts under gs://${local._bucket}/receipts/ say that the key was refused."
      severity = "WARNING"
      title    = "a key is near its end"
    }
    watch_blind = {
      every    = 21600
      filter   = "${local._from_functions} AND jsonPayload.message=\"overdue check failed\" AND NOT jsonPayload.code=\"storage_busy\""
      labels   = { code = "code" }
      says     = "A sweep could not see what has landed ($${log.extracted_label.code}), so nobody is told of a landing that is overdue. The log of ${local._functions["webhook_deliver"].name} says why; receipts lie under gs://${local._bucket}/receipts/."
      severity = "ERROR"
      title    = "landings are not looked for"
    }
  }
}

resource "google_monitoring_notification_channel" "emails" {
  for_each = toset(var.alerts.emails)

  display_name = each.key
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
      period = "${each.value.every}s"
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
    content   = each.value.says
    mime_type = "text/markdown"
    subject   = "${var.prefix}: ${each.value.title}"
  }

  depends_on = [google_project_service.services]
}

# Without the sweep nobody would notice anything else. Cloud Logging may write nothing for a count that has stopped, or
# zeros for a while: both mean silence.
resource "google_monitoring_alert_policy" "silent" {
  combiner              = "OR"
  display_name          = "${var.prefix}: the sweep is silent"
  notification_channels = local._channels
  severity              = "CRITICAL"
  user_labels           = var.labels

  alert_strategy {
    auto_close = "86400s"
  }

  conditions {
    display_name = "no word of a sweep"

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
    display_name = "sweeps counted, and none came"

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
    content   = "Nobody looks through the inbox, nor at what should have landed, so no other alert about either can come. Look at the job ${var.prefix}-sweep in Cloud Scheduler and at the logs of ${local._functions["webhook_deliver"].name}. Deliveries are safe under gs://${local._bucket}/inbox/ meanwhile, and receipts of what did run lie under gs://${local._bucket}/receipts/."
    mime_type = "text/markdown"
    subject   = "${var.prefix}: the sweep is silent"
  }
}

locals {
  _sweeps = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.metrics["sweeps"].name}\" AND resource.type=\"cloud_run_revision\""
}
