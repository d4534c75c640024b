terraform {
  required_version = ">= 1.9"

  # `make plan` gives the bucket and the prefix, which holds the project and `prefix`: two bridges can share a bucket.
  backend "gcs" {}

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 7.40, < 8"
    }
    time = {
      source  = "hashicorp/time"
      version = ">= 0.13, < 1"
    }
  }
}

provider "google" {
  project = var.project_id
  region  = var.region
}
