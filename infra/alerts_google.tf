# What Google refuses or ends before the functions can write a log line, and messages that Pub/Sub has given up. The metrics are
# Google's own and exist before the bridge does.

locals {
  _service_names = [for function in local._functions : function.name]
  _requests      = "metric.type=\"run.googleapis.com/request_count\" AND resource.type=\"cloud_run_revision\" AND resource.labels.service_name=one_of(${join(",", formatlist("\"%s\"", local._service_names))})"

  # By name. A value above 0 within five minutes is an incident.
  _metric_alerts = {
    calls_refused = {
      title    = "Google refuses calls of a function"
      severity = "ERROR"
      filter   = "${local._requests} AND metric.labels.response_code=one_of(\"403\",\"413\",\"429\")"
      aligner  = "ALIGN_DELTA"
      group_by = ["metric.label.response_code", "resource.label.service_name"]
      happened = "Calls of $${resource.label.service_name} were answered with $${metric.label.response_code}, usually before its code ran. 403: the caller lost roles/run.invoker, or the function is not public any more. 413: the body is over 32 MiB. 429: all instances are busy, or the quota of the region is used up. Such a call leaves no receipt."
      action   = "403: run Terraform, which grants the role again. 413: send fewer rows, or use a pull. 429: raise max_instances of the function, or spread the schedules. If it was a delivery, send it again from the schedule in Looker."
      commands = ["gcloud logging read 'resource.labels.service_name=\"$${resource.label.service_name}\" AND httpRequest.status>=400' --freshness=1d ${local._gcloud_options}"]
    }
    dead_letters = {
      title    = "Pub/Sub gave up calling webhook-deliver"
      severity = "WARNING"
      filter   = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${google_pubsub_subscription.dead_letters.name}\""
      aligner  = "ALIGN_MAX"
      group_by = []
      happened = "webhook-deliver failed or refused 100 calls for one delivery. The delivery is safe under gs://${local._bucket}/inbox/, and the sweep still tries to import it."
      action   = "List the deliveries to see the reason. When they are delivered, empty the subscription of dead letters, which ends this alert."
      commands = ["${local._bridge_command} deliveries", "gcloud pubsub subscriptions seek ${google_pubsub_subscription.dead_letters.name} --time=$(date -u +%FT%TZ) ${local._gcloud_options}"]
    }
    deliveries_failed = {
      title    = "a webhook delivery was answered with an error"
      severity = "ERROR"
      filter   = "metric.type=\"run.googleapis.com/request_count\" AND resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${local._functions["webhook_receive"].name}\" AND metric.labels.response_code_class=\"5xx\""
      aligner  = "ALIGN_DELTA"
      group_by = []
      happened = "${local._functions["webhook_receive"].name} answered a delivery with a status of 500 or above, its own or Cloud Run's. Looker shows it as failed and does not retry it. Such a call leaves no receipt."
      action   = "Read the log, fix the cause, and send the delivery again from the schedule in Looker."
      commands = ["gcloud logging read 'resource.labels.service_name=\"${local._functions["webhook_receive"].name}\" AND (severity>=ERROR OR httpRequest.status>=500)' --freshness=1d ${local._gcloud_options}"]
    }
  }
}

resource "google_monitoring_alert_policy" "measured" {
  for_each = local._metric_alerts

  combiner              = "OR"
  display_name          = "${var.prefix}: ${each.value.title}"
  notification_channels = local._channels
  severity              = each.value.severity
  user_labels           = var.labels

  alert_strategy {
    auto_close = "86400s"
  }

  conditions {
    display_name = each.value.title

    condition_threshold {
      comparison      = "COMPARISON_GT"
      duration        = "0s"
      filter          = each.value.filter
      threshold_value = 0

      aggregations {
        alignment_period     = "300s"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = each.value.group_by
        per_series_aligner   = each.value.aligner
      }
    }
  }

  documentation {
    content   = local._alert_texts[each.key]
    mime_type = "text/markdown"
    subject   = "${var.prefix}: ${each.value.title}"
  }

  depends_on = [google_project_service.services]
}

# Cloud Run itself writes this log: an instance was killed for its memory, exited, or did not start.
resource "google_monitoring_alert_policy" "instances" {
  combiner              = "OR"
  display_name          = "${var.prefix}: an instance was killed or did not start"
  notification_channels = local._channels
  severity              = "ERROR"
  user_labels           = var.labels

  alert_strategy {
    auto_close = "86400s"

    notification_rate_limit {
      period = "3600s"
    }
  }

  conditions {
    display_name = "an instance was killed or did not start"

    condition_matched_log {
      filter           = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=(${join(" OR ", formatlist("\"%s\"", local._service_names))}) AND logName=\"projects/${var.project_id}/logs/run.googleapis.com%2Fvarlog%2Fsystem\" AND severity>=ERROR"
      label_extractors = { service = "EXTRACT(resource.labels.service_name)" }
    }
  }

  documentation {
    content = join("\n\n", [
      "**What happened:** Cloud Run ended an instance of $${log.extracted_label.service}, or could not start one. A run that was in progress writes no line and leaves no receipt; the next call of its job settles it.",
      "**What to do:** Read the message. If it names the memory limit, raise `functions.*.memory`. If instances do not start, roll back.",
      "- `gcloud logging read 'resource.labels.service_name=\"$${log.extracted_label.service}\" AND severity>=ERROR' --freshness=1d ${local._gcloud_options}`\n- `${local._bridge_command} runs`",
    ])
    mime_type = "text/markdown"
    subject   = "${var.prefix}: an instance was killed or did not start"
  }

  depends_on = [google_project_service.services]
}
