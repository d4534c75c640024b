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
    error_message = "A sweep that meets busy instances is lost, or its retries meet the next sweep."
  }
}
