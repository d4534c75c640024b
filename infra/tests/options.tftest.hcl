# The options that variables enable.

mock_provider "google" {
  source = "./tests/mocks"
}

mock_provider "time" {}

run "operators_call_only_two_functions" {
  command = plan

  variables {
    operators = ["user:ada@acme.example"]
  }

  assert {
    condition     = { for key, function in google_cloudfunctions2_function.functions : key => function.service_config[0].ingress_settings } == { looker_pull = "ALLOW_ALL", pigment_export = "ALLOW_ALL", sweep = "ALLOW_INTERNAL_ONLY", webhook_deliver = "ALLOW_INTERNAL_ONLY", webhook_receive = "ALLOW_ALL" }
    error_message = "The functions for operators are not reachable, or others are."
  }
  assert {
    condition     = toset([for grant in google_cloud_run_v2_service_iam_member.operators : "${grant.member} ${grant.name}"]) == toset(["user:ada@acme.example bridge-looker-pull", "user:ada@acme.example bridge-pigment-export"])
    error_message = "Operators cannot call exactly looker-pull and pigment-export."
  }
}

run "readers_see_the_status_page_and_nothing_else" {
  command = apply

  variables {
    readers = ["group:finance@acme.example"]
  }

  assert {
    condition     = [for grant in google_storage_bucket_iam_member.readers : "${grant.member} ${grant.role} ${grant.condition[0].expression}"] == ["group:finance@acme.example roles/storage.objectViewer resource.name.startsWith(\"projects/_/buckets/acme-planning-bridge/objects/status/\")"]
    error_message = "A reader has no access to the status page, or access to more."
  }
  assert {
    condition     = output.status_url == "https://storage.cloud.google.com/acme-planning-bridge/status/index.html"
    error_message = "The address of the status page is wrong."
  }
}

run "optional_resources_are_not_created_by_default" {
  command = plan

  assert {
    condition     = length(google_compute_network.egress) + length(google_compute_address.egress) + length(google_bigquery_dataset.exports) + length(google_bigquery_dataset.receipts) + length(google_bigquery_table.views) == 0
    error_message = "Optional resources are created without being requested."
  }
}
