# What is known before anything is made. `tests/` of the repository looks at whole plans; here stands what must never give.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
  mock_data "google_storage_project_service_account" {
    defaults = { member = "serviceAccount:service-123456789012@gs-project-accounts.iam.gserviceaccount.com" }
  }
}

variables {
  bridge_file    = "tests/bridge.yaml"
  project_id     = "acme-planning"
  region         = "europe-west1"
  source_archive = "tests/bridge.yaml" # any file
}

run "nobody_but_scheduler_and_push_calls_what_is_not_public" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_service_iam_member.public[0].name == "bridge-webhook-receive"
    error_message = "Another function than webhook-receive is public."
  }
  assert {
    condition = { for grant in google_cloud_run_v2_service_iam_member.callers : grant.name => grant.member... } == {
      bridge-looker-pull    = ["serviceAccount:bridge-scheduler@acme-planning.iam.gserviceaccount.com"]
      bridge-pigment-export = ["serviceAccount:bridge-scheduler@acme-planning.iam.gserviceaccount.com"]
      bridge-webhook-deliver = [
        "serviceAccount:bridge-push@acme-planning.iam.gserviceaccount.com",
        "serviceAccount:bridge-scheduler@acme-planning.iam.gserviceaccount.com",
      ]
    }
    error_message = "Somebody else may call a function, or somebody who has to may not."
  }
  assert {
    condition     = { for key, function in google_cloudfunctions2_function.functions : key => function.service_config[0].ingress_settings if key != "webhook_receive" } == { for key in ["looker_pull", "pigment_export", "webhook_deliver"] : key => "ALLOW_INTERNAL_ONLY" }
    error_message = "A function that is not public can be reached from outside."
  }
}

run "the_bucket_is_closed_and_forgets_nothing_it_should_keep" {
  command = plan

  assert {
    condition     = google_storage_bucket.bridge.public_access_prevention == "enforced" && google_storage_bucket.bridge.uniform_bucket_level_access
    error_message = "The bucket can be opened to the public."
  }
  assert {
    condition     = google_storage_bucket.bridge.versioning[0].enabled && google_storage_bucket.bridge.force_destroy == false
    error_message = "What is replaced or destroyed by mistake is gone."
  }
  assert {
    # A rule without a prefix may touch earlier versions alone, or uploads that never became objects.
    condition = alltrue([
      for rule in google_storage_bucket.bridge.lifecycle_rule : one(rule.action).type != "Delete"
      || coalesce(one(rule.condition).days_since_noncurrent_time, 0) > 0
      || alltrue([for prefix in coalesce(one(rule.condition).matches_prefix, ["everything"]) : contains(["delivered/", "seen/", "staged/", "tmp/"], prefix)])
    ])
    error_message = "Receipts, the inbox, dead deliveries, cursors, bases or exports expire."
  }
}

run "times_fit_into_each_other" {
  command = plan

  assert {
    condition     = alltrue([for function in google_cloudfunctions2_function.functions : tonumber(function.service_config[0].environment_variables.BRIDGE_DEADLINE_S) < function.service_config[0].timeout_seconds])
    error_message = "A function's own budget leaves it no time to answer."
  }
  assert {
    condition     = alltrue([for job in google_cloud_scheduler_job.jobs : tonumber(trimsuffix(job.attempt_deadline, "s")) <= 1800]) && google_cloud_scheduler_job.jobs["pull-flights"].attempt_deadline == "1800s"
    error_message = "Cloud Scheduler would stop waiting before the function answers, or refuse the deadline."
  }
  assert {
    condition     = google_cloudfunctions2_function.functions["webhook_deliver"].service_config[0].timeout_seconds <= google_pubsub_subscription.deliver.ack_deadline_seconds
    error_message = "Pub/Sub would come again while webhook-deliver is at work."
  }
  assert {
    condition     = google_cloudfunctions2_function.functions["webhook_receive"].service_config[0].environment_variables.THREADS == tostring(google_cloudfunctions2_function.functions["webhook_receive"].service_config[0].max_instance_request_concurrency)
    error_message = "webhook-receive is sent more deliveries than it has threads for."
  }
}

run "a_job_without_a_schedule_has_none" {
  command = plan

  assert {
    condition     = toset(keys(google_cloud_scheduler_job.jobs)) == toset(["export-revenue", "pull-flights"])
    error_message = "Schedules and bridge.yaml differ."
  }
  assert {
    condition     = jsondecode(base64decode(google_cloud_scheduler_job.jobs["pull-flights"].http_target[0].body)) == { job = "flights" } && google_cloud_scheduler_job.jobs["pull-flights"].time_zone == "Europe/Paris" && google_cloud_scheduler_job.jobs["export-revenue"].time_zone == "UTC"
    error_message = "A job is started by another name, or in another time zone."
  }
}

run "a_secret_of_somebody_else_is_read_and_not_made" {
  command = plan

  assert {
    condition     = toset(keys(google_secret_manager_secret.secrets)) == toset(["looker-api", "looker-webhook-token", "pigment-import-key"])
    error_message = "Other secrets are made than those that bridge.yaml names in short."
  }
  assert {
    condition     = google_secret_manager_secret_iam_member.functions["pigment_export reads projects/acme-secrets/secrets/pigment-export-key"].project == "acme-secrets"
    error_message = "The key in the other project cannot be read."
  }
  assert {
    condition     = !contains([for grant in google_secret_manager_secret_iam_member.functions : "${grant.member} ${grant.secret_id}"], "serviceAccount:bridge-webhook-deliver@acme-planning.iam.gserviceaccount.com looker-api")
    error_message = "webhook-deliver may read Looker's credentials, though no relay starts a pull."
  }
}

run "audiences_are_the_bare_addresses_of_the_services" {
  command = apply

  assert {
    condition     = alltrue([for job in google_cloud_scheduler_job.jobs : job.http_target[0].oidc_token[0].audience == job.http_target[0].uri && contains(values(output.function_uris), job.http_target[0].uri)])
    error_message = "Cloud Run would refuse the token of a job."
  }
  assert {
    condition     = google_pubsub_subscription.deliver.push_config[0].oidc_token[0].audience == output.function_uris.webhook_deliver
    error_message = "Cloud Run would refuse the token of a push."
  }
  assert {
    condition     = output.webhook_addresses == { budget = "${output.function_uris.webhook_receive}/budget" }
    error_message = "Looker would be given another address."
  }
}
