# Metrics from the log lines of the functions, for the dashboard and for charts of your own.

locals {
  _from_functions = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=(${join(" OR ", [for function in local._functions : "\"${function.name}\""])})"
  _run_ended      = "${local._from_functions} AND jsonPayload.message=\"run ended\""
  _inbox_sweeps   = "${local._from_functions} AND jsonPayload.message=\"inbox processed\" AND jsonPayload.sweep=true"

  _metric_prefix = replace(var.prefix, "-", "_")

  # By name. A metric without a value counts log lines.
  _metrics = {
    oldest_waiting = { filter = local._inbox_sweeps, labels = [], unit = "s", value = "oldest_waiting_s", description = "Age of the oldest waiting delivery." }
    rows_inserted  = { filter = local._run_ended, labels = ["job", "kind"], unit = "1", value = "rows.inserted", description = "Rows that Pigment inserted." }
    rows_read      = { filter = local._run_ended, labels = ["job", "kind"], unit = "1", value = "rows.read", description = "Rows read by pulls and relays, or published by exports." }
    rows_skipped   = { filter = local._run_ended, labels = ["job", "kind"], unit = "1", value = "rows.skipped", description = "Rows that Pigment skipped." }
    rows_updated   = { filter = local._run_ended, labels = ["job", "kind"], unit = "1", value = "rows.updated", description = "Rows that Pigment updated." }
    runs           = { filter = local._run_ended, labels = ["job", "kind", "outcome"], unit = "1", value = null, description = "Runs by outcome." }
    seconds        = { filter = local._run_ended, labels = ["job", "kind"], unit = "s", value = "seconds.total", description = "Duration of runs." }
    sweeps         = { filter = local._inbox_sweeps, labels = [], unit = "1", value = null, description = "Sweeps of the inbox." }
    waiting        = { filter = local._inbox_sweeps, labels = [], unit = "1", value = "waiting", description = "Deliveries that are still waiting after a sweep, at most 1,000." }
  }
}

resource "google_logging_metric" "metrics" {
  for_each = local._metrics

  name             = "${local._metric_prefix}_${each.key}"
  description      = each.value.description
  filter           = each.value.filter
  label_extractors = { for label in each.value.labels : label => "EXTRACT(jsonPayload.${label})" }
  value_extractor  = each.value.value == null ? null : "EXTRACT(jsonPayload.${each.value.value})"

  metric_descriptor {
    metric_kind = "DELTA"
    unit        = each.value.unit
    value_type  = each.value.value == null ? "INT64" : "DISTRIBUTION"

    dynamic "labels" {
      for_each = each.value.labels
      content {
        key        = labels.value
        value_type = "STRING"
      }
    }
  }

  depends_on = [google_project_service.services]
}
