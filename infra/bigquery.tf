# External tables for exports: BigQuery reads the objects in place. A user who queries them needs access to the dataset and to
# the objects.

locals {
  _tables = var.bigquery == null ? {} : {
    for name in var.bigquery.exports : name => {
      # BigQuery allows one *; it replaces everything that differs between runs.
      uri       = "gs://${local._bucket}/exports/${replace(try(local._bridge.exports[name].path, ""), "/\\{.*\\}/", "*")}"
      parquet   = try(local._bridge.exports[name].format, null) == "parquet"
      gzip      = try(local._bridge.exports[name].compress, null) == "gzip"
      delimiter = try(local._bridge.exports[name].delimiter, null)
      # Only of CSV whose columns are pinned in bridge.yaml. Parquet has its own, and the API refuses another one.
      schema       = try(length(local._bridge.exports[name].schema), 0) == 0 ? null : jsonencode(local._bridge.exports[name].schema)
      for_bigquery = try(local._bridge.exports[name].for_bigquery, false)
      # The path before dt={date}/; dt becomes a column.
      partitioned = try(regex("^((?:[^{]*/)?)dt=\\{date\\}/", local._bridge.exports[name].path)[0], null)
      is_ours     = !try(local._bridge.exports[name].has_own_bucket, true)
    }
  }
}

resource "google_bigquery_dataset" "exports" {
  #checkov:skip=CKV_GCP_81:the dataset contains only references to objects
  count = var.bigquery == null ? 0 : 1

  dataset_id  = var.bigquery.dataset
  description = "The exports of the Looker-Pigment bridge, read in place from gs://${local._bucket}/exports/."
  labels      = var.labels
  location    = google_storage_bucket.bridge.location

  depends_on = [google_project_service.services]
}

resource "google_bigquery_table" "exports" {
  #checkov:skip=CKV_GCP_80:the table contains only references to objects
  #checkov:skip=CKV_GCP_121:deleting the table deletes no rows
  for_each = local._tables

  dataset_id          = google_bigquery_dataset.exports[0].dataset_id
  table_id            = replace(each.key, "-", "_")
  deletion_protection = false
  description         = "The export ${each.key}: ${each.value.uri}"
  labels              = var.labels

  external_data_configuration {
    autodetect    = each.value.schema == null
    schema        = each.value.schema
    compression   = each.value.gzip ? "GZIP" : "NONE"
    source_format = each.value.parquet ? "PARQUET" : "CSV"
    source_uris   = [each.value.partitioned == null ? each.value.uri : "${local._exports_at}${each.value.partitioned}*"]

    dynamic "csv_options" {
      for_each = each.value.parquet ? [] : [each.value.delimiter]
      content {
        allow_quoted_newlines = true
        field_delimiter       = csv_options.value
        quote                 = "\""
        skip_leading_rows     = 1
      }
    }

    dynamic "hive_partitioning_options" {
      for_each = each.value.partitioned == null ? [] : [each.value.partitioned]
      content {
        mode              = "CUSTOM"
        source_uri_prefix = "${local._exports_at}${hive_partitioning_options.value}{dt:DATE}"
      }
    }
  }

  lifecycle {
    # BigQuery detects the columns, or adds the one of the path to those of external_data_configuration.schema.
    ignore_changes = [schema]

    precondition {
      condition     = each.value.is_ours
      error_message = "bigquery.exports has ${each.key}, which is not an export in bridge.yaml, or has a bucket of its own. Name exports in the bridge's bucket."
    }
    precondition {
      condition     = each.value.for_bigquery || !each.value.is_ours
      error_message = "The export ${each.key} is in bigquery.exports, but does not have bigquery: true in bridge.yaml. With it, its columns have names that external tables accept."
    }
  }
}

locals {
  _exports_at = "gs://${local._bucket}/exports/"
}

# Comparisons with engine: bigquery. A query names the files itself and reads them with the rights of its function, so the
# functions need no dataset and no right on one.
resource "google_project_iam_member" "queries" {
  for_each = toset(var.bigquery_engine ? local._bridge.queried_by : [])

  project = var.project_id
  role    = "roles/bigquery.jobUser"
  member  = local._members[each.key]

  depends_on = [google_project_service.services]
}
