# What the functions log, as numbers over time: for the dashboard, and for whoever draws their own.

locals {
  _from_functions = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=(${join(" OR ", [for function in local._functions : "\"${function.name}\""])})"
  _run_ended      = "${local._from_functions} AND jsonPayload.message=\"run ended\""
  _looked_through = "${local._from_functions} AND jsonPayload.message=\"inbox processed\" AND jsonPayload.sweep=true"

  _metric_prefix = replace(var.prefix, "-", "_")

  # By name: without a value, lines are counted.
  _metrics = {
    oldest_waiting = { filter = local._looked_through, labels = [], unit = "s", value = "oldest_waiting_s", what = "Age of the oldest delivery that waits." }
    rows_inserted  = { filter = local._run_ended, labels = ["job", "kind"], unit = "1", value = "rows.inserted", what = "Rows that Pigment inserted." }
    rows_read      = { filter = local._run_ended, labels = ["job", "kind"], unit = "1", value = "rows.read", what = "Rows that were read, of an export those that were published." }
    rows_skipped   = { filter = local._run_ended, labels = ["job", "kind"], unit = "1", value = "rows.skipped", what = "Rows that Pigment left out." }
    rows_updated   = { filter = local._run_ended, labels = ["job", "kind"], unit = "1", value = "rows.updated", what = "Rows that Pigment updated." }
    runs           = { filter = local._run_ended, labels = ["job", "kind", "outcome"], unit = "1", value = null, what = "Runs by how they ended." }
    seconds        = { filter = local._run_ended, labels = ["job", "kind"], unit = "s", value = "seconds.total", what = "How long runs took." }
    sweeps         = { filter = local._looked_through, labels = [], unit = "1", value = null, what = "Sweeps of the inbox." }
    waiting        = { filter = local._looked_through, labels = [], unit = "1", value = "waiting", what = "Deliveries that wait after a sweep." }
  }
}

resource "google_logging_metric" "metrics" {
  for_each = local._metrics

  name             = "${local._metric_prefix}_${each.key}"
  description      = each.value.what
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
