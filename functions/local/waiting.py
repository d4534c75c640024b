"""Why webhook deliveries still wait: what blocks the import configuration of their relay."""

from collections.abc import Iterator

from common import bridge_yaml
from common.platform.errors import BridgeError
from common.runs import backoff
from common.runs.instance import Instance
from common.storage import inbox
from common.storage.bucket import Bucket
from local import open_runs
from local.open_runs import OpenRun


def reasons(instance: Instance) -> dict[str, str]:
    """Return the reason for each relay whose deliveries are blocked. The others wait for their turn."""
    try:
        bridge = instance.config()
    except BridgeError as error:
        return dict.fromkeys(inbox.relays(instance.bucket), error.cause)
    return dict(_reasons(instance.bucket, bridge))


def _reasons(bucket: Bucket, bridge: bridge_yaml.Bridge) -> Iterator[tuple[str, str]]:
    open_by_configuration = {each.receipt.configuration: each for each in open_runs.every(bucket) if _blocks(each)}
    for name in inbox.relays(bucket):
        relay = bridge.relays.get(name)
        if relay is None:
            yield name, "bridge.yaml has no relay with this name"
            continue
        target = relay.target if isinstance(relay, bridge_yaml.Relay) else bridge.pulls[relay.start].target
        open_run = open_by_configuration.get(target.configuration)
        if open_run is not None:
            yield name, _blocked_by(open_run)
        elif vendor := backoff.current(bucket, target.configuration):
            yield name, f"{vendor.message} The next attempt is in {vendor.retry_after_s or 0:.0f} s"


def _blocks(run: OpenRun) -> bool:
    """Whether deliveries wait for this run: a held pull has given up its lease, and a held delivery is the next one."""
    return run.state != "held" or run.receipt.kind == "relay"


def _blocked_by(run: OpenRun) -> str:
    return f"Run {run.receipt.run} of {run.receipt.job} is {run.state}. {run.details}"
