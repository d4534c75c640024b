"""Local BigQuery for the queries of the bridge: jobs over CSV objects of the local Cloud Storage, run by DuckDB."""

from local.sandbox.bigquery.site import SandboxBigQuery

__all__ = ["SandboxBigQuery"]
