# The settings of the environment prod, for `make plan` and Cloud Build. They are committed, and hold no secret. The values are examples.
# Another environment has a file of its own: make plan ENVIRONMENT=dev.
project_id = "acme-planning"
region     = "europe-west1"
prefix     = "bridge"
alerts     = { emails = ["data-on-call@acme.example"] }
