"""A person who looks at Pigment's import history, and says what became of a run that nobody else can know of."""

import contextlib

from common.platform.errors import ConfigurationOccupied
from common.runs import settling
from common.runs.leases import Journal
from common.storage import paths
from tests.support.world import World


def settle(world: World, job: str, configuration: str) -> None:
    """Settle what is open for a configuration, as soon as Pigment has come to the end of it."""
    stored = world.store.read_json(paths.lease(configuration), Journal)
    if stored is None or stored.value.step != "unknown":
        return
    flight = stored.value.receipt
    claimed = {each["import_id"] for each in world.receipts(job) if each["run"] != flight.run}
    found = [
        each
        for each in world.imports
        if (each.configuration, each.sha256) == (configuration, flight.sha256) and each.id not in claimed
    ]
    if any(each.status == "InProgress" for each in found):
        return
    has_landed = any(each.status == "Completed" for each in found)
    with contextlib.suppress(ConfigurationOccupied):
        settling.settle_by_hand(world.store, world.clock, flight.run, "landed" if has_landed else "not landed")


def let_holds_lapse(world: World) -> None:
    """Those of killed processes on the real clock, which no test waits for."""
    for path in world.objects("leases/"):
        stored = world.store.read_json(path, dict)
        assert stored is not None
        lapsed = {**stored.value, "expires_at": "2020-01-01T00:00:00.000Z"}
        world.store.write_json(path, lapsed, over=stored.generation)
