# Service accounts and their permissions. Default service accounts are not used.

locals {
  _identities = merge(
    { for key, function in local._own : key => { id = "${var.prefix}-${replace(key, "_", "-")}", description = local._descriptions[key] } },
    {
      build     = { id = "${var.prefix}-build", description = "Builds the functions." }
      push      = { id = "${var.prefix}-push", description = "Calls webhook-deliver for Pub/Sub." }
      scheduler = { id = "${var.prefix}-scheduler", description = "Calls functions for Cloud Scheduler." }
    },
  )

  # Computed rather than read from the resources, so that a plan shows the members of each role.
  _emails = merge(
    { for key, account in google_service_account.identities : key => "${account.account_id}@${var.project_id}.iam.gserviceaccount.com" },
    var.service_accounts,
  )
  _members = { for key, email in local._emails : key => "serviceAccount:${email}" }

  # An account's own project is in its address.
  _build_account = "projects/${regex("@([^.]+)[.]", local._emails["build"])[0]}/serviceAccounts/${local._emails["build"]}"
}

resource "google_service_account" "identities" {
  for_each = { for key, identity in local._identities : key => identity if !contains(keys(var.service_accounts), key) }

  account_id   = each.value.id
  description  = each.value.description
  display_name = each.value.id

  depends_on = [google_project_service.services]
}

# The callers of the functions. For webhook-receive, see webhook.tf.

locals {
  _callers = {
    "push calls webhook_deliver"     = { caller = "push", function = "webhook_deliver" }
    "scheduler calls looker_pull"    = { caller = "scheduler", function = "looker_pull" }
    "scheduler calls pigment_export" = { caller = "scheduler", function = "pigment_export" }
    "scheduler calls sweep"          = { caller = "scheduler", function = "sweep" }
  }

  _operators = {
    for pair in setproduct(["looker_pull", "pigment_export"], var.operators) : "${pair[1]} calls ${pair[0]}" => { caller = pair[1], function = pair[0] }
  }
}

# A replaced function has a new service without callers. Its ID is unknown in the plan that replaces it, and only then.
resource "terraform_data" "called" {
  for_each = merge(local._callers, local._operators)

  input = google_cloudfunctions2_function.functions[each.value.function].id
}

resource "google_cloud_run_v2_service_iam_member" "callers" {
  for_each = local._callers

  # The Cloud Run service of a function has the name of the function.
  name     = google_cloudfunctions2_function.functions[each.value.function].name
  location = var.region
  role     = "roles/run.invoker"
  member   = local._members[each.value.caller]

  lifecycle { replace_triggered_by = [terraform_data.called[each.key]] }
}

# People and services that may call two functions directly.
resource "google_cloud_run_v2_service_iam_member" "operators" {
  for_each = local._operators

  name     = google_cloudfunctions2_function.functions[each.value.function].name
  location = var.region
  role     = "roles/run.invoker"
  member   = each.value.caller

  lifecycle { replace_triggered_by = [terraform_data.called[each.key]] }
}

# The access of each function to the bucket, by prefix. "write" includes replacing and deleting. The functions need both for their
# preconditions: Cloud Storage answers 412 to a second create only if the caller may replace the object, otherwise 403.

