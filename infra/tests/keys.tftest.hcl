# A key of the organization encrypts all that stores data.

mock_provider "google" {
  source = "./tests/mocks"
}

mock_provider "time" {}

run "a_key_encrypts_everything_that_stores_data" {
  command = apply

  variables {
    kms_key            = "projects/acme-keys/locations/europe-west1/keyRings/bridge/cryptoKeys/data"
    secret_replication = ["europe-west1"]
  }

  assert {
    condition = toset(concat(
      [google_storage_bucket.bridge.encryption[0].default_kms_key_name, google_pubsub_topic.inbox.kms_key_name, google_pubsub_topic.dead_letters.kms_key_name, google_artifact_registry_repository.images[0].kms_key_name],
      [for function in google_cloudfunctions2_function.functions : function.kms_key_name],
      [for secret in google_secret_manager_secret.secrets : secret.replication[0].user_managed[0].replicas[0].customer_managed_encryption[0].kms_key_name],
    )) == toset([var.kms_key])
    error_message = "Something is encrypted with a key of Google's."
  }
  assert {
    condition     = toset([for grant in google_kms_crypto_key_iam_member.agents : regex("@([a-z-]+)", grant.member)[0]]) == toset(["gcf-admin-robot", "gcp-sa-artifactregistry", "gcp-sa-eventarc", "gcp-sa-pubsub", "gcp-sa-secretmanager", "gs-project-accounts", "serverless-robot-prod"])
    error_message = "A service agent cannot use the key."
  }
}

run "a_key_also_encrypts_the_open_service" {
  command = plan

  variables {
    kms_key            = "projects/acme-keys/locations/europe-west1/keyRings/bridge/cryptoKeys/data"
    public_invoker     = false
    secret_replication = ["europe-west1"]
  }

  assert {
    condition     = google_cloud_run_v2_service.webhook["webhook_receive"].template[0].encryption_key == var.kms_key
    error_message = "The service is encrypted with a key of Google's."
  }
}

run "a_key_of_another_region_is_refused" {
  command = plan

  variables {
    kms_key            = "projects/acme-keys/locations/europe/keyRings/bridge/cryptoKeys/data"
    secret_replication = ["europe-west1"]
  }

  expect_failures = [var.kms_key]
}

run "a_key_without_regional_secrets_is_refused" {
  command = plan

  variables {
    kms_key = "projects/acme-keys/locations/europe-west1/keyRings/bridge/cryptoKeys/data"
  }

  expect_failures = [var.kms_key]
}
