variable "alerts" {
  description = "The recipients of alerts: email addresses and existing channels of Cloud Monitoring (projects/…/notificationChannels/…). Without any, incidents are only shown in Cloud Monitoring. `waiting_after` is the age at which a waiting delivery is reported."
  type = object({
    channels      = optional(list(string), [])
    emails        = optional(list(string), [])
    waiting_after = optional(number, 3600) # seconds; maintenance of Pigment takes less
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for channel in var.alerts.channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", channel))])
    error_message = "alerts.channels must contain names of channels: projects/PROJECT/notificationChannels/ID, as shown by `gcloud beta monitoring channels list`."
  }
}

variable "bigquery" {
  description = "A dataset in which exports can be queried in place, with a table for each export named here. The exports must be in the bridge's own bucket, and have bigquery: true in bridge.yaml. Without columns in bridge.yaml, and of Parquet, BigQuery detects the columns from the objects, so run such an export once before you name it."
  type = object({
    dataset = optional(string, "pigment")
    exports = optional(set(string), [])
  })
  default = null

  validation {
    condition     = can(regex("^[A-Za-z0-9_]+$", var.bigquery == null ? "none" : var.bigquery.dataset))
    error_message = "bigquery.dataset must consist of letters, digits and underscores, such as pigment."
  }
}

variable "bigquery_engine" {
  description = "Whether jobs may compare in BigQuery, which bridge.yaml asks for with engine: bigquery. It enables the API and lets the service accounts of the functions that compare run queries in the project. They read no table."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = var.bigquery_engine || length(try(local._bridge.queried_by, [])) == 0
    error_message = "bridge.yaml has a job with engine: bigquery, which its function may not use: set bigquery_engine = true, or remove engine: bigquery."
  }
}

variable "bucket" {
  description = "The bridge's bucket. It stores all state, so its name must not change. Default: the name PROJECT-PREFIX, in the region of the functions."
  type = object({
    location = optional(string)
    name     = optional(string)
  })
  default  = {}
  nullable = false
}

variable "deletion_protection" {
  description = "Whether `terraform destroy` is refused for the secrets and for a bucket that contains objects. To delete them, first apply with false."
  type        = bool
  default     = true
  nullable    = false
}

variable "functions" {
  description = "The resources, limits and network access of each function."
  type = object({
    looker_pull = optional(object({
      cpu           = optional(string, "1")   # rows are checked while they stream, which uses a whole core
      ingress       = optional(string)        # default ALLOW_INTERNAL_ONLY, which includes Cloud Scheduler; with operators, ALLOW_ALL
      max_instances = optional(number, 5)     # the number of concurrent pulls, each of which is a query in Looker
      memory        = optional(string, "2Gi") # 0.11 GiB for any Look; `load: changes` needs more, for the digests of all rows
      timeout_s     = optional(number, 1800)  # the maximum of Cloud Scheduler
    }), {})
    pigment_export = optional(object({
      cpu           = optional(string, "1")
      ingress       = optional(string)        # as for looker_pull
      max_instances = optional(number, 3)     # together they must stay within Pigment's 500 requests per 5 minutes
      memory        = optional(string, "1Gi") # 0.11 GiB as CSV, 0.22 GiB as Parquet
      timeout_s     = optional(number, 1800)
    }), {})
    webhook_deliver = optional(object({
      cpu           = optional(string, "1")
      ingress       = optional(string, "ALLOW_INTERNAL_ONLY") # includes Pub/Sub and Cloud Scheduler
      max_instances = optional(number, 3)                     # more do not help: one run at a time per import configuration
      memory        = optional(string, "2Gi")                 # a relay can start a pull, also with `load: changes`
      timeout_s     = optional(number, 600)                   # the maximum of Pub/Sub
    }), {})
    webhook_receive = optional(object({
      concurrency   = optional(number, 8)           # concurrent deliveries per instance
      cpu           = optional(string, "1")         # Cloud Run requires at least 1 for concurrent requests
      ingress       = optional(string, "ALLOW_ALL") # Looker calls from outside; behind a load balancer: ALLOW_INTERNAL_AND_GCLB
      max_instances = optional(number, 5)
      memory        = optional(string, "2Gi") # 8 bodies of 32 MiB, with up to four copies of each during parsing
      min_instances = optional(number, 0)     # 1 avoids cold starts and costs an idle instance
      timeout_s     = optional(number, 1800)  # an action's rows are downloaded before the answer
    }), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for timeout_s in [var.functions.looker_pull.timeout_s, var.functions.pigment_export.timeout_s] : timeout_s >= 60 && timeout_s <= 1800])
    error_message = "functions.looker_pull.timeout_s and functions.pigment_export.timeout_s must be between 60 and 1800, because Cloud Scheduler waits at most 30 minutes for an answer. For longer loads, use windows (load: incremental)."
  }

  validation {
    condition     = var.functions.webhook_deliver.timeout_s >= 60 && var.functions.webhook_deliver.timeout_s <= 600
    error_message = "functions.webhook_deliver.timeout_s must be between 60 and 600, because Pub/Sub waits at most 10 minutes for an answer. The next call processes the remaining deliveries."
  }

  validation {
    condition     = var.functions.webhook_receive.timeout_s >= 60 && var.functions.webhook_receive.timeout_s <= 3600
    error_message = "functions.webhook_receive.timeout_s must be between 60 and 3600, the maximum of Cloud Run."
  }

  validation {
    condition     = var.functions.webhook_receive.concurrency == 1 || tonumber(var.functions.webhook_receive.cpu) >= 1
    error_message = "functions.webhook_receive.concurrency must be 1 if cpu is less than 1, because Cloud Run refuses concurrent requests then. Set cpu = \"1\" or concurrency = 1."
  }
}

