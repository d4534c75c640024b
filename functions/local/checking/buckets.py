"""Cloud Storage: the bridge's bucket and those of the user, each written to and cleaned again."""

import re
import uuid
from collections.abc import Iterator

from common import bridge_yaml
from common.platform.errors import BridgeError
from common.runs.instance import Instance
from common.storage import paths
from common.storage.store import Store
from local.checking.finding import Finding, green, red, refused, yellow

_OWN = "BRIDGE_BUCKET"
_PROBES = "tmp/"


def findings(bridge: bridge_yaml.Bridge | None, raw: object, instance: Instance) -> Iterator[Finding]:
    """Without a bridge.yaml that can be read, those of the bridge's own bucket."""
    try:
        store = instance.store
    except BridgeError as error:
        yield refused(_OWN, error)
        return
    yield _try_bucket(_OWN, store, is_read=True)
    if bridge is None:
        return
    yield _copy_finding(store, raw)
    for subject, bucket in _buckets_named(bridge):
        yield _try_bucket(subject, store.beside(bucket), is_read=False)


def _try_bucket(subject: str, store: Store, *, is_read: bool) -> Finding:
    try:
        _write(store)
        if is_read:
            list(store.names(_PROBES))
    except BridgeError as error:
        return red(subject, f"The bucket {store.name} cannot be used: {error.cause}", error.next_step)
    return green(subject, f"The bucket {store.name} can be {'read and ' if is_read else ''}written.")


def _write(store: Store) -> None:
    """Write an object that was not there before, and take it away again."""
    path = f"{_PROBES}check-{uuid.uuid4()}.json"
    generation = store.write_json(path, {"written_by": "bridge check"}, over=0)
    store.delete(path, generation=generation)


def _buckets_named(bridge: bridge_yaml.Bridge) -> Iterator[tuple[str, str]]:
    for name, pull in bridge.pulls.items():
        if pull.target.bucket:
            yield f"pulls.{name}.target.bucket", pull.target.bucket
    for name, relay in bridge.relays.items():
        if isinstance(relay, bridge_yaml.Relay) and relay.target.bucket:
            yield f"relays.{name}.target.bucket", relay.target.bucket
    for name, export in bridge.exports.items():
        if export.bucket:
            yield f"exports.{name}.bucket", export.bucket


def _copy_finding(store: Store, raw: object) -> Finding:
    """Whether the functions read the same bridge.yaml."""
    next_step = "Run Terraform, which writes it there; on this machine `bridge serve` and `bridge pull` do."
    try:
        stored = store.read_json(paths.CONFIG, object)
    except BridgeError as error:
        return refused(paths.CONFIG, error)
    if stored is None:
        return yellow(paths.CONFIG, "The bucket does not hold bridge.yaml yet.", next_step)
    if _plain(stored.value) != _plain(raw):
        return yellow(paths.CONFIG, "The bucket holds another bridge.yaml than this one.", next_step)
    return green(paths.CONFIG, "The bucket holds the same bridge.yaml.")


_TERRAFORM_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T00:00:00Z")


def _plain(value: object) -> object:
    """Without what Terraform changes on the way: keys become text, and a day becomes its first moment."""
    match value:
        case dict():
            return {str(key): _plain(one) for key, one in value.items()}
        case list():
            return [_plain(one) for one in value]
        case str():
            return _TERRAFORM_DATE.sub(r"\1", value) if _TERRAFORM_DATE.fullmatch(value) else value
    return value
