# The bridge's bucket. It stores all state that is shared between calls.

locals {
  _bucket = coalesce(var.bucket.name, "${var.project_id}-${var.prefix}")

  # In days, by prefix. Markers in seen/ are kept longer than their deliveries, otherwise a delivery could be imported again.
  _lifetime_days = {
    "delivered/" = var.retention_days.delivered
    "receipts/"  = var.retention_days.receipts
    "seen/"      = var.retention_days.delivered + 30
    "staged/"    = var.retention_days.staged
    "tmp/"       = 1
    "usage/"     = var.retention_days.receipts
  }

  # Temporary files, leases, waits, status pages and counts of calls. Leases are rewritten every 30 seconds of a run, and pages by
  # each sweep. Earlier versions are useless.
  _prefixes_without_versions = ["leases/", "staged/", "status/", "tmp/", "usage/", "waits/"]
}

resource "google_storage_bucket" "bridge" {
  #checkov:skip=CKV_GCP_62:Cloud Audit Logs record access; a bucket of access logs would need protection too
  name                        = local._bucket
  force_destroy               = !var.deletion_protection
  labels                      = var.labels
  location                    = coalesce(var.bucket.location, var.region)
  public_access_prevention    = "enforced"
  uniform_bucket_level_access = true

  dynamic "lifecycle_rule" {
    for_each = local._lifetime_days
    content {
      action { type = "Delete" }
      condition {
        age            = lifecycle_rule.value
        matches_prefix = [lifecycle_rule.key]
      }
    }
  }

  lifecycle_rule {
    action { type = "Delete" }
    condition {
      days_since_noncurrent_time = 1
      matches_prefix             = local._prefixes_without_versions
    }
  }

  lifecycle_rule {
    action { type = "Delete" }
    condition { days_since_noncurrent_time = var.retention_days.replaced }
  }

  lifecycle_rule {
    action { type = "AbortIncompleteMultipartUpload" }
    condition { age = 1 }
  }

  soft_delete_policy {
    retention_duration_seconds = var.retention_days.soft_deleted * 24 * 60 * 60
  }

  dynamic "encryption" {
    for_each = var.kms_key[*]
    content {
      default_kms_key_name = encryption.value
    }
  }

  versioning {
    enabled = true
  }

  depends_on = [google_project_service.services, time_sleep.key_roles]
}

# bridge.yaml for the functions. A change updates this object and the schedules, but deploys no function.
resource "google_storage_bucket_object" "config" {
  bucket       = google_storage_bucket.bridge.name
  name         = "config/bridge.json"
  content      = local._bridge.config
  content_type = "application/json"
}

resource "google_storage_bucket_object" "archive" {
  bucket = google_storage_bucket.bridge.name
  name   = "source/functions-${filesha256(var.source_archive)}.zip"
  source = var.source_archive
}
