# With var.kms_key, a key of yours encrypts the bucket, the topics, the secrets, the images and the functions. The service agents
# that use it are those that Google's pages on customer-managed keys name:
# https://cloud.google.com/functions/docs/securing/cmek for functions and images, and those of Pub/Sub and Secret Manager.

locals {
  _key_users = var.kms_key == null ? {} : {
    artifact_registry = "gcp-sa-artifactregistry"
    eventarc          = "gcp-sa-eventarc" # Google asks for it for each function, also without an event
    functions         = "gcf-admin-robot"
    pubsub            = "gcp-sa-pubsub"
    run               = "serverless-robot-prod"
    secret_manager    = "gcp-sa-secretmanager"
    storage           = "gs-project-accounts"
  }
}

resource "google_kms_crypto_key_iam_member" "agents" {
  for_each = local._key_users

  crypto_key_id = var.kms_key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:service-${data.google_project.project.number}@${each.value}.iam.gserviceaccount.com"

  depends_on = [google_project_service.services]
}

resource "time_sleep" "key_roles" {
  count = var.kms_key == null ? 0 : 1

  create_duration = "120s"
  triggers        = { key = var.kms_key }

  depends_on = [google_kms_crypto_key_iam_member.agents]
}
