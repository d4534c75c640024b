# The options that variables enable.

mock_provider "google" {
  source = "./tests/mocks"
}

variables {
  bridge_file         = "tests/bridge.yaml"
  checked_bridge_file = "../build/bridge-of-tests.json" # `make infra` writes it
  project_id          = "acme-planning"
  region              = "europe-west1"
  source_archive      = "tests/bridge.yaml" # any file
}

run "without_public_invoker_no_function_is_public" {
  command = plan

  variables {
    public_invoker = false
  }

  assert {
    condition     = length(google_cloud_run_v2_service_iam_member.public) == 0
    error_message = "allUsers has access, which a policy of the organisation may forbid."
  }
}

run "a_network_routes_all_calls_through_reserved_addresses" {
  command = plan

  variables {
    network = { addresses = 2 }
  }

  assert {
    condition     = alltrue([for function in google_cloudfunctions2_function.functions : function.service_config[0].direct_vpc_egress == "VPC_EGRESS_ALL_TRAFFIC" && function.service_config[0].direct_vpc_network_interface[0].subnetwork == "bridge-egress"])
    error_message = "A function does not use the network for its calls."
  }
  assert {
    condition     = length(google_compute_address.egress) == 2 && google_compute_router_nat.egress["egress"].nat_ip_allocate_option == "MANUAL_ONLY"
    error_message = "Calls do not come from reserved addresses."
  }
}

run "operators_call_only_two_functions" {
  command = plan

  variables {
    operators = ["user:ada@acme.example"]
  }

  assert {
    condition     = { for key, function in google_cloudfunctions2_function.functions : key => function.service_config[0].ingress_settings } == { looker_pull = "ALLOW_ALL", pigment_export = "ALLOW_ALL", webhook_deliver = "ALLOW_INTERNAL_ONLY", webhook_receive = "ALLOW_ALL" }
    error_message = "The functions for operators are not reachable, or others are."
  }
  assert {
    condition     = toset([for grant in google_cloud_run_v2_service_iam_member.operators : "${grant.member} ${grant.name}"]) == toset(["user:ada@acme.example bridge-looker-pull", "user:ada@acme.example bridge-pigment-export"])
    error_message = "Operators cannot call exactly looker-pull and pigment-export."
  }
}

run "optional_resources_are_not_created_by_default" {
  command = plan

  assert {
    condition     = length(google_compute_network.egress) + length(google_compute_address.egress) + length(google_bigquery_dataset.exports) == 0
    error_message = "Optional resources are created without being requested."
  }
}

run "exports_are_external_tables" {
  command = plan

  variables {
    bigquery = { exports = ["heads", "revenue"] }
  }

  assert {
    condition     = google_bigquery_table.exports["revenue"].external_data_configuration[0].source_uris == tolist(["gs://acme-planning-bridge/exports/revenue/*"]) && google_bigquery_table.exports["revenue"].external_data_configuration[0].hive_partitioning_options[0].source_uri_prefix == "gs://acme-planning-bridge/exports/revenue/{dt:DATE}"
    error_message = "The date in the path is not a column."
  }
  assert {
    condition     = google_bigquery_table.exports["revenue"].external_data_configuration[0].csv_options[0].field_delimiter == ";" && google_bigquery_table.exports["revenue"].external_data_configuration[0].compression == "GZIP"
    error_message = "The format of the table differs from that of the export."
  }
  assert {
    condition     = google_bigquery_table.exports["heads"].external_data_configuration[0].source_uris == tolist(["gs://acme-planning-bridge/exports/heads/*.parquet"]) && google_bigquery_table.exports["heads"].external_data_configuration[0].source_format == "PARQUET"
    error_message = "The address has more than the one * that BigQuery allows."
  }
}

run "alerts_notify_all_recipients" {
  command = apply

  variables {
    alerts = { channels = ["projects/acme-planning/notificationChannels/1"], emails = ["data@acme.example"] }
  }

  assert {
    condition     = alltrue([for policy in concat(values(google_monitoring_alert_policy.logged), [google_monitoring_alert_policy.silent]) : toset(policy.notification_channels) == toset(["projects/acme-planning/notificationChannels/1", google_monitoring_notification_channel.emails["data@acme.example"].id])])
    error_message = "An alert does not notify all recipients."
  }
}
