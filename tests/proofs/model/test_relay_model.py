"""After any sequence of deliveries, calls and faults, each acknowledged delivery landed once or is dead."""

import collections
import contextlib
import dataclasses
import io
import itertools
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import flask
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from werkzeug.test import create_environ

import webhook_receive
from common.flows import deliver as delivering
from common.platform.errors import BridgeError
from common.runs.instance import Instance
from common.runs.leases import LIFETIME_S, Journal
from common.storage import inbox, paths
from common.storage.objects import ListedObject
from local.sandbox.pigment import SandboxImport
from local.sandbox.wire import Request, Response, StreamBody
from tests.proofs.model import troubles
from tests.proofs.model.proof import prove
from tests.proofs.model.troubles import Trouble
from tests.support.clock import ClockOff
from tests.support.settling import settle
from tests.support.world import WEBHOOK_TOKEN, World, delivery

RELAYS: dict[str, dict[str, Any]] = {
    "append": {},
    "read-back": {},
    "repeatable": {"target": {"repeatable": True}},
    "latest": {"keep": "latest"},
    "twin-a": {},
    "twin-b": {},
}
"Both twins land in one configuration. A run of `read-back` settles itself; only what its block does not tell is left."

CLOCKS_OFF_S = [0, -300, 300, 3600]
"Of another instance."

IMPORTED_WITHIN_S = 3600
"Pigment's imports end within an hour."

_serials = itertools.count()

# Google's client does not close broken connections, so the garbage collector warns of them.
pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]


@dataclasses.dataclass
class PostedDelivery:
    """A delivery as Looker posted it."""

    relay: str
    plan: int
    id: str
    body: bytes
    headers: dict[str, str]
    first_at: datetime
    acknowledged_at: datetime | None = None
    lives: int = 0
    "How many of its posts were answered as new."
    most_lives: int = 0
    "How many of its posts may have been stored as a delivery of their own."

    @property
    def has_id(self) -> bool:
        return "X-Looker-Webhook-Id" in self.headers

    def may_come_again(self, now: datetime) -> bool:
        """Whether a repetition is recognized: content identifies a delivery for an hour, an ID forever."""
        return self.has_id or now - self.first_at < timedelta(minutes=59)


class WatchedPigment:
    """Pigment that checks every complete push."""

    def __init__(self, machine: "RelayMachine") -> None:
        self._machine = machine

    def answer(self, request: Request) -> Response:
        if request.path.endswith("/push/csv"):
            content = request.body.read()
            self._machine.see_push(request.argument("configurationId") or "")
            request = dataclasses.replace(request, body=StreamBody(io.BytesIO(content), request.headers))
        return self._machine.world.pigment.answer(request)


