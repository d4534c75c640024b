"""The check of `engine: bigquery`: whether queries may be run where the bucket is. It runs none and costs nothing."""

from collections.abc import Iterator

from common import bridge_yaml
from common.platform.errors import BridgeError
from common.runs.instance import Instance
from local.checks.finding import Finding, from_error, green


def findings(bridge: bridge_yaml.Bridge, instance: Instance) -> Iterator[Finding]:
    """Ask once for all jobs that compare in BigQuery."""
    jobs = [job for job in bridge.jobs() if isinstance(job, bridge_yaml.AnyImport) and job.compares_in_bigquery]
    if not jobs:
        return
    subject = ", ".join(f"{job.kind}s.{job.name}" for job in jobs)
    try:
        instance.bigquery.try_to_run(instance.deadline())
    except BridgeError as error:
        yield from_error(subject, error)
    else:
        yield green(subject, "BigQuery takes queries where the bucket is, for engine: bigquery.")
