# With var.network, the outgoing calls of functions use reserved addresses, through Cloud NAT, or an existing subnet.

locals {
  _egress = try(var.network.subnetwork, null) != null ? {} : var.network == null ? {} : { egress = var.network }

  # A function needs names, or projects/…; the attribute `network` of a subnet is a URL once the subnet exists.
  _interface = var.network == null ? null : {
    network    = try(one(values(google_compute_network.egress)).name, var.network.network)
    subnetwork = try(one(values(google_compute_subnetwork.egress)).name, var.network.subnetwork)
  }
}

resource "google_compute_network" "egress" {
  #checkov:skip=CKV2_GCP_18:nothing listens in this network, and without a rule it allows no incoming traffic
  for_each = local._egress

  name                    = "${var.prefix}-egress"
  auto_create_subnetworks = false
  description             = "The way out of the functions of the Looker-Pigment bridge." # a change replaces the network

  depends_on = [google_project_service.services]
}

resource "google_compute_subnetwork" "egress" {
  #checkov:skip=CKV_GCP_26:NAT logs failures, and the functions log every run
  for_each = local._egress

  name                     = "${var.prefix}-egress"
  ip_cidr_range            = each.value.cidr
  network                  = google_compute_network.egress[each.key].name
  private_ip_google_access = true # Cloud Storage and Secret Manager without NAT
  region                   = var.region
}

resource "google_compute_router" "egress" {
  for_each = local._egress

  name    = "${var.prefix}-egress"
  network = google_compute_network.egress[each.key].id
  region  = var.region
}

resource "google_compute_address" "egress" {
  count = length(local._egress) == 0 ? 0 : var.network.addresses

  name        = "${var.prefix}-egress-${count.index + 1}"
  description = "For the allow lists of Looker and Pigment." # a change replaces the address
  labels      = var.labels
  region      = var.region

  depends_on = [google_project_service.services]
}

resource "google_compute_router_nat" "egress" {
  for_each = local._egress

  name                               = "${var.prefix}-egress"
  nat_ip_allocate_option             = "MANUAL_ONLY"
  nat_ips                            = google_compute_address.egress[*].self_link
  region                             = var.region
  router                             = google_compute_router.egress[each.key].name
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"

  log_config {
    enable = true
    filter = "ERRORS_ONLY"
  }
}