locals {
  _bucket_access = {
    looker_pull = {
      "bases/"     = "write"
      "config/"    = "read"
      "cursors/"   = "write"
      "dead/"      = "write" # a pull settles the open run of a relay on the same configuration
      "delivered/" = "write"
      "inbox/"     = "write"
      "kept/"      = "write"
      "leases/"    = "write"
      "receipts/"  = "write"
      "staged/"    = "write"
      "status/"    = "write"
      "tmp/"       = "write" # a block that is read back
      "usage/"     = "write"
    }
    pigment_export = {
      "config/"   = "read"
      "cursors/"  = "write"
      "exports/"  = "write"
      "leases/"   = "write"
      "receipts/" = "write"
      "status/"   = "write"
      "tmp/"      = "write"
    }
    webhook_deliver = {
      "bases/"     = "write" # a relay may start a pull
      "config/"    = "read"
      "cursors/"   = "write"
      "dead/"      = "write"
      "delivered/" = "write"
      "inbox/"     = "write"
      "kept/"      = "write"
      "leases/"    = "write"
      "receipts/"  = "write"
      "seen/"      = "write" # a pull begins, and the next signal counts
      "staged/"    = "write"
      "status/"    = "write"
      "tmp/"       = "write" # a block that is read back
      "usage/"     = "write"
      "waits/"     = "write"
    }
    webhook_receive = {
      "config/"    = "read"
      "dead/"      = "read" # to recognise repeated deliveries
      "delivered/" = "read"
      "inbox/"     = "write"
      "seen/"      = "write"
    }
  }

  _object_roles = {
    read  = "roles/storage.objectViewer"
    write = "roles/storage.objectUser"
  }

  # IAM allows 12 logical operators in a condition (Google's documentation, "Quotas and limits"), so 12 prefixes leave one.
  _bucket_grants = merge(flatten([
    for function, access in local._bucket_access : [
      for level in distinct(values(access)) : {
        for place, prefixes in chunklist(sort([for prefix, allowed in access : prefix if allowed == level]), 12) :
        "${function} ${level}s${place == 0 ? "" : " ${place + 1}"}" => {
          function = function
          level    = level
          prefixes = prefixes
        }
      }
    ]
  ])...)
}

resource "google_storage_bucket_iam_member" "functions" {
  for_each = local._bucket_grants

  bucket = google_storage_bucket.bridge.name
  role   = local._object_roles[each.value.level]
  member = local._members[each.value.function]

  condition {
    # A change of the title or description replaces the binding.
    title       = "${each.value.level} ${join(" ", each.value.prefixes)}"
    description = "Objects under these prefixes alone."
    expression = join(" || ", [
      for prefix in each.value.prefixes : "resource.name.startsWith(\"projects/_/buckets/${local._bucket}/objects/${prefix}\")"
    ])
  }
}

# Permission to list the names of objects. It applies to the bucket, so conditions on objects do not grant it. Without it, Cloud
# Storage answers 403 instead of 404 for a missing object.
resource "google_storage_bucket_iam_member" "listing" {
  for_each = local._own

  bucket = google_storage_bucket.bridge.name
  role   = "roles/storage.legacyBucketReader"
  member = local._members[each.key]
}

# People who may see the status pages, and no other object. Without the permission to list, which conditions on objects do not
# grant, they open the pages by their addresses.
resource "google_storage_bucket_iam_member" "readers" {
  for_each = var.readers

  bucket = google_storage_bucket.bridge.name
  role   = "roles/storage.objectViewer"
  member = each.value

  condition {
    title       = "reads status/"
    description = "Objects under this prefix alone."
    expression  = "resource.name.startsWith(\"projects/_/buckets/${local._bucket}/objects/status/\")"
  }
}

# Other buckets that bridge.yaml names, in exports and in targets with `via: storage`.

locals {
  _user_bucket_grants = merge([
    for function, buckets in local._bridge.buckets : {
      for bucket in buckets : "${function} writes ${bucket}" => { bucket = bucket, function = function }
    }
  ]...)
}

resource "google_storage_bucket_iam_member" "user_buckets" {
  for_each = local._user_bucket_grants

  bucket = each.value.bucket
  role   = "roles/storage.objectUser"
  member = local._members[each.value.function]
}

# The build reads the source that Cloud Functions stores for it, and writes images and its log.

data "google_project" "project" {
  project_id = var.project_id
}

locals {
  _build_roles = {
    "roles/logging.logWriter"    = null
    "roles/storage.objectViewer" = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${data.google_project.project.number}-${var.region}\")"
  }
}

resource "google_project_iam_member" "build" {
  for_each = local._build_roles

  project = var.project_id
  role    = each.key
  member  = local._members["build"]

  dynamic "condition" {
    for_each = each.value == null ? [] : [each.value]
    content {
      title      = "the source of functions"
      expression = condition.value
    }
  }
}

resource "google_artifact_registry_repository_iam_member" "build" {
  project    = regex("^projects/([^/]+)/", local._repository)[0]
  location   = regex("/locations/([^/]+)/", local._repository)[0]
  repository = regex("[^/]+$", local._repository)
  role       = "roles/artifactregistry.writer"
  member     = local._members["build"]

  depends_on = [google_artifact_registry_repository.images]
}
