# The path of a delivery: Looker → webhook-receive → inbox/ → notification → Pub/Sub → webhook-deliver. A Pub/Sub message is only a
# hint to process the inbox, so no delivery is lost with a message.

# Looker sends its webhook token and no token of Google's, so everybody may call webhook-receive. The function checks the webhook
# token first. If a policy forbids allUsers: webhook_service.tf.
resource "google_cloud_run_v2_service_iam_member" "public" {
  count = var.public_invoker ? 1 : 0

  name     = google_cloudfunctions2_function.functions["webhook_receive"].name
  location = var.region
  role     = "roles/run.invoker"
  member   = "allUsers"

  lifecycle { replace_triggered_by = [google_cloudfunctions2_function.functions["webhook_receive"].id] }
}

resource "google_pubsub_topic" "inbox" {
  #checkov:skip=CKV_GCP_83:a message contains the name of an object and no rows; var.kms_key encrypts it with your key
  name         = "${var.prefix}-inbox"
  kms_key_name = var.kms_key
  labels       = var.labels

  depends_on = [google_project_service.services, time_sleep.key_roles]
}

data "google_storage_project_service_account" "storage" {
  project = var.project_id
}

resource "google_pubsub_topic_iam_member" "storage" {
  topic  = google_pubsub_topic.inbox.name
  role   = "roles/pubsub.publisher"
  member = data.google_storage_project_service_account.storage.member
}

resource "google_storage_notification" "inbox" {
  bucket             = google_storage_bucket.bridge.name
  event_types        = ["OBJECT_FINALIZE"]
  object_name_prefix = "inbox/"
  payload_format     = "NONE" # webhook-deliver does not read the content of messages
  topic              = "projects/${var.project_id}/topics/${google_pubsub_topic.inbox.name}"

  depends_on = [google_pubsub_topic_iam_member.storage]
}

resource "google_pubsub_subscription" "deliver" {
  name                       = "${var.prefix}-deliver"
  ack_deadline_seconds       = 600 # the maximum
  labels                     = var.labels
  message_retention_duration = "604800s" # 7 days
  topic                      = google_pubsub_topic.inbox.id

  # 100 attempts with up to 10 minutes between them take most of a day. After that, the sweep processes the inbox.
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters.id
    max_delivery_attempts = 100
  }

  # The subscription never expires, even after months without a delivery.
  expiration_policy {
    ttl = ""
  }

  push_config {
    push_endpoint = local._called["webhook_deliver"].uri

    oidc_token {
      audience              = local._called["webhook_deliver"].uri
      service_account_email = local._emails["push"]
    }
  }

  retry_policy {
    maximum_backoff = "600s"
    minimum_backoff = "10s"
  }

  depends_on = [google_cloud_run_v2_service_iam_member.callers]
}

resource "google_pubsub_topic" "dead_letters" {
  #checkov:skip=CKV_GCP_83:a message contains the name of an object and no rows; var.kms_key encrypts it with your key
  name         = "${var.prefix}-inbox-dead-letters"
  kms_key_name = var.kms_key
  labels       = var.labels

  depends_on = [google_project_service.services, time_sleep.key_roles]
}

# Without a subscription, Pub/Sub would drop dead letters, and alerts_google.tf could not count them. Nobody has to read them.
resource "google_pubsub_subscription" "dead_letters" {
  name                       = "${var.prefix}-inbox-dead-letters"
  labels                     = var.labels
  message_retention_duration = "604800s"
  topic                      = google_pubsub_topic.dead_letters.id

  expiration_policy {
    ttl = ""
  }
}

# The service agent of Pub/Sub. Google creates it with the first topic of a project, or when asked to: infra/README.md.

locals {
  _pubsub_agent = "serviceAccount:service-${data.google_project.project.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_topic_iam_member" "dead_letters" {
  topic  = google_pubsub_topic.dead_letters.name
  role   = "roles/pubsub.publisher"
  member = local._pubsub_agent

  depends_on = [time_sleep.service_agents]
}

resource "google_pubsub_subscription_iam_member" "dead_letters" {
  subscription = google_pubsub_subscription.deliver.name
  role         = "roles/pubsub.subscriber"
  member       = local._pubsub_agent

  depends_on = [time_sleep.service_agents]
}

# In projects created before April 2021, the agent needs this role to create tokens.
resource "google_service_account_iam_member" "push" {
  service_account_id = "projects/${regex("@([^.]+)[.]", local._emails["push"])[0]}/serviceAccounts/${local._emails["push"]}"
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = local._pubsub_agent

  depends_on = [google_service_account.identities, time_sleep.service_agents]
}
