# Cloud Scheduler jobs: one for each pull and export with a schedule, and one for the sweep.

resource "google_cloud_scheduler_job" "jobs" {
  for_each = local._bridge.schedules

  name             = "${var.prefix}-${each.key}"
  attempt_deadline = "${local._functions[each.value.function].timeout_s}s"
  description      = "Starts the job ${each.value.job} of bridge.yaml."
  region           = var.region
  schedule         = each.value.schedule
  time_zone        = each.value.time_zone

  http_target {
    uri         = local._called[each.value.function].uri
    body        = base64encode(jsonencode({ job = each.value.job }))
    headers     = { "Content-Type" = "application/json" }
    http_method = "POST"

    # Cloud Run expects its own URL without a path as audience.
    oidc_token {
      audience              = local._called[each.value.function].uri
      service_account_email = local._emails["scheduler"]
    }
  }

  # Retries after 5, 10 and 20 minutes, for a busy vendor (503) or another run on the same configuration (409). A retry is safe: a
  # refused run is refused again without sending, and a scheduled run that has ended well is answered with its receipt.
  retry_config {
    max_backoff_duration = "1200s"
    max_doublings        = 2
    min_backoff_duration = "300s"
    retry_count          = 3
  }

  depends_on = [google_cloud_run_v2_service_iam_member.callers, google_project_service.services]
}

# The sweep delivers what Pub/Sub missed, and checks for overdue jobs and expiring keys. It has a function of its own, so that
# pushes never take its place. While the sweep before it still runs, Cloud Run answers 429, and it is tried again before the next one
# is due.
resource "google_cloud_scheduler_job" "sweep" {
  name             = "${var.prefix}-sweep"
  attempt_deadline = "${local._functions["sweep"].timeout_s}s"
  description      = "Starts the sweep, which processes the inbox and checks for overdue jobs."
  region           = var.region
  schedule         = var.sweep.schedule
  time_zone        = "UTC"

  http_target {
    uri         = local._called["sweep"].uri
    headers     = { "Content-Type" = "application/json" }
    http_method = "POST"

    oidc_token {
      audience              = local._called["sweep"].uri
      service_account_email = local._emails["scheduler"]
    }
  }

  retry_config {
    max_backoff_duration = "240s"
    max_doublings        = 1
    min_backoff_duration = "60s"
    retry_count          = 2
  }

  depends_on = [google_cloud_run_v2_service_iam_member.callers, google_project_service.services]
}
