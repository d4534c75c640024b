"""A person who settles a run: looks at Pigment's import history, and reports how the run ended."""

import contextlib
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Protocol

from common.platform.clock import Clock
from common.platform.errors import ConfigurationOccupied
from common.runs import settling
from common.runs.leases import Journal
from common.storage import paths
from common.storage.bucket import Bucket
from local.sandbox.pigment import SandboxPigment
from tests.support.world import World


class Deployment(Protocol):
    """A bucket, and the Pigment that imports its files."""

    @property
    def bucket(self) -> Bucket: ...
    @property
    def bucket_folder(self) -> Path: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def pigment(self) -> SandboxPigment: ...


def settle(bridge: Deployment, configuration: str) -> bool:
    """Settle a configuration's unknown run once Pigment has finished its imports; return whether it was settled."""
    stored = bridge.bucket.read_json(paths.lease(configuration), Journal)
    if stored is None or stored.value.step != "unknown":
        return False
    run, sha256 = stored.value.receipt.run, stored.value.receipt.sha256
    found = [each for each in bridge.pigment.imports if (each.configuration, each.sha256) == (configuration, sha256)]
    if found:
        claimed = set(_claimed(bridge.bucket_folder, run))
        found = [each for each in found if each.id not in claimed]
    if any(each.status == "InProgress" for each in found):
        return False
    has_landed = any(each.status == "Completed" for each in found)
    verdict: Literal["landed", "not landed"] = "landed" if has_landed else "not landed"
    with contextlib.suppress(ConfigurationOccupied):
        settling.settle_by_hand(bridge.bucket, bridge.clock, run, verdict)
        return True
    return False


def _claimed(folder: Path, run: str) -> Iterator[str | None]:
    """Return the imports in the receipts of other runs."""
    for path in folder.glob("receipts/*/*/*.json"):
        if path.stem != run:
            yield _import_of(path, path.stat().st_mtime_ns)


@functools.cache
def _import_of(path: Path, _written_at_ns: int) -> str | None:
    """Read a receipt once: in a load run there are tens of thousands."""
    import_id: str | None = json.loads(path.read_bytes())["import_id"]
    return import_id


def expire_leases(world: World) -> None:
    """Make every lease expire, because a test does not wait for leases on the real clock."""
    for path in world.objects("leases/"):
        stored = world.bucket.read_json(path, dict)
        assert stored is not None
        expired = {**stored.value, "lifetime_s": 0}
        world.bucket.write_json(path, expired, over=stored.generation)
