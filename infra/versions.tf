terraform {
  required_version = ">= 1.9"

  # The name of the state bucket is given at init: `terraform init -backend-config=bucket=…`.
  backend "gcs" {
    prefix = "looker-pigment-bridge"
  }

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 7.40, < 8"
    }
  }
}

provider "google" {
  project = var.project_id
  region  = var.region
}
