# The jobs of bridge.yaml. Terraform reads them from build/bridge.json, which `make check` writes with the functions' own code
# (functions/local/deployment.py), and checks nothing but that both belong together.

variable "bridge_file" {
  description = "The path of bridge.yaml. Default: the bridge.yaml in this folder."
  type        = string
  default     = null
}

variable "bridge_overlay" {
  description = "The path of what this environment changes in bridge.yaml, such as bridge.dev.yaml. Default: nothing."
  type        = string
  default     = null
}

variable "checked_bridge_file" {
  description = "The path of what `make check` wrote of this bridge.yaml. Default: build/bridge.json of the repository."
  type        = string
  default     = null

  # A condition of a variable, because it holds before anything is planned, also with -target.
  validation {
    condition = try(
      jsondecode(file(coalesce(var.checked_bridge_file, "${path.module}/../build/bridge.json"))).sha256 == filesha256(coalesce(var.bridge_file, "${path.module}/bridge.yaml"))
      && jsondecode(file(coalesce(var.checked_bridge_file, "${path.module}/../build/bridge.json"))).overlay_sha256 == (var.bridge_overlay == null ? null : filesha256(var.bridge_overlay)),
      false,
    )
    error_message = "${coalesce(var.bridge_file, "bridge.yaml")} has not been checked since it was last changed: run `make check`, with BRIDGE=… if it is not infra/bridge.yaml."
  }
}

locals {
  _bridge = jsondecode(file(coalesce(var.checked_bridge_file, "${path.module}/../build/bridge.json")))
}
