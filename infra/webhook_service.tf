# webhook-receive where a policy of the organisation forbids allUsers (public_invoker = false): a Cloud Run service from the
# same archive. It checks no identity of Google's (invoker_iam_disabled), which a function cannot be told, and which an upgrade
# of a function could undo: github.com/hashicorp/terraform-provider-google/issues/23360. It has a name of its own, because
# Terraform could not replace the function by a service with the same name.

resource "google_cloud_run_v2_service" "webhook" {
  for_each = { for key, function in local._functions : key => function if function.is_open_service }

  name                 = each.value.name
  deletion_protection  = false # it has no state
  description          = local._descriptions[each.key]
  ingress              = local._ingress_of_services[each.value.ingress]
  invoker_iam_disabled = true
  labels               = var.labels
  location             = var.region

  build_config {
    # The image of the runtime, to which Google adds security updates.
    base_image               = "${var.region}-docker.pkg.dev/serverless-runtimes/google-22-full/runtimes/python313"
    enable_automatic_updates = true
    environment_variables    = { GOOGLE_FUNCTION_SOURCE = "${each.key}.py" }
    function_target          = each.key
    image_uri                = local._webhook_image
    service_account          = local._build_account
    source_location          = "gs://${google_storage_bucket_object.archive.bucket}/${google_storage_bucket_object.archive.name}"
    worker_pool              = var.worker_pool
  }

  template {
    encryption_key                   = var.kms_key
    max_instance_request_concurrency = each.value.concurrency
    service_account                  = local._emails[each.key]
    timeout                          = "${each.value.timeout_s}s"

    containers {
      image          = local._webhook_image
      base_image_uri = "${var.region}-docker.pkg.dev/serverless-runtimes/google-22-full/runtimes/python313"

      dynamic "env" {
        for_each = local._environments[each.key]
        content {
          name  = env.key
          value = env.value
        }
      }

      resources {
        cpu_idle          = true
        limits            = { cpu = each.value.cpu, memory = each.value.memory }
        startup_cpu_boost = true
      }
    }

    scaling {
      max_instance_count = each.value.max_instances
      min_instance_count = each.value.min_instances
    }

    dynamic "vpc_access" {
      for_each = each.value.network[*]
      content {
        egress = "ALL_TRAFFIC"
        network_interfaces {
          network    = vpc_access.value.network
          subnetwork = vpc_access.value.subnetwork
        }
      }
    }
  }

  depends_on = [google_project_service.services, google_storage_bucket_iam_member.build, time_sleep.build_roles, time_sleep.key_roles]
}

# Cloud Functions copies the archive for its build; Cloud Run builds from the archive itself.
resource "google_storage_bucket_iam_member" "build" {
  count = var.public_invoker ? 0 : 1

  bucket = google_storage_bucket.bridge.name
  role   = "roles/storage.objectViewer"
  member = local._members["build"]

  condition {
    title       = "read source/"
    description = "Objects under this prefix alone."
    expression  = "resource.name.startsWith(\"projects/_/buckets/${local._bucket}/objects/source/\")"
  }
}

locals {
  _ingress_of_services = {
    ALLOW_ALL               = "INGRESS_TRAFFIC_ALL"
    ALLOW_INTERNAL_AND_GCLB = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
    ALLOW_INTERNAL_ONLY     = "INGRESS_TRAFFIC_INTERNAL_ONLY"
  }

  _webhook_image = format("%s-docker.pkg.dev/%s/%s/webhook-receive", regex("locations/([^/]+)/", local._repository)[0], regex("^projects/([^/]+)/", local._repository)[0], regex("[^/]+$", local._repository))
}
