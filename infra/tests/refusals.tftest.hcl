# What is refused before anything is asked of Google.

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

run "an_export_into_another_bucket_is_no_table" {
  command = plan

  variables {
    bigquery = { exports = ["elsewhere"] }
  }

  expect_failures = [google_bigquery_table.exports]
}

run "a_timeout_longer_than_cloud_scheduler_waits_is_refused" {
  command = plan

  variables {
    functions = { looker_pull = { timeout_s = 3600 } }
  }

  expect_failures = [var.functions]
}

run "a_timeout_longer_than_pubsub_waits_is_refused" {
  command = plan

  variables {
    functions = { webhook_deliver = { timeout_s = 900 } }
  }

  expect_failures = [var.functions]
}

run "more_requests_than_a_share_of_a_core_takes_are_refused" {
  command = plan

  variables {
    functions = { webhook_receive = { cpu = "0.5" } }
  }

  expect_failures = [var.functions]
}

run "names_that_google_would_refuse_are_refused_here" {
  command = plan

  variables {
    alerts         = { channels = ["data@acme.example"] }
    network        = { cidr = "10.8.0.0/28" }
    operators      = ["allUsers"]
    prefix         = "Looker-Pigment-Bridge"
    retention_days = { soft_deleted = 3, staged = 0 }
    sweep          = { silent_after = 90 }
  }

  expect_failures = [var.alerts, var.network, var.operators, var.prefix, var.retention_days, var.sweep]
}

run "an_archive_that_was_not_made_is_named" {
  command = plan

  variables {
    source_archive = "no/functions.zip"
  }

  expect_failures = [var.source_archive]
}
