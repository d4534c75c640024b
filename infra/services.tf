# The required APIs. Terraform itself needs three of them, so enable these once per project:
#
#     gcloud services enable cloudresourcemanager.googleapis.com serviceusage.googleapis.com storage.googleapis.com
#
# infra/README.md also names the service agents of Google that a new project does not have yet.

locals {
  _services = toset(concat(
    [
      "artifactregistry.googleapis.com",
      "cloudbuild.googleapis.com",
      "cloudfunctions.googleapis.com",
      "cloudscheduler.googleapis.com",
      "iam.googleapis.com",
      "logging.googleapis.com",
      "monitoring.googleapis.com",
      "pubsub.googleapis.com",
      "run.googleapis.com",
      "secretmanager.googleapis.com",
      "storage.googleapis.com",
    ],
    var.bigquery == null && var.receipts == null && !var.bigquery_engine ? [] : ["bigquery.googleapis.com"],
    var.kms_key == null ? [] : ["cloudkms.googleapis.com", "eventarc.googleapis.com"],
    var.network == null ? [] : ["compute.googleapis.com"],
  ))
}

resource "google_project_service" "services" {
  for_each = local._services

  project = var.project_id
  service = each.key
  # Other parts of the project may use the API.
  disable_on_destroy = false
}
