output "action_hub_address" {
  description = "The URL of the action hub, for Looker: Admin > Actions > Add Action Hub."
  value       = "${local._uris["webhook_receive"]}/"
}

output "bucket" {
  description = "The name of the bridge's bucket: BRIDGE_BUCKET for the command line."
  value       = google_storage_bucket.bridge.name
}

output "dashboard" {
  description = "The URL of the dashboard."
  value       = "https://console.cloud.google.com/monitoring/dashboards/builder/${reverse(split("/", google_monitoring_dashboard.bridge.id))[0]}?project=${var.project_id}"
}

output "egress_addresses" {
  description = "The addresses of outgoing calls, for the allow lists of Looker and Pigment. Empty without var.network."
  value       = google_compute_address.egress[*].address
}

output "function_uris" {
  description = "The URL of each function."
  value       = local._uris
}

output "invoke_commands" {
  description = "The commands that start scheduled jobs now, by job."
  value       = { for key, job in google_cloud_scheduler_job.jobs : local._bridge.schedules[key].job => "gcloud scheduler jobs run ${job.name} --project=${var.project_id} --location=${var.region}" }
}

output "secret_commands" {
  description = "The commands that add values to secrets, by secret. They read standard input, so that no shell history has the value: paste it and press Ctrl-D."
  value       = { for name, secret in google_secret_manager_secret.secrets : name => "gcloud secrets versions add ${secret.secret_id} --project=${var.project_id} --data-file=-" }
}

output "status_url" {
  description = "The URL of the status page, for a browser in which someone of var.readers is signed in to Google."
  value       = "https://storage.cloud.google.com/${google_storage_bucket.bridge.name}/status/index.html"
}

output "warnings" {
  description = "What is valid in bridge.yaml but probably wrong, as `make check` shows it."
  value       = local._bridge.warnings
}

output "webhook_addresses" {
  description = "The URLs for Looker's schedules with the destination Webhook, by relay."
  value       = { for name in local._bridge.relays : name => "${local._uris["webhook_receive"]}/${name}" }
}

locals {
  _uris = { for key, called in local._called : key => called.uri }
}
