# The secrets that bridge.yaml names, and the access to them. Terraform never has their values: a person adds them with the
# commands in the output `secret_commands`.

locals {
  _looker_credentials = compact([try(local.bridge.looker.credentials, null)])
  _import_key         = compact([try(local.bridge.pigment.import_key, null)])
  _export_key         = compact([try(local.bridge.pigment.export_key, null)])
  _webhook_token      = compact([try(local.bridge.webhook.token, null)])

  _secrets_read = {
    looker_pull     = concat(local._looker_credentials, local._import_key)
    pigment_export  = local._export_key
    webhook_deliver = concat(local._import_key, length(local._started_pulls) > 0 ? local._looker_credentials : [])
    webhook_receive = local._webhook_token
  }

  # Secrets named as projects/…/secrets/… are created elsewhere.
  _created_secrets = toset([for name in flatten(values(local._secrets_read)) : name if !startswith(name, "projects/")])

  _secret_grants = merge(
    [
      for function, names in local._secrets_read : {
        for name in distinct(names) : "${function} reads ${name}" => {
          function = function
          role     = "roles/secretmanager.secretAccessor"
          secret   = name
        }
      }
    ]...
  )

  # webhook-receive accepts the two newest enabled versions of the token, so it also lists the versions.
  _version_grants = {
    for name in local._webhook_token : "webhook_receive lists versions of ${name}" => {
      function = "webhook_receive"
      role     = "roles/secretmanager.viewer"
      secret   = name
    }
  }
}

resource "google_secret_manager_secret" "secrets" {
  for_each = local._created_secrets

  secret_id           = each.key
  deletion_protection = var.deletion_protection
  labels              = var.labels

  replication {
    auto {}
  }

  depends_on = [google_project_service.services]
}

resource "google_secret_manager_secret_iam_member" "functions" {
  for_each = merge(local._secret_grants, local._version_grants)

  project   = startswith(each.value.secret, "projects/") ? split("/", each.value.secret)[1] : var.project_id
  secret_id = startswith(each.value.secret, "projects/") ? split("/", each.value.secret)[3] : google_secret_manager_secret.secrets[each.value.secret].secret_id
  role      = each.value.role
  member    = local._members[each.value.function]
}
