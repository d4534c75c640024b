# The way of a delivery: Looker → webhook-receive → inbox/ → a notification → Pub/Sub → webhook-deliver. The inbox is the
# truth and a message only a hint, so nothing is lost with one.

# Looker bears a token of its own and none of Google's, so anybody may call; the function asks for the webhook token
# before it looks at anything else. Where a policy forbids allUsers, switch off Cloud Run's own check in its place:
#
#     gcloud run services update PREFIX-webhook-receive --region REGION --no-invoker-iam-check
resource "google_cloud_run_v2_service_iam_member" "public" {
  count = var.public_invoker ? 1 : 0

  name     = google_cloudfunctions2_function.functions["webhook_receive"].name
  location = var.region
  role     = "roles/run.invoker"
  member   = "allUsers"
}

resource "google_pubsub_topic" "inbox" {
  #checkov:skip=CKV_GCP_83:a message holds the name of an object, no row; Google's own keys do
  name   = "${var.prefix}-inbox"
  labels = var.labels

  depends_on = [google_project_service.services]
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
  payload_format     = "NONE" # the object's name is among the attributes, and nothing else is read
  topic              = "projects/${var.project_id}/topics/${google_pubsub_topic.inbox.name}"

  depends_on = [google_pubsub_topic_iam_member.storage]
}

resource "google_pubsub_subscription" "deliver" {
  name                       = "${var.prefix}-deliver"
  ack_deadline_seconds       = 600 # the most there is
  labels                     = var.labels
  message_retention_duration = "604800s" # 7 days
  topic                      = google_pubsub_topic.inbox.id

  # 100 times with up to 10 minutes between them: most of a day. From then on the sweep is enough.
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters.id
    max_delivery_attempts = 100
  }

  # Never: a quarter without a delivery is no reason to be deaf to the next.
  expiration_policy {
    ttl = ""
  }

  push_config {
    push_endpoint = google_cloudfunctions2_function.functions["webhook_deliver"].service_config[0].uri

    oidc_token {
      audience              = google_cloudfunctions2_function.functions["webhook_deliver"].service_config[0].uri
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
  #checkov:skip=CKV_GCP_83:a message holds the name of an object, no row; Google's own keys do
  name   = "${var.prefix}-inbox-dead-letters"
  labels = var.labels

  depends_on = [google_project_service.services]
}

# Nobody has to read them; without a subscription they would be gone.
resource "google_pubsub_subscription" "dead_letters" {
  name                       = "${var.prefix}-inbox-dead-letters"
  labels                     = var.labels
  message_retention_duration = "604800s"
  topic                      = google_pubsub_topic.dead_letters.id

  expiration_policy {
    ttl = ""
  }
}

# Pub/Sub acts as its service agent, which comes into being with the first topic of a project.

locals {
  _pubsub_agent = "serviceAccount:service-${data.google_project.project.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_topic_iam_member" "dead_letters" {
  topic  = google_pubsub_topic.dead_letters.name
  role   = "roles/pubsub.publisher"
  member = local._pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "dead_letters" {
  subscription = google_pubsub_subscription.deliver.name
  role         = "roles/pubsub.subscriber"
  member       = local._pubsub_agent
}

# In projects from before April 2021 the agent may not sign for others on its own.
resource "google_service_account_iam_member" "push" {
  service_account_id = google_service_account.identities["push"].name
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = local._pubsub_agent

  depends_on = [google_pubsub_topic.inbox]
}
