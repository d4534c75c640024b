# How long the bucket keeps what.

mock_provider "google" {
  source = "./tests/mocks"
}

mock_provider "time" {}

run "processed_files_are_deleted_after_their_time" {
  command = plan

  assert {
    condition     = { for rule in google_storage_bucket.bridge.lifecycle_rule : one(rule.condition).matches_prefix[0] => one(rule.condition).age if coalesce(one(rule.condition).age, 0) > 0 && can(one(rule.condition).matches_prefix[0]) } == { "delivered/" = 90, "receipts/" = 400, "seen/" = 120, "staged/" = 30, "tmp/" = 1, "usage/" = 400 }
    error_message = "Receipts, marks or other files are stored for ever, or the state of jobs is deleted."
  }
}

run "receipts_can_be_stored_longer" {
  command = plan

  variables {
    retention_days = { delivered = 365, receipts = 3650 }
  }

  assert {
    condition     = { for rule in google_storage_bucket.bridge.lifecycle_rule : one(rule.condition).matches_prefix[0] => one(rule.condition).age if coalesce(one(rule.condition).age, 0) > 0 && can(one(rule.condition).matches_prefix[0]) } == { "delivered/" = 365, "receipts/" = 3650, "seen/" = 395, "staged/" = 30, "tmp/" = 1, "usage/" = 3650 }
    error_message = "retention_days does not set the rules of the bucket."
  }
}

run "receipts_that_would_be_missed_are_kept" {
  command = plan

  variables {
    retention_days = { receipts = 34 }
  }

  expect_failures = [var.retention_days]
}
