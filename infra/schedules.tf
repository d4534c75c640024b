# One Cloud Scheduler job for each pull and export with a schedule, and one for the sweep.

locals {
  _scheduled = merge([
    for kind, of in { pull = { function = "looker_pull", jobs = local.pulls }, export = { function = "pigment_export", jobs = local.exports } } : {
      for name, job in of.jobs : "${kind}-${name}" => {
        body      = { job = name }
        function  = of.function
        schedule  = job.schedule
        time_zone = try(coalesce(job.time_zone), "UTC")
      } if try(job.schedule, null) != null
    }
  ]...)
}

resource "google_cloud_scheduler_job" "jobs" {
  for_each = local._scheduled

  name             = "${var.prefix}-${each.key}"
  attempt_deadline = "${local._functions[each.value.function].timeout_s}s"
  description      = "Starts the job ${each.value.body.job} of bridge.yaml."
  region           = var.region
  schedule         = each.value.schedule
  time_zone        = each.value.time_zone

  http_target {
    uri         = google_cloudfunctions2_function.functions[each.value.function].service_config[0].uri
    body        = base64encode(jsonencode(each.value.body))
    headers     = { "Content-Type" = "application/json" }
    http_method = "POST"

    # The audience that Cloud Run checks is the service's own address, whatever the path.
    oidc_token {
      audience              = google_cloudfunctions2_function.functions[each.value.function].service_config[0].uri
      service_account_email = local._emails["scheduler"]
    }
  }

  # After 5, 10 and 20 minutes: a vendor that was busy (503) or a configuration that another run held (409) has had time.
  # What was refused is refused again, and sends nothing; a tick that has landed is answered with its receipt.
  retry_config {
    max_backoff_duration = "1200s"
    max_doublings        = 2
    min_backoff_duration = "300s"
    retry_count          = 3
  }

  depends_on = [google_cloud_run_v2_service_iam_member.callers, google_project_service.services]
}

# The safety net under Pub/Sub, and the eye on landings that are overdue and keys that end. The next one is the retry.
resource "google_cloud_scheduler_job" "sweep" {
  name             = "${var.prefix}-sweep"
  attempt_deadline = "${local._functions["webhook_deliver"].timeout_s}s"
  description      = "Lets webhook-deliver look through the inbox, and at what should have landed."
  region           = var.region
  schedule         = var.sweep.schedule
  time_zone        = "UTC"

  http_target {
    uri         = google_cloudfunctions2_function.functions["webhook_deliver"].service_config[0].uri
    headers     = { "Content-Type" = "application/json" }
    http_method = "POST"

    oidc_token {
      audience              = google_cloudfunctions2_function.functions["webhook_deliver"].service_config[0].uri
      service_account_email = local._emails["scheduler"]
    }
  }

  retry_config {
    retry_count = 0
  }

  depends_on = [google_cloud_run_v2_service_iam_member.callers, google_project_service.services]
}
