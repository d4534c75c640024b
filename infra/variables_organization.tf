# What the policies of an organization ask for, and what it already has.

variable "kms_key" {
  description = "A key of Cloud KMS that encrypts the bucket, the topics, the secrets, the images and the functions, by its full ID. It must be in `region`, and the bucket and the secrets with it."
  type        = string
  default     = null

  validation {
    condition     = can(regex("^projects/[^/]+/locations/${var.region}/keyRings/[^/]+/cryptoKeys/[^/]+$", coalesce(var.kms_key, "projects/p/locations/${var.region}/keyRings/r/cryptoKeys/k")))
    error_message = "kms_key must be the full ID of a key in `region`: projects/PROJECT/locations/REGION/keyRings/RING/cryptoKeys/KEY. Cloud Functions encrypts only with a key of its region."
  }

  validation {
    condition     = var.kms_key == null ? true : length(coalesce(var.secret_replication, [])) == 1 && contains(coalesce(var.secret_replication, []), var.region) && lower(coalesce(var.bucket.location, var.region)) == var.region
    error_message = "With kms_key, set secret_replication to the one region of the key, and no other bucket.location. A key encrypts only what is in its region."
  }
}

variable "network" {
  description = "A network with fixed outgoing addresses, for vendors with allow lists: a subnet for the functions and Cloud NAT with this number of reserved addresses, which the output `egress_addresses` shows. Or an existing `network` and `subnetwork`, by full ID, whose NAT is yours. Without it, calls come from changing addresses of Google."
  type = object({
    addresses  = optional(number, 1)
    cidr       = optional(string, "10.8.0.0/24")                                             # instances take addresses 16 at a time, and two revisions run during an upgrade
    functions  = optional(set(string), ["looker_pull", "pigment_export", "webhook_deliver"]) # a first connection can take a minute, for which Looker does not wait
    network    = optional(string)
    subnetwork = optional(string)
  })
  default = null

  validation {
    condition     = var.network == null ? true : var.network.addresses >= 1 && can(cidrhost(var.network.cidr, 0)) && tonumber(split("/", var.network.cidr)[1]) <= 24
    error_message = "network.addresses must be at least 1, and network.cidr an IPv4 range of /24 or larger, such as 10.8.0.0/24."
  }

  validation {
    condition     = var.network == null ? true : (var.network.network == null) == (var.network.subnetwork == null) && can(regex("^projects/[^/]+/global/networks/[^/]+$", coalesce(var.network.network, "projects/p/global/networks/n"))) && can(regex("^projects/[^/]+/regions/${var.region}/subnetworks/[^/]+$", coalesce(var.network.subnetwork, "projects/p/regions/${var.region}/subnetworks/s")))
    error_message = "network.network and network.subnetwork must be given together, by full ID: projects/PROJECT/global/networks/NAME and projects/PROJECT/regions/REGION/subnetworks/NAME, in `region`."
  }

  validation {
    condition     = var.network == null ? true : length(setsubtract(var.network.functions, ["looker_pull", "pigment_export", "webhook_deliver", "webhook_receive"])) == 0
    error_message = "network.functions must be names of functions: looker_pull, pigment_export, webhook_deliver, webhook_receive."
  }
}

variable "public_invoker" {
  description = "Whether webhook-receive is a function that allUsers may call. Looker must be able to call it, and the function checks the webhook token. If a policy of the organization forbids allUsers, set false: then it is a Cloud Run service with another address, which checks no identity of Google's."
  type        = bool
  default     = true
  nullable    = false
}

variable "repository" {
  description = "An existing repository of Docker images in Artifact Registry, by full ID: projects/PROJECT/locations/REGION/repositories/NAME. Default: Terraform creates one."
  type        = string
  default     = null

  validation {
    condition     = can(regex("^projects/[^/]+/locations/[^/]+/repositories/[^/]+$", coalesce(var.repository, "projects/p/locations/l/repositories/r")))
    error_message = "repository must be a full ID: projects/PROJECT/locations/REGION/repositories/NAME."
  }
}

variable "secret_replication" {
  description = "The regions in which secrets are stored. Default: Google chooses, which a policy on resource locations forbids unless it allows `global`. It cannot be changed later."
  type        = set(string)
  default     = null

  validation {
    condition     = var.secret_replication == null ? true : length(var.secret_replication) > 0 && alltrue([for region in var.secret_replication : can(regex("^[a-z]+-[a-z]+[0-9]+$", region))])
    error_message = "secret_replication must name at least one region, such as europe-west1."
  }
}

variable "service_accounts" {
  description = "Existing service accounts, by address, for an organization that forbids creating them: `looker_pull`, `pigment_export`, `webhook_deliver`, `webhook_receive`, `build`, `push` and `scheduler`. Terraform creates those that are not named."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.service_accounts), ["looker_pull", "pigment_export", "webhook_deliver", "webhook_receive", "build", "push", "scheduler"])) == 0 && length(distinct(values(var.service_accounts))) == length(var.service_accounts)
    error_message = "service_accounts has the keys looker_pull, pigment_export, webhook_deliver, webhook_receive, build, push and scheduler, each with an account of its own: an account shared by two functions would have the permissions of both."
  }

  validation {
    condition     = alltrue([for email in values(var.service_accounts) : can(regex("^[^@]+@[a-z][a-z0-9-]+[.]iam[.]gserviceaccount[.]com$", email))])
    error_message = "service_accounts must be addresses such as pulls@acme-planning.iam.gserviceaccount.com."
  }
}

variable "worker_pool" {
  description = "A private pool of Cloud Build that builds the functions, by full ID: projects/PROJECT/locations/REGION/workerPools/NAME. Default: Google's own pool."
  type        = string
  default     = null

  validation {
    condition     = can(regex("^projects/[^/]+/locations/[^/]+/workerPools/[^/]+$", coalesce(var.worker_pool, "projects/p/locations/l/workerPools/w")))
    error_message = "worker_pool must be a full ID: projects/PROJECT/locations/REGION/workerPools/NAME."
  }
}
