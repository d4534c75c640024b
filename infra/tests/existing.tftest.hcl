# What an organization already has, and its policies ask for, in place of what Terraform would create.

mock_provider "google" {
  source = "./tests/mocks"
}

mock_provider "time" {}



run "existing_things_are_used_and_not_created" {
  command = apply

  variables {
    network = {
      network    = "projects/acme-network/global/networks/shared"
      subnetwork = "projects/acme-network/regions/europe-west1/subnetworks/functions"
      functions  = ["looker_pull"]
    }
    repository = "projects/acme-images/locations/europe/repositories/docker"
    service_accounts = {
      build           = "builds@acme-accounts.iam.gserviceaccount.com"
      looker_pull     = "pulls@acme-accounts.iam.gserviceaccount.com"
      pigment_export  = "exports@acme-accounts.iam.gserviceaccount.com"
      push            = "push@acme-accounts.iam.gserviceaccount.com"
      scheduler       = "scheduler@acme-accounts.iam.gserviceaccount.com"
      webhook_deliver = "deliver@acme-accounts.iam.gserviceaccount.com"
      webhook_receive = "receive@acme-accounts.iam.gserviceaccount.com"
    }
    worker_pool = "projects/acme-builds/locations/europe-west1/workerPools/private"
  }

  assert {
    condition     = length(google_compute_network.egress) + length(google_compute_router_nat.egress) + length(google_compute_address.egress) + length(google_artifact_registry_repository.images) + length(google_service_account.identities) == 0
    error_message = "What exists is created again."
  }
  assert {
    condition     = google_cloudfunctions2_function.functions["looker_pull"].service_config[0].direct_vpc_network_interface[0].network == "projects/acme-network/global/networks/shared" && google_cloudfunctions2_function.functions["looker_pull"].service_config[0].direct_vpc_network_interface[0].subnetwork == "projects/acme-network/regions/europe-west1/subnetworks/functions" && length(google_cloudfunctions2_function.functions["pigment_export"].service_config[0].direct_vpc_network_interface) == 0
    error_message = "The functions do not use the existing subnet, or those that should not do."
  }
  assert {
    condition = alltrue([
      for function in google_cloudfunctions2_function.functions : function.build_config[0].docker_repository == "projects/acme-images/locations/europe/repositories/docker"
      && function.build_config[0].service_account == "projects/acme-accounts/serviceAccounts/builds@acme-accounts.iam.gserviceaccount.com"
      && function.build_config[0].worker_pool == "projects/acme-builds/locations/europe-west1/workerPools/private"
    ])
    error_message = "A build does not use what exists."
  }
  assert {
    condition     = "${google_artifact_registry_repository_iam_member.build.project}/${google_artifact_registry_repository_iam_member.build.location}/${google_artifact_registry_repository_iam_member.build.repository}" == "acme-images/europe/docker"
    error_message = "The build may not write to the existing repository."
  }
  assert {
    condition     = google_cloudfunctions2_function.functions["looker_pull"].service_config[0].service_account_email == "pulls@acme-accounts.iam.gserviceaccount.com" && toset([for grant in google_cloud_run_v2_service_iam_member.callers : grant.member]) == toset(["serviceAccount:push@acme-accounts.iam.gserviceaccount.com", "serviceAccount:scheduler@acme-accounts.iam.gserviceaccount.com"])
    error_message = "The existing accounts do not have the roles of those that Terraform would create."
  }
  assert {
    condition     = google_service_account_iam_member.push.service_account_id == "projects/acme-accounts/serviceAccounts/push@acme-accounts.iam.gserviceaccount.com"
    error_message = "Pub/Sub cannot create tokens of the existing account."
  }
}

run "secrets_stay_in_the_given_regions" {
  command = plan

  variables {
    secret_replication = ["europe-west1", "europe-west4"]
  }

  assert {
    condition     = alltrue([for secret in google_secret_manager_secret.secrets : length(secret.replication[0].auto) == 0 && toset(secret.replication[0].user_managed[0].replicas[*].location) == toset(["europe-west1", "europe-west4"])])
    error_message = "A policy on resource locations refuses the secrets."
  }
}

run "names_in_place_of_full_ids_are_refused" {
  command = plan

  variables {
    network          = { network = "shared", subnetwork = "functions" }
    repository       = "docker"
    service_accounts = { build = "builds@acme-accounts.iam.gserviceaccount.com", push = "builds@acme-accounts.iam.gserviceaccount.com" }
    worker_pool      = "private"
  }

  expect_failures = [var.network, var.repository, var.service_accounts, var.worker_pool]
}

run "webhook_receive_can_stand_behind_a_load_balancer" {
  command = plan

  variables {
    functions = { webhook_receive = { ingress = "ALLOW_INTERNAL_AND_GCLB" } }
  }

  assert {
    condition     = google_cloudfunctions2_function.functions["webhook_receive"].service_config[0].ingress_settings == "ALLOW_INTERNAL_AND_GCLB"
    error_message = "Callers can go round the load balancer and Cloud Armor."
  }
}
