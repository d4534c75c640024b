# The secrets that bridge.yaml names, and the access to them. Terraform never has their values: a person adds them with the
# commands in the output `secret_commands`.

locals {
  _secret_grants = merge([
    for name, secret in local._bridge.secrets : merge(
      { for function in secret.read_by : "${function} reads ${name}" => { function = function, role = "roles/secretmanager.secretAccessor", secret = name } },
      { for function in secret.versions_listed_by : "${function} lists versions of ${name}" => { function = function, role = "roles/secretmanager.viewer", secret = name } },
    )
  ]...)
}

resource "google_secret_manager_secret" "secrets" {
  for_each = toset([for name, secret in local._bridge.secrets : name if secret.project == null])

  secret_id           = each.key
  deletion_protection = var.deletion_protection
  labels              = var.labels

  replication {
    dynamic "auto" {
      for_each = var.secret_replication == null ? [1] : []
      content {}
    }

    dynamic "user_managed" {
      for_each = var.secret_replication == null ? [] : [var.secret_replication]
      content {
        dynamic "replicas" {
          for_each = user_managed.value
          content {
            location = replicas.value

            dynamic "customer_managed_encryption" {
              for_each = var.kms_key[*]
              content {
                kms_key_name = customer_managed_encryption.value
              }
            }
          }
        }
      }
    }
  }

  depends_on = [google_project_service.services, time_sleep.key_roles]
}

resource "google_secret_manager_secret_iam_member" "functions" {
  for_each = local._secret_grants

  project   = coalesce(local._bridge.secrets[each.value.secret].project, var.project_id)
  secret_id = try(google_secret_manager_secret.secrets[each.value.secret].secret_id, local._bridge.secrets[each.value.secret].id)
  role      = each.value.role
  member    = local._members[each.value.function]
}
