# bridge.yaml: what it says, and the verdict on it. Every fault stops the plan, all of them in one message, each with its
# path and what to write instead. The functions hold their copy to the same rules and a few more, which HCL cannot say
# well: `bridge check --offline` knows those too, and `make plan` asks it first.

variable "bridge_file" {
  description = "The file that says everything; without it, the bridge.yaml beside this one."
  type        = string
  default     = null
}

locals {
  bridge  = yamldecode(file(local._bridge_file))
  exports = try({ for name, job in local.bridge.exports : name => job }, {})
  pulls   = try({ for name, job in local.bridge.pulls : name => job }, {})
  relays  = try({ for name, job in local.bridge.relays : name => job }, {})
}

resource "terraform_data" "bridge" {
  lifecycle {
    precondition {
      condition = length(local._faults) == 0
      # A line that begins with a space is printed as it is, and not folded.
      error_message = "${local._bridge_file} does not say what it has to:\n${join("\n", formatlist("  %s", local._faults))}"
    }
  }
}

locals {
  _bridge_file = coalesce(var.bridge_file, "${path.module}/bridge.yaml")
  _faults      = distinct(concat(local._value_faults, local._cron_faults, local._rule_faults))
}
