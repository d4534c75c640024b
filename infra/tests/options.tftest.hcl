# The options that variables enable.

mock_provider "google" {
  source = "./tests/mocks"
}

mock_provider "time" {}

run "without_public_invoker_the_webhook_is_an_open_service_and_allusers_has_no_role" {
  command = apply

  variables {
    public_invoker = false
  }

  assert {
    condition     = length(google_cloud_run_v2_service_iam_member.public) == 0
    error_message = "allUsers has access, which a policy of the organization may forbid."
  }
  assert {
    condition     = google_cloud_run_v2_service.webhook["webhook_receive"].invoker_iam_disabled && google_cloud_run_v2_service.webhook["webhook_receive"].ingress == "INGRESS_TRAFFIC_ALL" && !contains(keys(google_cloudfunctions2_function.functions), "webhook_receive")
    error_message = "Looker cannot call webhook-receive."
  }
  assert {
    condition     = google_cloud_run_v2_service.webhook["webhook_receive"].build_config[0].source_location == "gs://acme-planning-bridge/${google_storage_bucket_object.archive.name}" && google_cloud_run_v2_service.webhook["webhook_receive"].template[0].containers[0].image == "europe-west1-docker.pkg.dev/acme-planning/bridge-functions/webhook-receive"
    error_message = "The service is not built from the archive into the bridge's repository."
  }
  assert {
    condition     = google_cloud_run_v2_service.webhook["webhook_receive"].template[0].service_account == "bridge-webhook-receive@acme-planning.iam.gserviceaccount.com" && contains([for variable in google_cloud_run_v2_service.webhook["webhook_receive"].template[0].containers[0].env : "${variable.name}=${variable.value}"], "THREADS=8")
    error_message = "The service runs with other permissions or settings than the function."
  }
  assert {
    condition     = output.webhook_addresses == { budget = "${google_cloud_run_v2_service.webhook["webhook_receive"].uri}/budget" }
    error_message = "The addresses for Looker are not those of the service."
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.measured["calls_refused"].conditions[0].condition_threshold[0].filter, "\"bridge-webhook\"")
    error_message = "No alert watches the service."
  }
}

run "a_network_routes_all_calls_through_reserved_addresses" {
  command = apply

  variables {
    network = { addresses = 2 }
  }

  assert {
    condition     = alltrue([for key, function in google_cloudfunctions2_function.functions : function.service_config[0].direct_vpc_egress == "VPC_EGRESS_ALL_TRAFFIC" && function.service_config[0].direct_vpc_network_interface[0].network == "bridge-egress" && function.service_config[0].direct_vpc_network_interface[0].subnetwork == "bridge-egress" if key != "webhook_receive"])
    error_message = "A function does not use the network for its calls, or does not name it."
  }
  assert {
    condition     = length(google_cloudfunctions2_function.functions["webhook_receive"].service_config[0].direct_vpc_network_interface) == 0 && google_compute_subnetwork.egress["egress"].ip_cidr_range == "10.8.0.0/24"
    error_message = "A delivery waits for a first connection through the network, or the subnet is too small for an upgrade."
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

run "readers_see_the_status_page_and_nothing_else" {
  command = apply

  variables {
    readers = ["group:finance@acme.example"]
  }

  assert {
    condition     = [for grant in google_storage_bucket_iam_member.readers : "${grant.member} ${grant.role} ${grant.condition[0].expression}"] == ["group:finance@acme.example roles/storage.objectViewer resource.name.startsWith(\"projects/_/buckets/acme-planning-bridge/objects/status/\")"]
    error_message = "A reader has no access to the status page, or access to more."
  }
  assert {
    condition     = output.status_url == "https://storage.cloud.google.com/acme-planning-bridge/status/index.html"
    error_message = "The address of the status page is wrong."
  }
}

run "optional_resources_are_not_created_by_default" {
  command = plan

  assert {
    condition     = length(google_compute_network.egress) + length(google_compute_address.egress) + length(google_bigquery_dataset.exports) == 0
    error_message = "Optional resources are created without being requested."
  }
}
