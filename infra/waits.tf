# What Google needs after it has answered. Each wait takes place once, in the first apply.

# A new role takes effect later, and a build without its roles fails. Google's sample for functions with a build account
# waits 60 seconds: cloudfunctions2_basic_builder in the documentation of google_cloudfunctions2_function.
resource "time_sleep" "build_roles" {
  create_duration = "120s"
  # Other roles, for another account, need another wait.
  triggers = { account = local._members["build"] }

  depends_on = [google_artifact_registry_repository_iam_member.build, google_project_iam_member.build]
}

# Google creates its service agents some time after an API was enabled, and refuses roles for an agent that does not exist.
resource "time_sleep" "service_agents" {
  create_duration = "60s"

  depends_on = [google_project_service.services, google_pubsub_topic.dead_letters, google_pubsub_topic.inbox]
}

# An alert on a metric from logs is refused ("Cannot find metric") for up to ten minutes after the metric was created. The
# functions are built meanwhile. See github.com/hashicorp/terraform-provider-google/issues/11102.
resource "time_sleep" "metrics" {
  create_duration = "600s"
  triggers        = { sweeps = google_logging_metric.metrics["sweeps"].name }
}
