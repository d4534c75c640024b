# What alerts, and whom.

mock_provider "google" {
  source = "./tests/mocks"
}

mock_provider "time" {}

run "alerts_notify_all_recipients" {
  command = apply

  variables {
    alerts = { channels = ["projects/acme-planning/notificationChannels/1"], emails = ["data@acme.example"] }
  }

  assert {
    condition     = alltrue([for policy in concat(values(google_monitoring_alert_policy.logged), values(google_monitoring_alert_policy.measured), [google_monitoring_alert_policy.instances, google_monitoring_alert_policy.silent]) : toset(policy.notification_channels) == toset(["projects/acme-planning/notificationChannels/1", google_monitoring_notification_channel.emails["data@acme.example"].id])])
    error_message = "An alert does not notify all recipients."
  }
}

run "what_google_refuses_before_the_code_runs_alerts" {
  command = apply

  variables {
    alerts = { emails = ["data@acme.example"] }
  }

  assert {
    condition     = toset(keys(google_monitoring_alert_policy.measured)) == toset(["calls_refused", "dead_letters", "deliveries_failed"])
    error_message = "Refused calls, failed deliveries or dead letters alert nobody."
  }
  assert {
    condition     = alltrue([for key, policy in google_monitoring_alert_policy.measured : !strcontains(policy.conditions[0].condition_threshold[0].filter, "logging.googleapis.com/user/")])
    error_message = "An alert needs a metric that a first apply has only just created."
  }
  assert {
    condition     = alltrue([for code in ["403", "413", "429"] : strcontains(google_monitoring_alert_policy.measured["calls_refused"].conditions[0].condition_threshold[0].filter, "\"${code}\"")])
    error_message = "A refusal of Cloud Run alerts nobody."
  }
  assert {
    condition     = alltrue([for name in ["bridge-looker-pull", "bridge-pigment-export", "bridge-webhook-deliver", "bridge-webhook-receive"] : strcontains(google_monitoring_alert_policy.measured["calls_refused"].conditions[0].condition_threshold[0].filter, "\"${name}\"") && strcontains(google_monitoring_alert_policy.instances.conditions[0].condition_matched_log[0].filter, "\"${name}\"")])
    error_message = "A function is not watched."
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.measured["dead_letters"].conditions[0].condition_threshold[0].filter, "\"bridge-inbox-dead-letters\"")
    error_message = "Dead letters alert nobody."
  }
  assert {
    condition     = google_monitoring_notification_channel.emails["data@acme.example"].force_delete
    error_message = "Google refuses to remove an address that an alert still names."
  }
}
