output "action_hub_address" {
  description = "For Looker: Admin > Actions > Add Action Hub."
  value       = "${local._uris["webhook_receive"]}/"
}

output "bucket" {
  description = "The bridge's bucket, as BRIDGE_BUCKET for the command line."
  value       = google_storage_bucket.bridge.name
}

output "dashboard" {
  description = "Where the dashboard is."
  value       = "https://console.cloud.google.com/monitoring/dashboards/builder/${reverse(split("/", google_monitoring_dashboard.bridge.id))[0]}?project=${var.project_id}"
}

output "egress_addresses" {
  description = "For the allow lists of Looker and Pigment; empty without var.network."
  value       = google_compute_address.egress[*].address
}

output "function_uris" {
  description = "Where each function answers."
  value       = local._uris
}

output "invoke_commands" {
  description = "To start a job now, as its schedule would."
  value       = { for key, job in google_cloud_scheduler_job.jobs : local._scheduled[key].body.job => "gcloud scheduler jobs run ${job.name} --project=${var.project_id} --location=${var.region}" }
}

output "secret_commands" {
  description = "To add the value of each secret as a version, from standard input: paste it and press Ctrl-D, and no shell remembers it."
  value       = { for name, secret in google_secret_manager_secret.secrets : name => "gcloud secrets versions add ${secret.secret_id} --project=${var.project_id} --data-file=-" }
}

output "webhook_addresses" {
  description = "For Looker, by relay: the address of a schedule with the destination Webhook."
  value       = { for name, relay in local.relays : name => "${local._uris["webhook_receive"]}/${name}" }
}

locals {
  _uris = { for key, function in google_cloudfunctions2_function.functions : key => function.service_config[0].uri }
}
