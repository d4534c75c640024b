# The settings of the environment dev: make plan ENVIRONMENT=dev. The values are examples.
project_id = "acme-planning-dev"
region     = "europe-west1"
prefix     = "bridge"
