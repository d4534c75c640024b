# The tables in BigQuery that read exports in place.

mock_provider "google" {
  source = "./tests/mocks"
}

mock_provider "time" {}

run "exports_are_external_tables" {
  command = plan

  variables {
    bigquery = { exports = ["heads", "revenue"] }
  }

  assert {
    condition     = google_bigquery_table.exports["revenue"].external_data_configuration[0].source_uris == tolist(["gs://acme-planning-bridge/exports/revenue/*"]) && google_bigquery_table.exports["revenue"].external_data_configuration[0].hive_partitioning_options[0].source_uri_prefix == "gs://acme-planning-bridge/exports/revenue/{dt:DATE}"
    error_message = "The date in the path is not a column."
  }
  assert {
    condition     = google_bigquery_table.exports["revenue"].external_data_configuration[0].csv_options[0].field_delimiter == ";" && google_bigquery_table.exports["revenue"].external_data_configuration[0].compression == "GZIP"
    error_message = "The format of the table differs from that of the export."
  }
  assert {
    condition     = google_bigquery_table.exports["heads"].external_data_configuration[0].source_uris == tolist(["gs://acme-planning-bridge/exports/heads/*.parquet"]) && google_bigquery_table.exports["heads"].external_data_configuration[0].source_format == "PARQUET"
    error_message = "The address has more than the one * that BigQuery allows."
  }
  assert {
    condition = jsondecode(google_bigquery_table.exports["revenue"].external_data_configuration[0].schema) == [
      { name = "Cost_Centre", type = "STRING" }, { name = "Month", type = "DATE" }, { name = "Gro_e__m2_", type = "FLOAT" },
      { name = "Amount", type = "NUMERIC" }, { name = "At", type = "TIMESTAMP" }, { name = "Open", type = "BOOLEAN" },
    ] && !google_bigquery_table.exports["revenue"].external_data_configuration[0].autodetect
    error_message = "The table of a CSV export does not have the pinned columns, in order, with names that external tables accept."
  }
  assert {
    condition     = google_bigquery_table.exports["heads"].external_data_configuration[0].autodetect
    error_message = "The table of a Parquet export does not have the types of the files."
  }
}

run "an_export_in_another_bucket_cannot_be_a_table" {
  command = plan

  variables {
    bigquery = { exports = ["elsewhere"] }
  }

  expect_failures = [google_bigquery_table.exports]
}

run "an_export_that_is_not_for_bigquery_cannot_be_a_table" {
  command = plan

  variables {
    bigquery = { exports = ["by-file"] }
  }

  expect_failures = [google_bigquery_table.exports]
}
