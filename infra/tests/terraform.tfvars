# What every file of tests plans with; a run may name other values.

bridge_file         = "tests/bridge.yaml"
checked_bridge_file = "../build/bridge-of-tests.json" # `make infra` writes it
project_id          = "acme-planning"
region              = "europe-west1"
source_archive      = "tests/bridge.yaml" # any file
