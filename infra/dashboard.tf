# The dashboard: runs, rows, waiting deliveries and warnings.

locals {
  _bar_s = 3600

  # The sum of a distribution's values is only available in PromQL.
  _promql = {
    for name in ["oldest_waiting", "rows_inserted", "rows_read", "rows_skipped", "rows_updated", "seconds", "waiting"] :
    name => {
      count = "increase(logging_googleapis_com:user_${local._metric_prefix}_${name}_count{monitored_resource=\"cloud_run_revision\"}[$${__interval}])"
      sum   = "increase(logging_googleapis_com:user_${local._metric_prefix}_${name}_sum{monitored_resource=\"cloud_run_revision\"}[$${__interval}])"
    }
  }
  _mean = { for name, series in local._promql : name => "sum(${series.sum}) / sum(${series.count})" }

  _charts = [
    {
      title = "Runs by outcome", type = "STACKED_BAR"
      query = {
        timeSeriesFilter = {
          filter = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.metrics["runs"].name}\" AND resource.type=\"cloud_run_revision\""
          aggregation = {
            alignmentPeriod    = "${local._bar_s}s"
            crossSeriesReducer = "REDUCE_SUM"
            groupByFields      = ["metric.label.outcome"]
            perSeriesAligner   = "ALIGN_DELTA"
          }
        }
      }
    },
    {
      title = "Rows inserted and updated in Pigment, by job", type = "STACKED_BAR"
      query = { prometheusQuery = "sum by (job) (${local._promql["rows_inserted"].sum}) + sum by (job) (${local._promql["rows_updated"].sum})" }
    },
    {
      title = "Rows read or published, by job", type = "STACKED_BAR"
      query = { prometheusQuery = "sum by (job) (${local._promql["rows_read"].sum})" }
    },
    {
      title = "Rows skipped, by job", type = "STACKED_BAR"
      query = { prometheusQuery = "sum by (job) (${local._promql["rows_skipped"].sum})" }
    },
    {
      title = "Waiting deliveries", type = "LINE"
      query = { prometheusQuery = local._mean["waiting"] }
    },
    {
      title = "Age of the oldest waiting delivery, in seconds", type = "LINE"
      query = { prometheusQuery = local._mean["oldest_waiting"] }
    },
    {
      title = "Duration of runs in seconds, by job", type = "LINE"
      query = { prometheusQuery = "sum by (job) (${local._promql["seconds"].sum}) / sum by (job) (${local._promql["seconds"].count})" }
    },
  ]

  _tiles = concat(
    [for chart in local._charts : {
      title = chart.title
      xyChart = {
        dataSets = [{ plotType = chart.type, timeSeriesQuery = chart.query }]
      }
    }],
    [{
      title     = "Warnings and errors"
      logsPanel = { filter = "${local._from_functions} AND severity>=WARNING", resourceNames = ["projects/${var.project_id}"] }
    }],
  )
}

resource "google_monitoring_dashboard" "bridge" {
  dashboard_json = jsonencode({
    displayName = "Looker-Pigment bridge (${var.prefix})"
    mosaicLayout = {
      columns = 48
      # Two tiles per row.
      tiles = [for index, tile in local._tiles : {
        height = 16
        width  = 24
        widget = tile
        xPos   = index % 2 * 24
        yPos   = floor(index / 2) * 16
      }]
    }
  })

  depends_on = [google_project_service.services]
}
