"""After any failed write of a run, the next run starts, and each row lands once."""

import gc
from datetime import datetime
from typing import Any

import pytest

from local.sandbox.wire import Response
from tests.support.settling import settle
from tests.support.trips import Trip, Trips, told
from tests.support.world import World

JANUARY, FEBRUARY = Trip(1, datetime(2026, 1, 1)), Trip(2, datetime(2026, 2, 1))  # noqa: DTZ001  # wall-clock times

FAILURES: dict[str, dict[str, Any]] = {
    "refused": {"on": "(POST /upload|DELETE /storage)/", "refuse": Response(403, b"{}")},
    "not understood": {"on": "POST /upload/", "refuse": Response.of_json({})},
}

WRITES = ["lease", "pushing", "importing", "receipt", "cursor", "release, or the next lease"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("nth", range(len(WRITES)), ids=WRITES)
@pytest.mark.parametrize(
    "how",
    [
        pytest.param(FAILURES["refused"], id="refused"),
        pytest.param(FAILURES["not understood"], id="not understood", marks=pytest.mark.slow),
    ],
)
def test_rows_of_an_append_land_once_and_the_next_run_begins(world: World, how: dict[str, Any], nth: int) -> None:
    trips = Trips(world, repeatable=False)
    trips.put([JANUARY, FEBRUARY])
    world.storage_server.fault(after=nth, **how)

    world.run_pull("trips")
    world.heal()
    following = world.run_pull("trips")
    world.finish_imports()
    if settle(world, trips.configuration):
        following = world.run_pull("trips")

    assert following.status == 200, following.body
    assert trips.landed() == told([JANUARY, FEBRUARY])
    assert world.objects("leases/") == []
    # Google's client does not close the connection of a failed request, so the garbage collector warns of it.
    gc.collect()