variable "labels" {
  description = "The labels of all resources that support labels."
  type        = map(string)
  default     = { app = "looker-pigment-bridge" }
  nullable    = false
}

variable "log_level" {
  description = "The log level of the functions: INFO, which alerts and dashboard need, or DEBUG."
  type        = string
  default     = "INFO"
  nullable    = false

  validation {
    condition     = contains(["DEBUG", "INFO"], var.log_level)
    error_message = "log_level must be INFO or DEBUG. At other levels, the log lines for the alerts are missing."
  }
}

variable "operators" {
  description = "The members who may call looker-pull and pigment-export from anywhere, with `bridge backfill --function` or with curl and an identity token. Without any, only Cloud Scheduler can call these functions."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.operators : can(regex("^(user|group|serviceAccount):[^@]+@[^@]+$", member))])
    error_message = "operators must be users, groups or service accounts, such as user:ada@example.com. These functions cannot be public."
  }
}

variable "prefix" {
  description = "The prefix of all resource names. Two bridges in one project need different prefixes."
  type        = string
  default     = "bridge"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,12}[a-z0-9]$", var.prefix))
    error_message = "prefix must be 2 to 14 lower-case letters, digits and hyphens, starting with a letter, because it is part of the names of service accounts, which have at most 30 characters."
  }
}

variable "project_id" {
  description = "The ID of the Google Cloud project."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be the ID of a project, such as acme-planning. It is the first column of `gcloud projects list`."
  }
}

variable "readers" {
  description = "The people and groups who may open the status page, and nothing else in the bucket. They sign in to Google in a browser; the output status_url is the address."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.readers : can(regex("^(user|group|domain):[^@]+(@[^@]+)?$", member))])
    error_message = "readers must be users, groups or domains, such as group:finance@example.com. The page cannot be public."
  }
}

variable "receipts" {
  description = "A dataset in which the receipts can be queried: the table `receipts`, which reads them in place, and the views `landings` and `late`. `readers` may read it, and the objects under receipts/."
  type = object({
    dataset = optional(string, "bridge_receipts")
    readers = optional(set(string), []) # members, such as group:data@acme.example
  })
  default = null

  validation {
    condition     = can(regex("^[A-Za-z0-9_]+$", var.receipts == null ? "none" : var.receipts.dataset))
    error_message = "receipts.dataset must consist of letters, digits and underscores, such as bridge_receipts."
  }
}

variable "region" {
  description = "The region of the functions and, unless `bucket` has a location, of the bucket. Choose one near Looker and Pigment."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region of Google Cloud, such as europe-west1. `gcloud run regions list` lists them."
  }
}

variable "retention_days" {
  description = "How many days processed files are stored. The inbox, dead deliveries, exports and the state of jobs are never deleted automatically."
  type = object({
    delivered    = optional(number, 90)  # imported deliveries; a repeated delivery is recognised this long
    receipts     = optional(number, 400) # for `bridge runs`, and for the check for overdue jobs; more than a year
    replaced     = optional(number, 7)   # earlier versions of replaced or deleted objects
    soft_deleted = optional(number, 7)   # objects whose last version was deleted: 0, or 7 to 90
    staged       = optional(number, 30)  # files sent to Pigment, to send them again, and files that wait for approval
  })
  default  = {}
  nullable = false

  validation {
    condition     = min(var.retention_days.delivered, var.retention_days.replaced, var.retention_days.staged) >= 1
    error_message = "retention_days.delivered, .replaced and .staged must be at least 1, because a run needs its files until it ends."
  }

  validation {
    condition     = var.retention_days.receipts >= 35
    error_message = "retention_days.receipts must be at least 35, because the check for overdue jobs looks a month back for the receipts of runs that had nothing to import."
  }

  validation {
    condition     = var.retention_days.soft_deleted == 0 || (var.retention_days.soft_deleted >= 7 && var.retention_days.soft_deleted <= 90)
    error_message = "retention_days.soft_deleted must be 0, or between 7 and 90, as Cloud Storage requires."
  }
}

variable "source_archive" {
  description = "The source of the functions, from `make archive`. Functions are deployed only when its content changes."
  type        = string
  default     = "../build/functions.zip"
  nullable    = false

  validation {
    condition     = fileexists(var.source_archive)
    error_message = "source_archive does not exist. Run `make archive` first."
  }
}

variable "sweep" {
  description = "The schedule on which the sweep processes the inbox and checks for overdue jobs. It is a function with the settings of webhook-deliver and one instance. `silent_after` is the number of seconds without a sweep after which an alert is sent."
  type = object({
    schedule     = optional(string, "*/10 * * * *")
    silent_after = optional(number, 1800) # three sweeps
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.sweep.silent_after >= 600 && var.sweep.silent_after <= 84600 && var.sweep.silent_after % 60 == 0
    error_message = "sweep.silent_after must be between 600 and 84600, in whole minutes, because Cloud Monitoring uses whole minutes and at most a day."
  }
}
