# Properties of a deployment that must always hold. The tests in `tests/infra` of the repository check complete plans.

mock_provider "google" {
  source = "./tests/mocks"
}

mock_provider "time" {}

run "only_scheduler_and_push_call_private_functions" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_service_iam_member.public[0].name == "bridge-webhook-receive"
    error_message = "A function other than webhook-receive is public."
  }
  assert {
    condition = { for grant in google_cloud_run_v2_service_iam_member.callers : grant.name => grant.member... } == {
      bridge-looker-pull     = ["serviceAccount:bridge-scheduler@acme-planning.iam.gserviceaccount.com"]
      bridge-pigment-export  = ["serviceAccount:bridge-scheduler@acme-planning.iam.gserviceaccount.com"]
      bridge-sweep           = ["serviceAccount:bridge-scheduler@acme-planning.iam.gserviceaccount.com"]
      bridge-webhook-deliver = ["serviceAccount:bridge-push@acme-planning.iam.gserviceaccount.com"]
    }
    error_message = "The callers of the private functions are not scheduler and push."
  }
  assert {
    condition     = { for key, function in google_cloudfunctions2_function.functions : key => function.service_config[0].ingress_settings if key != "webhook_receive" } == { for key in ["looker_pull", "pigment_export", "sweep", "webhook_deliver"] : key => "ALLOW_INTERNAL_ONLY" }
    error_message = "A private function is reachable from outside."
  }
}

run "the_bucket_is_private_and_keeps_permanent_objects" {
  command = plan

  assert {
    condition     = google_storage_bucket.bridge.public_access_prevention == "enforced" && google_storage_bucket.bridge.uniform_bucket_level_access
    error_message = "The bucket can be opened to the public."
  }
  assert {
    condition     = google_storage_bucket.bridge.versioning[0].enabled && google_storage_bucket.bridge.force_destroy == false
    error_message = "Objects that are replaced or destroyed by mistake cannot be restored."
  }
  assert {
    # A rule without a prefix may only delete earlier versions and incomplete uploads.
    condition = alltrue([
      for rule in google_storage_bucket.bridge.lifecycle_rule : one(rule.action).type != "Delete"
      || coalesce(one(rule.condition).days_since_noncurrent_time, 0) > 0
      || alltrue([for prefix in coalesce(one(rule.condition).matches_prefix, ["everything"]) : contains(["delivered/", "receipts/", "seen/", "staged/", "tmp/", "usage/"], prefix)])
    ])
    error_message = "A lifecycle rule deletes the inbox, dead deliveries, cursors, bases or exports."
  }
}

run "timeouts_are_consistent" {
  command = plan

  assert {
    condition     = alltrue([for function in google_cloudfunctions2_function.functions : tonumber(function.service_config[0].environment_variables.BRIDGE_DEADLINE_S) < function.service_config[0].timeout_seconds])
    error_message = "The time budget of a function is not below its timeout."
  }
  assert {
    condition     = alltrue([for job in google_cloud_scheduler_job.jobs : tonumber(trimsuffix(job.attempt_deadline, "s")) <= 1800]) && google_cloud_scheduler_job.jobs["pull-flights"].attempt_deadline == "1800s"
    error_message = "The deadline of a Cloud Scheduler job is above the maximum or below the function's timeout."
  }
  assert {
    condition     = google_cloudfunctions2_function.functions["webhook_deliver"].service_config[0].timeout_seconds <= google_pubsub_subscription.deliver.ack_deadline_seconds
    error_message = "Pub/Sub would call again while webhook-deliver is running."
  }
  assert {
    condition     = google_cloudfunctions2_function.functions["webhook_receive"].service_config[0].environment_variables.THREADS == tostring(google_cloudfunctions2_function.functions["webhook_receive"].service_config[0].max_instance_request_concurrency)
    error_message = "webhook-receive receives more requests than it has threads."
  }
}

run "only_jobs_with_a_schedule_are_scheduled" {
  command = plan

  assert {
    condition     = toset(keys(google_cloud_scheduler_job.jobs)) == toset(["export-revenue", "pull-flights"])
    error_message = "The schedules differ from bridge.yaml."
  }
  assert {
    condition     = jsondecode(base64decode(google_cloud_scheduler_job.jobs["pull-flights"].http_target[0].body)) == { job = "flights" } && google_cloud_scheduler_job.jobs["pull-flights"].time_zone == "Europe/Paris" && google_cloud_scheduler_job.jobs["export-revenue"].time_zone == "UTC"
    error_message = "A schedule has a wrong job or time zone."
  }
}

run "a_secret_of_another_project_is_read_but_not_created" {
  command = plan

  assert {
    condition     = toset(keys(google_secret_manager_secret.secrets)) == toset(["looker-api", "looker-webhook-token", "pigment-import-key"])
    error_message = "The created secrets are not those that bridge.yaml names without a project."
  }
  assert {
    condition     = google_secret_manager_secret_iam_member.functions["pigment_export reads projects/acme-secrets/secrets/pigment-export-key"].project == "acme-secrets"
    error_message = "The secret in the other project is not readable."
  }
  assert {
    condition     = !contains([for grant in google_secret_manager_secret_iam_member.functions : "${grant.member} ${grant.secret_id}"], "serviceAccount:bridge-webhook-deliver@acme-planning.iam.gserviceaccount.com looker-api")
    error_message = "webhook-deliver may read Looker's credentials, although no relay starts a pull."
  }
}

run "audiences_are_the_urls_of_the_services" {
  command = apply

  assert {
    condition     = alltrue([for job in google_cloud_scheduler_job.jobs : job.http_target[0].oidc_token[0].audience == job.http_target[0].uri && contains(values(output.function_uris), job.http_target[0].uri)])
    error_message = "Cloud Run would refuse the token of a Cloud Scheduler job."
  }
  assert {
    condition     = google_pubsub_subscription.deliver.push_config[0].oidc_token[0].audience == output.function_uris.webhook_deliver
    error_message = "Cloud Run would refuse the token of a Pub/Sub push."
  }
  assert {
    condition     = output.webhook_addresses == { budget = "${output.function_uris.webhook_receive}/budget" }
    error_message = "The webhook addresses for Looker are wrong."
  }
}
