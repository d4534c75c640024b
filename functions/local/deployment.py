"""What Terraform needs to know of bridge.yaml, as plain data: `make check` writes it to build/bridge.json.

Terraform itself checks nothing of bridge.yaml. It compares the digest in this data with the file, so that it plans only
what the functions' own code has read and accepted.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from msgspec import Struct

from common.bridge_yaml import Bridge, Export
from common.bridge_yaml.cron import longest_wait
from common.bridge_yaml.model import AnyImport, Pull, Signal, Target
from common.bridge_yaml.rules import shared_configurations
from common.looker import licence
from common.platform.errors import BridgeFileInvalid
from common.tables import column_names
from local import bridge_file, overlay

_GRACE = timedelta(hours=2)
"An hour for the run, as the check for overdue jobs allows, and one for a change of the clock."

PULL, EXPORT, DELIVER, RECEIVE = "looker_pull", "pigment_export", "webhook_deliver", "webhook_receive"


class DeployedSchedule(Struct, frozen=True):
    """A job in Cloud Scheduler."""

    function: str
    job: str
    schedule: str
    time_zone: str
    late_after_s: int
    "How old the last run that ended well may become, by the longest time between two runs."


class DeployedSecret(Struct, frozen=True):
    """A secret, and the functions that may read it."""

    id: str
    project: str | None
    "The project in which it exists already. None: Terraform creates it."
    read_by: tuple[str, ...]
    versions_listed_by: tuple[str, ...]


class DeployedColumn(Struct, frozen=True):
    """A column of a table in BigQuery, as its API describes one."""

    name: str
    type: str


class DeployedExport(Struct, frozen=True):
    """The objects of an export, for a table in BigQuery."""

    path: str
    format: str
    compress: str | None
    delimiter: str
    has_own_bucket: bool
    for_bigquery: bool
    schema: tuple[DeployedColumn, ...]
    "Of CSV whose columns are pinned. Empty: BigQuery finds the types. For Parquet, its API refuses a schema."


class CheckedBridge(Struct, frozen=True):
    """The content of build/bridge.json."""

    sha256: str
    "The digest of the bridge.yaml from which the rest was made, in hexadecimal."
    overlay_sha256: str | None
    "The digest of its overlay for another environment."
    config: str
    "The object that the functions decode: bridge.yaml as JSON. As text, because Terraform would sort the keys."
    schedules: Mapping[str, DeployedSchedule]
    "By the kind and the name of the job: `pull-flights`."
    relays: tuple[str, ...]
    secrets: Mapping[str, DeployedSecret]
    "By the name that bridge.yaml uses."
    buckets: Mapping[str, tuple[str, ...]]
    "By function: the buckets other than the bridge's own that it writes."
    exports: Mapping[str, DeployedExport]
    queried_by: tuple[str, ...]
    "The functions that run queries in BigQuery, for `engine: bigquery`."
    warnings: tuple[str, ...]


def read(path: Path, overlay_path: Path | None = None) -> CheckedBridge:
    """Read and check bridge.yaml, or with an overlay, the bridge.yaml of another environment.

    Raises:
        BridgeFileInvalid: as `bridge_file.load`, or two jobs share an import configuration and do not say so, or the
            schedules need more calls than Looker's licence holds. Of these, the functions warn or know nothing, because
            a running bridge must not stop. A plan can stop without any loss.
    """
    content = bridge_file.content(path)
    changes = overlay.content_of(overlay_path) if overlay_path else None
    raw, bridge = overlay.environment(content, changes)
    found = [*shared_configurations(bridge), *licence.faults(bridge, datetime.now(UTC).date())]
    if faults := [f"{where}: {problem}; write {advice}" for where, problem, advice in found]:
        raise BridgeFileInvalid("\n".join(faults))
    return CheckedBridge(
        sha256=hashlib.sha256(content).hexdigest(),
        overlay_sha256=None if changes is None else hashlib.sha256(changes).hexdigest(),
        config=json.dumps(raw, ensure_ascii=False),
        schedules=dict(_schedules(bridge)),
        relays=tuple(bridge.relays),
        secrets=_secrets(bridge),
        buckets=_buckets(bridge),
        exports={name: _export(export) for name, export in bridge.exports.items()},
        queried_by=tuple(_queriers(bridge)),
        warnings=bridge.warnings,
    )


def write(checked: CheckedBridge, path: Path) -> None:
    """Write build/bridge.json. If this is interrupted, the previous file remains, whose digest says what it is of."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(checked)) + b"\n")
    unfinished.replace(path)


