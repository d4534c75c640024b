# Invalid settings are refused before any request to Google.

mock_provider "google" {
  source = "./tests/mocks"
}

mock_provider "time" {}

run "a_timeout_above_the_maximum_of_cloud_scheduler_is_refused" {
  command = plan

  variables {
    functions = { looker_pull = { timeout_s = 3600 } }
  }

  expect_failures = [var.functions]
}

run "a_timeout_above_the_maximum_of_pubsub_is_refused" {
  command = plan

  variables {
    functions = { webhook_deliver = { timeout_s = 900 } }
  }

  expect_failures = [var.functions]
}

run "concurrent_requests_on_less_than_a_core_are_refused" {
  command = plan

  variables {
    functions = { webhook_receive = { cpu = "0.5" } }
  }

  expect_failures = [var.functions]
}

run "invalid_variables_are_refused" {
  command = plan

  variables {
    alerts         = { channels = ["data@acme.example"] }
    network        = { cidr = "10.8.0.0/28" }
    operators      = ["allUsers"]
    readers        = ["allUsers"]
    prefix         = "Looker-Pigment-Bridge"
    retention_days = { soft_deleted = 3, staged = 0 }
    sweep          = { silent_after = 90 }
  }

  expect_failures = [var.alerts, var.network, var.operators, var.prefix, var.readers, var.retention_days, var.sweep]
}

run "a_missing_archive_is_refused" {
  command = plan

  variables {
    source_archive = "no/functions.zip"
  }

  expect_failures = [var.source_archive]
}

run "a_bridge_yaml_that_was_not_checked_is_refused" {
  command = plan

  variables {
    bridge_file = "bridge.yaml"
  }

  expect_failures = [var.checked_bridge_file]
}
