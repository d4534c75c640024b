variable "alerts" {
  description = "Who is told: addresses that get a mail, channels of Cloud Monitoring that exist (projects/…/notificationChannels/…), and after how long a delivery that waits is worth a word. With nobody named, incidents are opened and shown in Cloud Monitoring alone."
  type = object({
    channels      = optional(list(string), [])
    emails        = optional(list(string), [])
    waiting_after = optional(number, 3600) # seconds; Pigment's own maintenance is shorter
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for channel in var.alerts.channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", channel))])
    error_message = "alerts.channels holds what is no channel: write projects/PROJECT/notificationChannels/ID, as `gcloud beta monitoring channels list` shows it."
  }
}

variable "bigquery" {
  description = "A dataset in which exports can be queried in place. A table is made for each export named, of those in the bridge's own bucket; BigQuery takes its columns from the objects, so let an export run once before you name it."
  type = object({
    dataset = optional(string, "pigment")
    exports = optional(set(string), [])
  })
  default = null

  validation {
    condition     = can(regex("^[A-Za-z0-9_]+$", var.bigquery == null ? "none" : var.bigquery.dataset))
    error_message = "bigquery.dataset may hold letters, digits and underscores: write pigment, say."
  }
}

variable "bucket" {
  description = "The bridge's bucket. Every shared state lies in it, so its name is for good; without a name it is PROJECT-PREFIX, without a location the region."
  type = object({
    location = optional(string)
    name     = optional(string)
  })
  default  = {}
  nullable = false
}

variable "deletion_protection" {
  description = "Whether the bucket, with every receipt and every delivery not landed yet, and the secrets outlive a `terraform destroy`. To take all of it away, apply with false first."
  type        = bool
  default     = true
  nullable    = false
}

variable "functions" {
  description = "What each function may use, and who reaches it over the network before IAM asks who it is."
  type = object({
    looker_pull = optional(object({
      cpu           = optional(string, "1")   # rows are checked while they stream: a core is in use throughout
      ingress       = optional(string)        # ALLOW_INTERNAL_ONLY: Cloud Scheduler counts as internal; ALLOW_ALL where there are operators
      max_instances = optional(number, 20)    # as many pulls at a time, each of them a query in Looker
      memory        = optional(string, "2Gi") # 0.11 GiB for any Look; `load: changes` keeps digests of all rows
      timeout_s     = optional(number, 1800)  # the longest that Cloud Scheduler waits
    }), {})
    pigment_export = optional(object({
      cpu           = optional(string, "1")
      ingress       = optional(string)        # the same
      max_instances = optional(number, 10)    # Pigment counts 500 requests in 5 minutes against all of them
      memory        = optional(string, "1Gi") # 0.11 GiB as CSV, 0.22 GiB as Parquet
      timeout_s     = optional(number, 1800)
    }), {})
    webhook_deliver = optional(object({
      cpu           = optional(string, "1")
      ingress       = optional(string, "ALLOW_INTERNAL_ONLY") # Pub/Sub and Cloud Scheduler count as internal
      max_instances = optional(number, 5)                     # one flight per import configuration: more would only queue
      memory        = optional(string, "2Gi")                 # a relay may start a pull, `load: changes` too
      timeout_s     = optional(number, 600)                   # the longest that Pub/Sub waits
    }), {})
    webhook_receive = optional(object({
      concurrency   = optional(number, 8)           # deliveries that one instance takes at a time
      cpu           = optional(string, "1")         # Cloud Run wants a whole one for more than one request
      ingress       = optional(string, "ALLOW_ALL") # Looker is outside
      max_instances = optional(number, 10)
      memory        = optional(string, "2Gi") # 8 bodies of 32 MiB, each held up to four times while it is read
      min_instances = optional(number, 0)     # 1 spares Looker the cold start, and costs an idle instance
      timeout_s     = optional(number, 1800)  # an action's rows are fetched before the answer ends
    }), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for timeout_s in [var.functions.looker_pull.timeout_s, var.functions.pigment_export.timeout_s] : timeout_s >= 60 && timeout_s <= 1800])
    error_message = "functions.looker_pull.timeout_s and functions.pigment_export.timeout_s go from 60 to 1800: Cloud Scheduler waits no longer than 30 minutes for an answer. Load more in windows (load: incremental)."
  }

  validation {
    condition     = var.functions.webhook_deliver.timeout_s >= 60 && var.functions.webhook_deliver.timeout_s <= 600
    error_message = "functions.webhook_deliver.timeout_s goes from 60 to 600: Pub/Sub waits no longer than 10 minutes for an answer. What is left waits for the next call."
  }

  validation {
    condition     = var.functions.webhook_receive.timeout_s >= 60 && var.functions.webhook_receive.timeout_s <= 3600
    error_message = "functions.webhook_receive.timeout_s goes from 60 to 3600, the most that Cloud Run gives a request."
  }

  validation {
    condition     = var.functions.webhook_receive.concurrency == 1 || tonumber(var.functions.webhook_receive.cpu) >= 1
    error_message = "functions.webhook_receive.cpu is less than 1, and concurrency more than 1, which Cloud Run refuses: write cpu = \"1\", or concurrency = 1."
  }
}

variable "labels" {
  description = "Labels of everything that takes any."
  type        = map(string)
  default     = { app = "looker-pigment-bridge" }
  nullable    = false
}

variable "log_level" {
  description = "How much the functions log: INFO, which alerts and dashboard live on, or DEBUG."
  type        = string
  default     = "INFO"
  nullable    = false

  validation {
    condition     = contains(["DEBUG", "INFO"], var.log_level)
    error_message = "log_level has to be INFO or DEBUG: at any other, the lines that the alerts wait for are not written."
  }
}

variable "network" {
  description = "A way out of its own, for vendors that let in known addresses alone: a network, a subnet for the functions, and Cloud NAT with that many reserved addresses, which the output `egress_addresses` shows. Without it, calls leave from any address of Google's."
  type = object({
    addresses = optional(number, 1)
    cidr      = optional(string, "10.8.0.0/26") # Direct VPC egress wants a /26 at least
  })
  default = null

  validation {
    condition     = var.network == null ? true : var.network.addresses >= 1 && can(cidrhost(var.network.cidr, 0)) && tonumber(split("/", var.network.cidr)[1]) <= 26
    error_message = "network.addresses is at least 1, and network.cidr a range of IPv4 of /26 or wider: write 10.8.0.0/26, say."
  }
}

variable "operators" {
  description = "Who may call looker-pull and pigment-export by hand, from anywhere: `bridge backfill --function`, or curl with an identity token. Without anybody, Cloud Scheduler alone reaches them."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.operators : can(regex("^(user|group|serviceAccount):[^@]+@[^@]+$", member))])
    error_message = "operators are people, groups and service accounts: write user:ada@example.com, say. Nobody else may be let in to these functions."
  }
}

