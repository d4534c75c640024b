# The functions. They share one archive; GOOGLE_FUNCTION_SOURCE names the entry file of each. The sweep is webhook-deliver once
# more, with an instance of its own: pushes can keep all instances of webhook-deliver busy for ten minutes each.

locals {
  # A run ends this long before the timeout: 15 s to start, 15 s to answer.
  _margin_s = 30

  _functions = merge(local._own, {
    sweep = merge(local._own["webhook_deliver"], { max_instances = 1, name = "${var.prefix}-sweep" })
  })

  # Those with an entry file and a service account of their own.
  _own = {
    for key, given in var.functions : key => {
      account     = key
      concurrency = try(given.concurrency, 1) # a run uses a whole core while it streams
      cpu         = given.cpu
      entry_point = key
      ingress     = coalesce(given.ingress, length(var.operators) > 0 ? "ALLOW_ALL" : "ALLOW_INTERNAL_ONLY")
      # Without public_invoker, webhook-receive is a Cloud Run service: see webhook_service.tf.
      is_open_service = key == "webhook_receive" && !var.public_invoker
      max_instances   = given.max_instances
      memory          = given.memory
      min_instances   = try(given.min_instances, 0)
      name            = key == "webhook_receive" && !var.public_invoker ? "${var.prefix}-webhook" : "${var.prefix}-${replace(key, "_", "-")}"
      network         = contains(try(var.network.functions, []), key) ? local._interface : null
      timeout_s       = given.timeout_s
    }
  }
}

resource "google_cloudfunctions2_function" "functions" {
  #checkov:skip=CKV_GCP_124:only webhook-receive is open, because Looker calls it from outside; see var.functions
  for_each = { for key, function in local._functions : key => function if !function.is_open_service }

  name         = each.value.name
  description  = local._descriptions[each.key]
  labels       = var.labels
  location     = var.region
  kms_key_name = var.kms_key

  build_config {
    docker_repository     = local._repository
    entry_point           = each.value.entry_point
    environment_variables = { GOOGLE_FUNCTION_SOURCE = "${each.value.entry_point}.py" }
    runtime               = "python313"
    service_account       = local._build_account
    worker_pool           = var.worker_pool

    source {
      storage_source {
        bucket = google_storage_bucket_object.archive.bucket
        object = google_storage_bucket_object.archive.name
      }
    }
  }

  service_config {
    all_traffic_on_latest_revision   = true
    available_cpu                    = each.value.cpu
    available_memory                 = each.value.memory
    direct_vpc_egress                = each.value.network == null ? null : "VPC_EGRESS_ALL_TRAFFIC"
    ingress_settings                 = each.value.ingress
    max_instance_count               = each.value.max_instances
    max_instance_request_concurrency = each.value.concurrency
    min_instance_count               = each.value.min_instances
    service_account_email            = local._emails[each.value.account]
    timeout_seconds                  = each.value.timeout_s

    environment_variables = local._environments[each.key]

    dynamic "direct_vpc_network_interface" {
      for_each = each.value.network[*]
      content {
        network    = direct_vpc_network_interface.value.network
        subnetwork = direct_vpc_network_interface.value.subnetwork
      }
    }
  }

  # The build needs its roles as soon as the function is created.
  depends_on = [google_project_service.services, time_sleep.build_roles, time_sleep.key_roles]
}

locals {
  _environments = {
    for key, function in local._functions : key => merge(
      {
        BRIDGE_BUCKET        = google_storage_bucket.bridge.name
        BRIDGE_DEADLINE_S    = tostring(function.timeout_s - local._margin_s)
        BRIDGE_LOG_LEVEL     = var.log_level
        GOOGLE_CLOUD_PROJECT = var.project_id
      },
      # A first connection through a network can take a minute or more, and is tried again after 30 seconds.
      function.network == null ? {} : { BRIDGE_FIRST_ANSWER_S = "120" },
      # As many threads as Cloud Run sends requests; the default of functions-framework is four per core.
      function.concurrency == 1 ? {} : { THREADS = tostring(function.concurrency) },
    )
  }

  # By function, for whatever calls it.
  _called = merge(
    { for key, function in google_cloudfunctions2_function.functions : key => { name = function.name, uri = function.service_config[0].uri } },
    { for service in google_cloud_run_v2_service.webhook : "webhook_receive" => { name = service.name, uri = service.uri } },
  )

  _descriptions = {
    looker_pull     = "Imports all rows of a Look into Pigment."
    pigment_export  = "Exports a complete Pigment view or block to Cloud Storage."
    sweep           = "Imports what no push has imported, checks for overdue jobs, and writes the status pages."
    webhook_deliver = "Imports the deliveries in the inbox into Pigment."
    webhook_receive = "Stores webhook deliveries from Looker in the inbox."
  }
}

# The repository for the images of the functions. It is separate, so that the build can write only here.

locals {
  _created_repository = "projects/${var.project_id}/locations/${var.region}/repositories/${var.prefix}-functions"
  _repository         = coalesce(var.repository, local._created_repository)
}

resource "google_artifact_registry_repository" "images" {
  #checkov:skip=CKV_GCP_84:without var.kms_key, the images contain only this project's source, for which Google's keys are enough
  count = var.repository == null ? 1 : 0

  repository_id = "${var.prefix}-functions"
  description   = "The images of the Looker-Pigment bridge's functions."
  format        = "DOCKER"
  kms_key_name  = var.kms_key
  labels        = var.labels
  location      = var.region

  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition { older_than = "2592000s" } # 30 days
  }

  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"
    most_recent_versions { keep_count = 3 }
  }

  depends_on = [google_project_service.services, time_sleep.key_roles]
}
