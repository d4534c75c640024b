# How the functions are reached, and how they reach others.

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
    condition     = { for key, function in google_cloudfunctions2_function.functions : key => lookup(function.service_config[0].environment_variables, "BRIDGE_FIRST_ANSWER_S", "") } == { looker_pull = "120", pigment_export = "120", sweep = "120", webhook_deliver = "120", webhook_receive = "" }
    error_message = "A function gives up before its first connection through the network, or one outside of it waits for nothing."
  }
  assert {
    condition     = length(google_compute_address.egress) == 2 && google_compute_router_nat.egress["egress"].nat_ip_allocate_option == "MANUAL_ONLY"
    error_message = "Calls do not come from reserved addresses."
  }
}
