# bridge.yaml and its check. Every fault stops the plan; one message has them all, each with its path, the problem and
# what to write. The functions check a few rules more, which HCL cannot express well. `bridge check --offline` checks all of
# them, and `make plan` runs it first.

variable "bridge_file" {
  description = "The path of bridge.yaml. Default: the bridge.yaml in this folder."
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
      # Terraform does not wrap lines that begin with a space.
      error_message = "${local._bridge_file} is not valid:\n${join("\n", formatlist("  %s", local._faults))}"
    }
  }
}

locals {
  _bridge_file = coalesce(var.bridge_file, "${path.module}/bridge.yaml")
  _faults      = distinct(concat(local._value_faults, local._schedule_faults, local._rule_faults))
}
