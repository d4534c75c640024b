# What a first apply on a new project needs that no schema shows: waits and quotas.

mock_provider "google" {
  source = "./tests/mocks"
}

mock_provider "time" {}

run "google_has_time_between_roles_metrics_and_what_needs_them" {
  command = plan

  assert {
    condition     = time_sleep.build_roles.create_duration == "120s" && time_sleep.service_agents.create_duration == "60s" && time_sleep.metrics.create_duration == "600s"
    error_message = "The first apply fails: a build without its roles, a role for a missing service agent, or an alert on a new metric."
  }
}

run "all_functions_together_fit_the_quota_of_a_new_project" {
  command = plan

  # 20 vCPU and 40 GiB in a region: see infra/README.md.
  assert {
    condition     = sum([for function in google_cloudfunctions2_function.functions : function.service_config[0].max_instance_count * tonumber(function.service_config[0].available_cpu)]) <= 20
    error_message = "All instances together need more than 20 vCPU."
  }
  assert {
    condition     = sum([for function in google_cloudfunctions2_function.functions : function.service_config[0].max_instance_count * tonumber(trimsuffix(function.service_config[0].available_memory, "Gi"))]) <= 40
    error_message = "All instances together need more than 40 GiB."
  }
  assert {
    condition     = alltrue([for function in google_cloudfunctions2_function.functions : function.service_config[0].max_instance_count <= 10])
    error_message = "A function may have more instances than a new project allows."
  }
}

run "the_sweep_is_tried_again_before_the_next_one" {
  command = plan

  assert {
    condition     = google_cloud_scheduler_job.sweep.retry_config[0].retry_count == 2 && google_cloud_scheduler_job.sweep.retry_config[0].min_backoff_duration == "60s" && google_cloud_scheduler_job.sweep.retry_config[0].max_backoff_duration == "240s"
    error_message = "A sweep that meets the one before it is lost, or its retries meet the next sweep."
  }
}

run "the_sweep_has_an_instance_that_no_push_can_take" {
  command = apply

  assert {
    condition     = google_cloud_scheduler_job.sweep.http_target[0].uri == output.function_uris.sweep && google_pubsub_subscription.deliver.push_config[0].push_endpoint == output.function_uris.webhook_deliver && output.function_uris.sweep != output.function_uris.webhook_deliver
    error_message = "The sweep competes with pushes for the instances of webhook-deliver."
  }
  assert {
    condition     = google_cloudfunctions2_function.functions["sweep"].service_config[0].max_instance_count == 1 && google_cloudfunctions2_function.functions["sweep"].build_config[0].entry_point == "webhook_deliver" && google_cloudfunctions2_function.functions["sweep"].service_config[0].service_account_email == google_cloudfunctions2_function.functions["webhook_deliver"].service_config[0].service_account_email
    error_message = "The sweep is not webhook-deliver once more, with one instance."
  }
  assert {
    condition     = { for name, grant in google_cloud_run_v2_service_iam_member.callers : name => grant.name } == { "push calls webhook_deliver" = "bridge-webhook-deliver", "scheduler calls looker_pull" = "bridge-looker-pull", "scheduler calls pigment_export" = "bridge-pigment-export", "scheduler calls sweep" = "bridge-sweep" }
    error_message = "Cloud Scheduler or Pub/Sub calls another function than its own."
  }
}