class RelayMachine(RuleBasedStateMachine):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.posted: list[PostedDelivery] = []
        self.latest: dict[tuple[str, int], PostedDelivery | None] = {}
        "Of each schedule; None if a call was disturbed, so that nobody can tell."
        self.ended: dict[str, bytes] = {}
        self.seen: list[str] = []
        self.stalled = False
        serial = next(_serials)
        self.names = {kind: f"{kind}-{serial}" for kind in RELAYS}
        self.configurations = self._configurations()
        world.raw["webhook"] = {"token": "looker-webhook-token"}
        world.raw["relays"] = {
            name: {"guards": {"min_rows": 2}, **RELAYS[kind], "target": self._target(kind)}
            for kind, name in self.names.items()
        }
        block = world.pigment.block(world.pigment.application("Planning"), self.names["read-back"])
        world.raw["relays"][self.names["read-back"]]["verify"] = {"source": {"list": block}, "key": ["Id"]}
        world.bucket.write_json(paths.CONFIG, world.raw, over=None)
        world.pigment_server.site = WatchedPigment(self)

    def _target(self, kind: str) -> dict[str, Any]:
        return {**RELAYS[kind].get("target", {}), "configuration": self.configurations[self.names[kind]]}

    def _configurations(self) -> dict[str, str]:
        lists = {kind: self.world.add_list(self.names[kind]) for kind in ("append", "read-back", "latest", "twin-a")}
        lists["repeatable"] = self.world.add_list(self.names["repeatable"], unique=["Id"])
        lists["twin-b"] = lists["twin-a"]
        return {self.names[kind]: configuration for kind, configuration in lists.items()}

    # Rules

    @rule(kind=st.sampled_from(list(RELAYS)), by_id=st.booleans(), usable=st.sampled_from([True] * 5 + [False]))
    def deliver(self, kind: str, by_id: bool, usable: bool) -> None:
        self._deliver(kind, [], by_id=by_id, usable=usable)

    @rule(kind=st.sampled_from(list(RELAYS)), by_id=st.booleans(), what=troubles.storage())
    def deliver_in_trouble(self, kind: str, by_id: bool, what: Trouble) -> None:
        self._deliver(kind, [dataclasses.replace(what, nth=what.nth % 4)], by_id=by_id, usable=True)

    @rule(which=st.integers(0, 5), what=st.lists(troubles.storage(), max_size=1))
    def deliver_again(self, which: int, what: list[Trouble]) -> None:
        known = [each for each in self.posted if each.may_come_again(self.world.clock.now())]
        if known:
            trouble = [dataclasses.replace(each, nth=each.nth % 4) for each in what]
            self._post(known[-1 - which % len(known)], trouble)

    @rule(hint=st.sampled_from([None, *RELAYS]))
    def wake(self, hint: str | None) -> None:
        self._wake(hint)

    @rule(
        hint=st.sampled_from([None, *RELAYS]),
        what=st.lists(troubles.storage() | troubles.pigment(), min_size=1),
        other_clock_off_s=st.sampled_from(CLOCKS_OFF_S),
    )
    def wake_in_trouble(self, hint: str | None, what: list[Trouble], other_clock_off_s: int) -> None:
        with self._trouble(what[:2], other_clock_off_s):
            self._wake(hint)

    @rule(seconds=st.sampled_from([1, LIFETIME_S + 1, 3600]))
    def time_passes(self, seconds: int) -> None:
        if seconds >= IMPORTED_WITHIN_S:
            self._let_imports_end()
        self.world.clock.advance(seconds)

    @rule(kind=st.sampled_from(list(RELAYS)))
    def next_import_fails(self, kind: str) -> None:
        self.world.pigment.fail_next(self.configurations[self.names[kind]], "Broken", "No")

    @rule(kind=st.sampled_from(list(RELAYS)))
    def next_import_skips_a_row(self, kind: str) -> None:
        self.world.pigment.skip_next(self.configurations[self.names[kind]], 1)

    @rule()
    def imports_are_slow(self) -> None:
        self.world.pause_imports()

    @rule()
    def imports_are_fast(self) -> None:
        self._let_imports_end()

    @rule()
    def a_person_settles(self) -> None:
        self._settle()

    @rule(which=st.integers(0, 5))
    def a_person_replays(self, which: int) -> None:
        dead = self._entries("dead")
        if dead:
            _, relay, name = dead[which % len(dead)].name.split("/")
            self.world.clock.advance(1)
            assert inbox.replay(self.world.bucket, "dead", relay, name, self.world.clock.now())

    def _deliver(self, kind: str, what: list[Trouble], *, by_id: bool, usable: bool) -> None:
        self.world.clock.advance(1)
        number = len(self.posted)
        rows = [(f"{number}/first", "1"), (f"{number}/last", "2")]
        headers = {"X-Looker-Webhook-Token": WEBHOOK_TOKEN}
        relay = self.names[kind]
        if by_id:
            # Two deliveries with different content may have the same id.
            headers["X-Looker-Webhook-Id"] = f"{relay} {number // 2}"
        # The guard of every relay here refuses a delivery of one row for good.
        plan = number % 2
        body = delivery(*(rows if usable else rows[1:]), plan=plan)
        self.posted.append(PostedDelivery(relay, plan, str(number), body, headers, self.world.clock.now()))
        self._post(self.posted[-1], what)

    def _post(self, posted: PostedDelivery, what: list[Trouble]) -> None:
        schedule, is_new = (posted.relay, posted.plan), self._is_new(posted)
        self.world.clock.advance(1)
        posted.most_lives += is_new is not False
        with self._trouble(what):
            message = self._answer(posted)
        posted.lives += message == "Received."
        if what or message is None:
            self.latest[schedule] = None
            return
        assert is_new is None or message == ("Received." if is_new else "Already received."), (posted, message)
        if message == "Received.":
            self.latest[schedule] = posted

    def _is_new(self, posted: PostedDelivery) -> bool | None:
        """Whether the next post is to be a delivery of its own; None if nobody can tell."""
        lives = [
            (entry.name.rpartition("/")[2], place, entry.metadata)
            for place in ("inbox", "delivered", "dead")
            for entry in inbox.every(self.world.bucket, place, posted.relay)
            if "replay-of" not in entry.metadata and self._number(entry) == posted.id
        ]
        if not lives or posted.has_id:
            return not lives
        latest = self.latest.get((posted.relay, posted.plan))
        if latest is None:
            return None
        _, place, how = max(lives, key=lambda life: life[:2])
        return latest is not posted or place == "dead" or how.get("outcome") == "replaced"

    def _answer(self, posted: PostedDelivery) -> str | None:
        request = flask.Request(
            create_environ(f"/{posted.relay}", method="POST", data=posted.body, headers=posted.headers)
        )
        with contextlib.suppress(BridgeError):
            answer = webhook_receive.receive(request, self.world.instance)
            posted.acknowledged_at = posted.acknowledged_at or self.world.clock.now()
            message: str = answer.get_json()["looker"]["message"]
            return message
        return None

    def _wake(self, hint: str | None = None, here: Instance | None = None) -> None:
        here = here or self.world.instance
        with contextlib.suppress(BridgeError):
            delivering.deliver(here, here.config(), self.names[hint] if hint else None)

    @contextlib.contextmanager
    def _trouble(self, what: list[Trouble], other_clock_off_s: int = 0) -> Iterator[None]:
        other = Instance(ClockOff(self.world.clock, other_clock_off_s), self.world.instance.chance)
        self.stalled = any(each.stalls for each in what)
        for each in what:
            troubles.strike(self.world, each, lambda: self._wake(here=other))
        yield
        self.stalled = False
        self.world.storage_server.heal()
        self.world.pigment_server.heal()

    def _let_imports_end(self) -> None:
        self.world.resume_imports()
        for each in self._imports():
            self.world.pigment.finished(each.id)

    def _settle(self) -> None:
        read_back = self.configurations[self.names["read-back"]]
        for configuration in set(self.configurations.values()):
            if configuration != read_back or self._is_undecided(read_back):
                settle(self.world, configuration)

    def _is_undecided(self, configuration: str) -> bool:
        """Whether a block has only some of the rows of an unknown run, as after a skipped row."""
        stored = self.world.bucket.read_json(paths.lease(configuration), Journal)
        error = stored.value.receipt.error if stored else None
        return error is not None and "By key: " in error.message

    # Invariants

    def see_push(self, configuration: str) -> None:
        """Check that only the owner of the lease pushes, and never during another import of an append."""
        if self.stalled:
            return
        journal = self.world.folder / "state" / "bucket" / paths.lease(configuration)
        step = json.loads(journal.read_bytes())["step"] if journal.exists() else "free"
        under_way = [each.id for each in self._imports(configuration) if each.status == "InProgress"]
        repeatable = configuration == self.configurations[self.names["repeatable"]]
        if step != "pushing" or (under_way and not repeatable):
            self.seen.append(f"a push while the journal says {step} and {len(under_way)} imports are under way")

    @invariant()
    def there_is_one_run_at_a_time(self) -> None:
        assert self.seen == []

    @invariant()
    def a_receipt_that_has_ended_never_changes(self) -> None:
        for name in self.names.values():
            for path in (self.world.folder / "state" / "bucket" / "receipts" / name).glob("*/*.json"):
                content = path.read_bytes()
                assert self.ended.get(path.name, content) == content
                if json.loads(content)["outcome"] not in ("importing", "unknown"):
                    self.ended[path.name] = content

    def teardown(self) -> None:
        self._drain()
        self.a_receipt_that_has_ended_never_changes()
        self._expect_every_acknowledged_delivery_at_its_end()
        for name in self.names.values():
            self._expect_order(name)
        self._expect_only_landed_ones_to_replace()

    def _drain(self) -> None:
        """Remove the faults, advance the clock, call deliver as the schedule does, and settle as a person does."""
        for _ in range(4 + len(self.posted)):
            self._let_imports_end()
            self.world.clock.advance(IMPORTED_WITHIN_S + 1)
            self._wake()
            self._settle()
            if not self._entries("inbox") and not self._open_leases():
                return
        raise AssertionError((self._entries("inbox"), self._open_leases()))

    def _expect_every_acknowledged_delivery_at_its_end(self) -> None:
        entries = collections.defaultdict(list)
        for place in ("delivered", "dead"):
            for entry in self._entries(place):
                relay, number = entry.name.split("/")[1], self._number(entry)
                entries[relay, number].append((place, entry.metadata))
        for posted in self.posted:
            ends = entries[posted.relay, posted.id]
            landings = sum(_has_landed(place, how) for place, how in ends)
            rows = self._landed(posted.relay)[f"{posted.id}/last"]
            first_lives = sum("replay-of" not in how for _, how in ends)
            least = max(posted.lives, int(posted.acknowledged_at is not None))
            assert least <= first_lives <= max(1, posted.most_lives), (posted, ends)
            assert all(how.get("reason") for place, how in ends if place == "dead"), ends
            if posted.relay == self.names["repeatable"]:
                # A repeated push to a repeatable target lands its rows once.
                assert rows <= 1, (posted, ends)
                assert rows == 1 or not landings, (posted, ends)
            else:
                assert rows == landings, (posted, ends, rows)

    def _expect_order(self, relay: str) -> None:
        """Check that a delivery has landed first if it was acknowledged before another was sent."""
        by_id = {f"{each.id}/last": each for each in self.posted if each.relay == relay}
        counts = self._landed(relay)
        order = [by_id[row] for row in counts if row in by_id and counts[row] == 1]
        closed = [*self._entries("delivered"), *self._entries("dead")]
        lives = collections.Counter(self._number(entry) for entry in closed if entry.name.split("/")[1] == relay)
        order = [each for each in order if lives[each.id] == 1]
        for earlier, later in itertools.combinations(order, 2):
            assert later.acknowledged_at is None or later.acknowledged_at >= earlier.first_at, (earlier, later)

    def _expect_only_landed_ones_to_replace(self) -> None:
        closed = [(place, entry) for place in ("delivered", "dead") for entry in self._entries(place)]
        landed = {entry.name.rpartition("/")[2] for place, entry in closed if _has_landed(place, entry.metadata)}
        for _, entry in closed:
            if entry.metadata["outcome"] == "replaced":
                assert entry.metadata["by"] in landed
                assert entry.metadata["by"] > entry.name.rpartition("/")[2]

    # What there is

    def _entries(self, place: str) -> list[ListedObject]:
        return [each for name in self.names.values() for each in inbox.every(self.world.bucket, place, name)]

    def _number(self, entry: ListedObject) -> str:
        data: str = json.loads(self.world.bucket.read(entry.name))["attachment"]["data"]
        return data.splitlines()[1].partition("/")[0]

    def _open_leases(self) -> list[str]:
        leases_of = {paths.lease(each) for each in self.configurations.values()}
        return [path for path in self.world.bucket.names(paths.LEASES) if path in leases_of]

    def _imports(self, configuration: str | None = None) -> list[SandboxImport]:
        mine = {configuration} if configuration else set(self.configurations.values())
        return [each for each in self.world.imports if each.configuration in mine]

    def _receipts(self) -> list[dict[str, Any]]:
        return [receipt for name in self.names.values() for receipt in self.world.receipts(name)]

    def _landed(self, relay: str) -> collections.Counter[str]:
        """Count each row of the list, in the order of arrival."""
        return collections.Counter(row["Id"] for row in self.world.pigment.rows(self.configurations[relay]))


def _has_landed(place: str, how: dict[str, str]) -> bool:
    if place == "dead":
        return how["code"] in ("too_many_skipped", "not_equal")
    return how["outcome"] != "replaced"


def test_no_sequence_loses_a_delivery_or_lands_it_twice(patient: World) -> None:
    prove(lambda: RelayMachine(patient), examples=8, steps=12)


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(20))
def test_no_long_sequence_loses_a_delivery_or_lands_it_twice(patient: World, batch: int) -> None:
    assert batch >= 0
    prove(lambda: RelayMachine(patient), examples=100, steps=30)
