# What the variables switch on.

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

run "without_public_invoker_nobody_calls_unasked" {
  command = plan

  variables {
    public_invoker = false
  }

  assert {
    condition     = length(google_cloud_run_v2_service_iam_member.public) == 0
    error_message = "allUsers is there, and an organisation's policy would refuse it."
  }
}

run "a_network_sends_every_call_through_reserved_addresses" {
  command = plan

  variables {
    network = { addresses = 2 }
  }

  assert {
    condition     = alltrue([for function in google_cloudfunctions2_function.functions : function.service_config[0].direct_vpc_egress == "VPC_EGRESS_ALL_TRAFFIC" && function.service_config[0].direct_vpc_network_interface[0].subnetwork == "bridge-egress"])
    error_message = "A function leaves by another way."
  }
  assert {
    condition     = length(google_compute_address.egress) == 2 && google_compute_router_nat.egress["egress"].nat_ip_allocate_option == "MANUAL_ONLY"
    error_message = "Calls leave from addresses that nobody reserved."
  }
}

run "operators_reach_two_functions_and_no_more" {
  command = plan

  variables {
    operators = ["user:ada@acme.example"]
  }

  assert {
    condition     = { for key, function in google_cloudfunctions2_function.functions : key => function.service_config[0].ingress_settings } == { looker_pull = "ALLOW_ALL", pigment_export = "ALLOW_ALL", webhook_deliver = "ALLOW_INTERNAL_ONLY", webhook_receive = "ALLOW_ALL" }
    error_message = "Operators do not reach what they may call, or everybody reaches what they may not."
  }
  assert {
    condition     = toset([for grant in google_cloud_run_v2_service_iam_member.operators : "${grant.member} ${grant.name}"]) == toset(["user:ada@acme.example bridge-looker-pull", "user:ada@acme.example bridge-pigment-export"])
    error_message = "Operators may call another function than the two, or not these."
  }
}

run "without_a_network_none_is_made" {
  command = plan

  assert {
    condition     = length(google_compute_network.egress) + length(google_compute_address.egress) + length(google_bigquery_dataset.exports) == 0
    error_message = "What nobody asked for is made, and costs."
  }
}

run "exports_become_tables_that_read_them_where_they_lie" {
  command = plan

  variables {
    bigquery = { exports = ["heads", "revenue"] }
  }

  assert {
    condition     = google_bigquery_table.exports["revenue"].external_data_configuration[0].source_uris == tolist(["gs://acme-planning-bridge/exports/revenue/*"]) && google_bigquery_table.exports["revenue"].external_data_configuration[0].hive_partitioning_options[0].source_uri_prefix == "gs://acme-planning-bridge/exports/revenue/{dt:DATE}"
    error_message = "The date in the path is no column."
  }
  assert {
    condition     = google_bigquery_table.exports["revenue"].external_data_configuration[0].csv_options[0].field_delimiter == ";" && google_bigquery_table.exports["revenue"].external_data_configuration[0].compression == "GZIP"
    error_message = "The file is read in another way than it is written."
  }
  assert {
    condition     = google_bigquery_table.exports["heads"].external_data_configuration[0].source_uris == tolist(["gs://acme-planning-bridge/exports/heads/*.parquet"]) && google_bigquery_table.exports["heads"].external_data_configuration[0].source_format == "PARQUET"
    error_message = "BigQuery takes one * in an address."
  }
}

run "mails_go_to_whoever_is_named" {
  command = apply

  variables {
    alerts = { channels = ["projects/acme-planning/notificationChannels/1"], emails = ["data@acme.example"] }
  }

  assert {
    condition     = alltrue([for policy in concat(values(google_monitoring_alert_policy.logged), [google_monitoring_alert_policy.silent]) : toset(policy.notification_channels) == toset(["projects/acme-planning/notificationChannels/1", google_monitoring_notification_channel.emails["data@acme.example"].id])])
    error_message = "An alert tells nobody."
  }
}