def _schedules(bridge: Bridge) -> Iterator[tuple[str, DeployedSchedule]]:
    for function, jobs in ((PULL, bridge.pulls), (EXPORT, bridge.exports)):
        for name, job in jobs.items():
            if job.schedule is not None:
                late_after = longest_wait(job.schedule) + _GRACE
                seconds = int(late_after.total_seconds())
                yield f"{job.kind}-{name}", DeployedSchedule(function, name, job.schedule, job.time_zone, seconds)


def _secrets(bridge: Bridge) -> dict[str, DeployedSecret]:
    readers: dict[str, set[str]] = defaultdict(set)
    for name, functions in (
        # webhook_deliver asks Looker only when a relay starts a pull.
        (bridge.looker.credentials, (PULL, DELIVER) if _started_pulls(bridge) else (PULL,)),
        (bridge.pigment.import_key, (PULL, DELIVER)),
        (bridge.pigment.export_key, tuple(_exporters(bridge))),
        (bridge.webhook.token, (RECEIVE,)),
        *((name, (DELIVER,)) for name in sorted(bridge.notify_secrets())),
    ):
        if name:
            readers[name].update(functions)
    # webhook_receive accepts the two newest enabled versions of the token, so it also lists the versions.
    listers = {bridge.webhook.token: (RECEIVE,)}
    return {name: _secret(name, tuple(sorted(by)), listers.get(name, ())) for name, by in readers.items()}


def _exporters(bridge: Bridge) -> Iterator[str]:
    """Yield the functions that export: pigment_export and, to look up known items or to read blocks back, those that
    import. In a sweep, webhook_deliver reads the blocks of pulls back too.
    """
    yield EXPORT
    started = _started_pulls(bridge)
    if any(pull.known or pull.verify for pull in bridge.pulls.values()):
        yield PULL
    relays = [relay.known or relay.verify for relay in bridge.relays.values() if not isinstance(relay, Signal)]
    read_back = [pull.verify for pull in bridge.pulls.values()]
    if any([*relays, *read_back, *(bridge.pulls[name].known for name in started)]):
        yield DELIVER


def _queriers(bridge: Bridge) -> Iterator[str]:
    """Yield the functions that compare in BigQuery. A sweep, which webhook_deliver is, does it for pulls too."""
    started = _started_pulls(bridge)
    jobs = [job for job in bridge.jobs() if isinstance(job, AnyImport) and job.compares_in_bigquery]
    if any(isinstance(job, Pull) for job in jobs):
        yield PULL
    if any(job.verifies_in_bigquery or job.name in started for job in jobs):
        yield DELIVER


def _secret(name: str, readers: tuple[str, ...], listers: tuple[str, ...]) -> DeployedSecret:
    """Split `projects/PROJECT/secrets/ID`; a name without a project is that of a secret that Terraform creates."""
    if not name.startswith("projects/"):
        return DeployedSecret(name, None, readers, listers)
    _, project, _, secret_id = name.split("/")
    return DeployedSecret(secret_id, project, readers, listers)


def _buckets(bridge: Bridge) -> dict[str, tuple[str, ...]]:
    started = _started_pulls(bridge)
    relays = [relay.target for relay in bridge.relays.values() if not isinstance(relay, Signal)]
    targets = {name: pull.target for name, pull in bridge.pulls.items()}
    writers: dict[str, list[Target] | list[Export]] = {
        PULL: list(targets.values()),
        EXPORT: list(bridge.exports.values()),
        DELIVER: [*relays, *(target for name, target in targets.items() if name in started)],
    }
    return {
        function: tuple(sorted({each.bucket for each in files if each.bucket})) for function, files in writers.items()
    }


def _started_pulls(bridge: Bridge) -> set[str]:
    return {relay.start for relay in bridge.relays.values() if isinstance(relay, Signal)}


# https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#TableFieldSchema
_TYPES_OF_BIGQUERY: Mapping[str, str] = {
    "text": "STRING",
    "number": "FLOAT",
    "decimal": "NUMERIC",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "datetime": "DATETIME",
    "boolean": "BOOLEAN",
}


def _export(export: Export) -> DeployedExport:
    return DeployedExport(
        path=export.path,
        format=export.format,
        compress=export.compress,
        delimiter=export.source.delimiter,
        has_own_bucket=bool(export.bucket),
        for_bigquery=export.bigquery,
        schema=tuple(_schema(export)) if export.bigquery and export.format == "csv" else (),
    )


def _schema(export: Export) -> Iterator[DeployedColumn]:
    names, _ = column_names.distinct([*export.columns], for_bigquery=True)
    for name, kind in zip(names, export.columns.values(), strict=True):
        yield DeployedColumn(name, _TYPES_OF_BIGQUERY[kind])
