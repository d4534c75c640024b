# The APIs this needs. Terraform asks three before it can switch on any, so once per project, by hand:
#
#     gcloud services enable cloudresourcemanager.googleapis.com serviceusage.googleapis.com storage.googleapis.com

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
    var.bigquery == null ? [] : ["bigquery.googleapis.com"],
    var.network == null ? [] : ["compute.googleapis.com"],
  ))
}

resource "google_project_service" "services" {
  for_each = local._services

  project = var.project_id
  service = each.key
  # Somebody else in the project may use it.
  disable_on_destroy = false
}
