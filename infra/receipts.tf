# The receipts as a table of BigQuery, which reads them in place, and two views of it. See "Receipts in BigQuery" in README.md.

locals {
  _receipts = var.receipts[*]

  # What the queries in sql/ name.
  _in_queries = {
    dataset = one(google_bigquery_dataset.receipts[*].dataset_id)
    jobs    = values(local._bridge.schedules)
    project = var.project_id
  }
  _views = {
    landings = { description = "One row for each run whose rows have landed in Pigment, or whose export was published." }
    late     = { description = "The scheduled jobs of which no run has ended well for longer than their schedule has pauses." }
  }
  _receipt_readers = toset(flatten(local._receipts[*].readers))
}

resource "google_bigquery_dataset" "receipts" {
  #checkov:skip=CKV_GCP_81:the dataset contains only references to objects
  count = length(local._receipts)

  dataset_id  = var.receipts.dataset
  description = "The landing receipts of the Looker-Pigment bridge, read in place from gs://${local._bucket}/receipts/."
  labels      = var.labels
  location    = google_storage_bucket.bridge.location

  depends_on = [google_project_service.services]
}

resource "google_bigquery_table" "receipts" {
  #checkov:skip=CKV_GCP_80:the table contains only references to objects
  #checkov:skip=CKV_GCP_121:deleting the table deletes no receipt
  count = length(local._receipts)

  dataset_id          = google_bigquery_dataset.receipts[0].dataset_id
  table_id            = "receipts"
  deletion_protection = false
  description         = "One row for each run: its landing receipt."
  labels              = var.labels

  external_data_configuration {
    autodetect = false
    # A newer version of the functions may write more than this schema has.
    ignore_unknown_values = true
    # `make schema` writes it from the functions' code.
    schema        = file("${path.module}/receipts_schema.json")
    source_format = "NEWLINE_DELIMITED_JSON"
    source_uris   = ["gs://${google_storage_bucket.bridge.name}/receipts/*"]
  }

  lifecycle {
    # BigQuery answers with the schema that it was given above.
    ignore_changes = [schema]
  }
}

resource "google_bigquery_table" "views" {
  #checkov:skip=CKV_GCP_80:a view contains no data
  #checkov:skip=CKV_GCP_121:a view contains no data
  for_each = { for name, view in local._views : name => view if var.receipts != null }

  dataset_id          = google_bigquery_dataset.receipts[0].dataset_id
  table_id            = each.key
  deletion_protection = false
  description         = each.value.description
  labels              = var.labels

  view {
    query          = templatefile("${path.module}/sql/${each.key}.sql", local._in_queries)
    use_legacy_sql = false
  }

  # BigQuery looks the table up when it creates a view.
  depends_on = [google_bigquery_table.receipts]
}

# Whoever queries a table of this kind needs the dataset, the objects, and the permission to list their names. To run queries,
# they need roles/bigquery.jobUser in a project of theirs.

resource "google_bigquery_dataset_iam_member" "receipt_readers" {
  for_each = local._receipt_readers

  dataset_id = google_bigquery_dataset.receipts[0].dataset_id
  role       = "roles/bigquery.dataViewer"
  member     = each.key
}

resource "google_storage_bucket_iam_member" "receipt_readers" {
  for_each = local._receipt_readers

  bucket = google_storage_bucket.bridge.name
  role   = "roles/storage.objectViewer"
  member = each.key

  condition {
    title       = "receipts"
    description = "Receipts alone."
    expression  = "resource.name.startsWith(\"projects/_/buckets/${local._bucket}/objects/receipts/\")"
  }
}

resource "google_storage_bucket_iam_member" "receipt_listing" {
  for_each = local._receipt_readers

  bucket = google_storage_bucket.bridge.name
  role   = "roles/storage.legacyBucketReader"
  member = each.key
}
