"""Any sequence of changes, runs and faults leads to a correct target.

A repeatable target equals the source. An append holds every row exactly once.
"""

import contextlib
import itertools
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from werkzeug.datastructures import Headers

import looker_pull
from common.platform.errors import BridgeError
from common.runs.leases import LIFETIME_S
from tests.proofs.model import troubles
from tests.proofs.model.proof import prove
from tests.proofs.model.troubles import Trouble
from tests.support.settling import settle
from tests.support.trips import Trip, Trips, told
from tests.support.world import World

ZONES = ["UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe"]
SETTLES_S = 1800
"A row appears in Looker at most this long after its time."
_serials = itertools.count()

# Google's client does not close broken connections, so the garbage collector warns of them.
pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]


class SourceMachine(RuleBasedStateMachine):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.rows: dict[int, Trip] = {}
        self.ids = itertools.count(1)
        self.values: list[str] = []

    @initialize(
        repeatable=st.booleans(),
        by_number=st.booleans(),
        days=st.sampled_from([1, 40]),
        zone=st.sampled_from(ZONES),
        back=st.sampled_from([1800, 3600, 90_000]),
        sizes=st.lists(st.integers(0, 100), max_size=6),
    )
    def begin(self, repeatable: bool, by_number: bool, days: int, zone: str, back: int, sizes: list[int]) -> None:
        """Write rows from some days before the first run, and add a pull."""
        self.repeatable, self.by_number = repeatable, by_number
        name = f"trips{next(_serials)}"
        start = self.now() - timedelta(days=days)
        for percent in sorted(sizes):
            self._write(start + (self.now() - start) * percent / 100)
        slack = {"overlap" if repeatable else "delay": 10 if by_number else f"{back} seconds"}
        load: dict[str, Any] = (
            {"start": 0, "window": 4}
            if by_number
            else {
                "start": (start - timedelta(days=1)).isoformat(sep=" ", timespec="seconds"),
                "window": "9 hours" if days == 1 else "1 month",
            }
        )
        field = f"{name}.id" if by_number else f"{name}.updated"
        self.trips = Trips(
            self.world, repeatable=repeatable, cursor=field, name=name, query_timezone=zone, **load, **slack
        )
        self._show()

    # Rules

    @rule(times=st.integers(1, 5), late_s=st.sampled_from([0, 0, 1, SETTLES_S]))
    def rows_appear(self, times: int, late_s: int) -> None:
        for _ in range(times):
            self._write(self.now() - timedelta(seconds=late_s))
        self._show()

    @rule(which=st.integers(0, 20))
    def a_row_is_written_again(self, which: int) -> None:
        if self.repeatable and self.rows and not self.by_number:
            row = list(self.rows.values())[which % len(self.rows)]
            self.rows[row.id] = Trip(row.id, self.now(), f"{row.note}'")
            self._show()

    @rule(seconds=st.sampled_from([1, 600, 3600, 20_000, 86_400, 3_000_000]))
    def time_passes(self, seconds: int) -> None:
        self.world.clock.advance(seconds)

    @rule()
    def run(self) -> None:
        self._run()

    @rule(what=st.lists(troubles.storage() | troubles.pigment() | troubles.looker(), min_size=1, max_size=2))
    def run_in_trouble(self, what: list[Trouble]) -> None:
        for each in what:
            troubles.strike(self.world, each, self._run)
        self._run()
        self._heal()

    @rule(percent=st.integers(0, 100))
    def a_stretch_is_loaded_again(self, percent: int) -> None:
        start = self.now() - timedelta(days=2)
        begin: str | int = len(self.rows) * percent // 100
        if not self.by_number:
            begin = (start + timedelta(days=2) * percent / 100).isoformat(sep=" ", timespec="seconds")
        self._run(begin)

    @rule()
    def imports_are_slow(self) -> None:
        self.world.pause_imports()

    @rule()
    def imports_are_fast(self) -> None:
        self._let_imports_end()

    @rule()
    def a_person_settles(self) -> None:
        settle(self.world, self.trips.configuration)

    # Invariants

    @invariant()
    def the_cursor_never_moves_back(self) -> None:
        cursor = self._cursor()
        if cursor is not None and cursor not in self.values[-1:]:
            assert not self.values or _order(cursor) > _order(self.values[-1])
            self.values.append(cursor)

    @invariant()
    def an_append_never_doubles(self) -> None:
        if hasattr(self, "trips") and not self.repeatable:
            assert not [row for row, times in self.trips.landed().items() if times > 1]

    def teardown(self) -> None:
        if not hasattr(self, "trips"):
            return
        self._heal()
        # All rows appear in Looker and all leases expire in this time.
        self.world.clock.advance(100_000)
        if self.by_number and not self.repeatable:
            # The load waits with the newest numbers until there are newer ones.
            self.newest = [self._write(self.now()).id for _ in range(10)]
            self._show()
        for _ in range(60):
            self._let_imports_end()
            answer = self._run()
            settle(self.world, self.trips.configuration)
            if answer is not None and answer.error is None and answer.progress.done:
                break
            self.world.clock.advance(LIFETIME_S + 1)
        else:
            raise AssertionError(answer)
        held_back = getattr(self, "newest", [])
        assert self.trips.landed() == told(row for row in self.rows.values() if row.id not in held_back)

    # Implementation

    def now(self) -> datetime:
        return self.world.clock.now().replace(tzinfo=None, microsecond=0)

    def _write(self, updated: datetime) -> Trip:
        trip = Trip(next(self.ids), updated.replace(microsecond=0))
        self.rows[trip.id] = trip
        return trip

    def _show(self) -> None:
        self.trips.put(self.rows.values())

    def _run(self, begin: str | int | None = None) -> Any:
        call = looker_pull.PullCall(self.trips.name, from_=begin)
        with contextlib.suppress(BridgeError):
            return looker_pull.act(call, Headers())
        return None

    def _heal(self) -> None:
        for server in (self.world.storage_server, self.world.pigment_server, self.world.looker_server):
            server.heal()

    def _let_imports_end(self) -> None:
        self.world.resume_imports()
        for each in self.world.imports:
            self.world.pigment.finished(each.id)

    def _cursor(self) -> str | None:
        if not hasattr(self, "trips"):
            return None
        path = self.world.folder / "state" / "bucket" / "cursors" / f"{self.trips.name}.json"
        value: str | None = json.loads(path.read_bytes())["value"] if path.exists() else None
        return value


def _order(position: str) -> tuple[int, str]:
    return (int(position), "") if position.isdecimal() else (0, position)


def test_no_sequence_loses_or_duplicates_a_row(patient: World) -> None:
    prove(lambda: SourceMachine(patient), examples=5, steps=10)


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(10))
def test_no_long_sequence_loses_or_duplicates_a_row(patient: World, batch: int) -> None:
    assert batch >= 0
    prove(lambda: SourceMachine(patient), examples=60, steps=25)
