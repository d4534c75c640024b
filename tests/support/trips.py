"""Rows in Looker with an increasing time and number, and a list in Pigment for them."""

import csv
import dataclasses
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from local.sandbox.pigment import BlockColumn
from tests.support.world import World

HEADER = ["Trips Id", "Trips Note"]


@dataclasses.dataclass(frozen=True)
class Trip:
    """A row: its key, its last update in UTC, and its content."""

    id: int
    updated: datetime
    note: str = "-"


class Trips:
    """An incremental pull over the cursor `updated`, or over the cursor of `load`."""

    def __init__(
        self, world: World, *, repeatable: bool, cursor: str = "trips.updated", name: str = "trips", **load: Any
    ) -> None:
        self.world = world
        self.name = name
        self.put([])
        world.looker.look(name, "Trips", "nyc", name, [f"{name}.id", f"{name}.note"], sorts=[f"{name}.id"])
        block = world.pigment.block(world.pigment.application("Planning"), name)
        how: dict[str, Any] = {"unique": HEADER[:1]} if repeatable else {}
        self.configuration = world.pigment.configuration(block, [BlockColumn(HEADER[0]), HEADER[1]], **how)
        self.change(repeatable=repeatable, cursor=cursor, **load)

    def change(self, *, repeatable: bool = True, **load: Any) -> None:
        zone = load.pop("query_timezone", "UTC")
        self.world.raw["pulls"][self.name] = {
            "source": {"look": self.name, "query_timezone": zone},
            "load": {"incremental": {"start": "2026-01-01", "window": "1 month", **load}},
            "target": {"configuration": self.configuration, "repeatable": repeatable},
        }
        self.world.save_jobs()

    def put(self, trips: Iterable[Trip]) -> None:
        """Replace all rows in Looker."""
        path = self.world.folder / f"{self.name}.csv"
        rows = [[trip.id, trip.updated.isoformat(sep=" "), trip.updated.date(), trip.note] for trip in trips]
        with path.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([["id", "updated", "day", "note"], *rows])
        types = {"id": "BIGINT", "updated": "TIMESTAMP", "day": "DATE", "note": "VARCHAR"}
        self.world.looker.explore("nyc", self.name, path, types=types, label="Trips")

    def landed(self) -> Counter[tuple[int, str]]:
        """Count each row in Pigment's list."""
        rows = self.world.pigment.rows(self.configuration)
        return Counter((int(row[HEADER[0]]), str(row[HEADER[1]])) for row in rows)


def told(trips: Iterable[Trip]) -> Counter[tuple[int, str]]:
    return Counter((trip.id, trip.note) for trip in trips)
