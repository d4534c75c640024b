"""Checks of Cloud Storage: each bucket is written to, and the object is deleted again; only those read it who shall."""

import re
import uuid
from collections.abc import Iterator

from common import bridge_yaml
from common.platform.errors import BridgeError, StorageRefused
from common.runs.instance import Instance
from common.storage import paths
from common.storage.bucket import Bucket
from local import next_steps
from local.checks.finding import Finding, from_error, green, red, yellow

_VIEWERS = "viewers"
_PROJECT_VIEWERS = "projectViewer:"


def findings(
    bridge: bridge_yaml.Bridge | None, raw: object, instance: Instance, plan: str = "make plan"
) -> Iterator[Finding]:
    """Check the bridge's own bucket, and the other buckets in bridge.yaml if it is valid.

    Args:
        plan: the command that plans this environment.
    """
    try:
        bucket = instance.bucket
    except BridgeError as error:
        yield from_error(_own_bucket(), error)
        return
    yield _try_bucket(_own_bucket(), bucket, is_read=True)
    yield from _viewer_findings(bucket)
    if bridge is None:
        return
    yield _copy_finding(bucket, raw, plan)
    for subject, name in _named_buckets(bridge):
        yield _try_bucket(subject, bucket.beside(name), is_read=False)


def _own_bucket() -> str:
    """Return the setting that names the bridge's own bucket."""
    return "--state" if next_steps.is_local() else "BRIDGE_BUCKET"


def _try_bucket(subject: str, bucket: Bucket, *, is_read: bool) -> Finding:
    try:
        _write_and_delete(bucket)
        if is_read:
            list(bucket.names(paths.TEMPORARY))
    except BridgeError as error:
        return red(subject, f"The bucket {bucket.name} cannot be used: {error.cause}", next_steps.of(error))
    return green(subject, f"The bucket {bucket.name} can be {'read and ' if is_read else ''}written.")


def _viewer_findings(bucket: Bucket) -> Iterator[Finding]:
    """Find the roles that Google itself grants on a new bucket to whoever has `roles/viewer` in the project.

    Terraform cannot take away what it did not grant, unless it takes away what others have granted too.
    """
    try:
        bindings = list(bucket.bindings())
    except StorageRefused:
        why = "Reading the bucket's policy needs storage.buckets.getIamPolicy, so it is not known who reads its rows."
        yield yellow(_VIEWERS, why, "Let somebody check it who may: infra/README.md, What Terraform creates.")
        return
    except BridgeError as error:
        yield from_error(_VIEWERS, error)
        return
    granted = [
        (role, member)
        for role, members in bindings
        for member in sorted(members)
        if member.startswith(_PROJECT_VIEWERS)
    ]
    for role, member in granted:
        command = f"gcloud storage buckets remove-iam-policy-binding gs://{bucket.name} --member={member} --role={role}"
        yield red(_VIEWERS, f"Everybody with roles/viewer in the project has {role} here: {member}.", f"Run {command}.")
    if bindings and not granted:
        yield green(_VIEWERS, "roles/viewer of the project reads no row here.")


def _write_and_delete(bucket: Bucket) -> None:
    path = f"{paths.TEMPORARY}check-{uuid.uuid4()}.json"
    generation = bucket.write_json(path, {"written_by": "bridge check"}, over=0)
    bucket.delete(path, generation=generation)


def _named_buckets(bridge: bridge_yaml.Bridge) -> Iterator[tuple[str, str]]:
    """Yield the buckets in bridge.yaml, each with its key."""
    for name, pull in bridge.pulls.items():
        if pull.target.bucket:
            yield f"pulls.{name}.target.bucket", pull.target.bucket
    for name, relay in bridge.relays.items():
        if isinstance(relay, bridge_yaml.Relay) and relay.target.bucket:
            yield f"relays.{name}.target.bucket", relay.target.bucket
    for name, export in bridge.exports.items():
        if export.bucket:
            yield f"exports.{name}.bucket", export.bucket


def _copy_finding(bucket: Bucket, raw: object, plan: str) -> Finding:
    """Compare bridge.yaml with the copy in the bucket, which the functions read."""
    if next_steps.is_local():
        return green(paths.CONFIG, "`bridge pull` and `bridge serve` write bridge.yaml into the bucket.")
    next_step = f"Run `{plan}` and `make apply`, which write it."
    try:
        stored = bucket.read_json(paths.CONFIG, object)
    except BridgeError as error:
        return from_error(paths.CONFIG, error)
    if stored is None:
        return yellow(paths.CONFIG, "The bucket does not contain bridge.yaml yet.", next_step)
    if _normalize(stored.value) != _normalize(raw):
        return yellow(paths.CONFIG, "The bucket contains a different bridge.yaml.", next_step)
    return green(paths.CONFIG, "The bucket contains the same bridge.yaml.")


_TERRAFORM_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T00:00:00Z")


def _normalize(value: object) -> object:
    """Undo the changes that Terraform makes in the copy: it writes keys as text, and a date as its first moment."""
    match value:
        case dict():
            return {str(key): _normalize(one) for key, one in value.items()}
        case list():
            return [_normalize(one) for one in value]
        case str() if date := _TERRAFORM_DATE.fullmatch(value):
            return date[1]
    return value