variable "prefix" {
  description = "What the names of all resources begin with: two bridges in a project need two."
  type        = string
  default     = "bridge"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,12}[a-z0-9]$", var.prefix))
    error_message = "prefix has to be 2 to 14 small letters, digits and hyphens, a letter first: the names of service accounts are made with it, and end at 30."
  }
}

variable "project_id" {
  description = "The project all of it lies in."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id has to be a project's id, such as acme-planning; `gcloud projects list` shows it in its first column."
  }
}

variable "public_invoker" {
  description = "Whether anybody may call webhook-receive, as Looker has to: the function itself asks for the webhook token. Where the organisation's policy on domains forbids allUsers, set false and, as an administrator of the service, run the command in webhook.tf."
  type        = bool
  default     = true
  nullable    = false
}

variable "region" {
  description = "Where the functions run and, unless `bucket` says otherwise, the bucket lies: near Looker and Pigment."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region has to be a region of Google Cloud, such as europe-west1; `gcloud run regions list` shows them."
  }
}

variable "retention_days" {
  description = "How long what has done its work is kept. Receipts, the inbox, dead deliveries, exports, and what the next run compares itself with stay until somebody takes them away."
  type = object({
    delivered    = optional(number, 90) # what Looker sent; so long, the same webhook id lands once
    replaced     = optional(number, 7)  # earlier versions of what was replaced or deleted
    soft_deleted = optional(number, 7)  # what Cloud Storage keeps after its last version is gone: 0, or 7 to 90
    staged       = optional(number, 30) # what Pigment got, for `bridge runs` and to send again
  })
  default  = {}
  nullable = false

  validation {
    condition     = min(var.retention_days.delivered, var.retention_days.replaced, var.retention_days.staged) >= 1
    error_message = "retention_days.delivered, .replaced and .staged are 1 at least: a run needs its own files until it has ended."
  }

  validation {
    condition     = var.retention_days.soft_deleted == 0 || (var.retention_days.soft_deleted >= 7 && var.retention_days.soft_deleted <= 90)
    error_message = "retention_days.soft_deleted has to be 0 or 7 to 90: Cloud Storage takes nothing between."
  }
}

variable "source_archive" {
  description = "The functions' source, as `make archive` makes it. Its digest is in the object's name: the same archive deploys nothing."
  type        = string
  default     = "../build/functions.zip"
  nullable    = false

  validation {
    condition     = fileexists(var.source_archive)
    error_message = "source_archive names no file: run `make archive` first."
  }
}

variable "sweep" {
  description = "How often webhook-deliver looks through the inbox and for landings that are overdue, and after how many seconds without that somebody is told."
  type = object({
    schedule     = optional(string, "*/10 * * * *")
    silent_after = optional(number, 1800) # three sweeps
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.sweep.silent_after >= 600 && var.sweep.silent_after <= 84600 && var.sweep.silent_after % 60 == 0
    error_message = "sweep.silent_after goes from 600 to 84600, in whole minutes: Cloud Monitoring counts in these, and looks back a day."
  }
}
