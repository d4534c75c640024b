"""Every call of Looker's API is on the receipt and in the month's count, by what a licence counts."""

import datetime as dt
import functools
import json
import os
import re
import threading
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from common.looker import licence
from common.looker.calls import LookerCalls, kind_of
from common.looker.resources import RESOURCES
from common.platform.clock import Deadline
from common.runs import usage
from common.runs.leases import LIFETIME_S
from local.sandbox.wire import Exchange, Response
from tests.support.jobs import COLUMNS
from tests.support.kills import ProcessCall, Processes, StopPoint
from tests.support.trips import Trip, Trips
from tests.support.world import FIELDS, PULL_RUN, PUSH, World

MONTH = "2026-03"
NEW_YEAR, FIRST = dt.datetime.fromisoformat("2026-01-01"), dt.datetime.fromisoformat("2026-03-01")
ACTIVITIES = {"db_query": "query", "non_query": "administrative", "none": "uncounted"}
"Looker's API description, `x-looker-activity-type`."
PULL = ProcessCall.of_job("pull", "flights")
EXPLORE = {"model": "nyc", "view": "flights", "fields": list(FIELDS)}


def a_look(_: World) -> str:
    return "flights"


def a_saved_query(world: World) -> str:
    world.add_pull("flights", source={"query": world.looker.looks["12"].query.slug}, target={"repeatable": True})
    return "flights"


def an_explore(world: World) -> str:
    world.add_pull("flights", source={"explore": EXPLORE})
    return "flights"


def changes(world: World) -> str:
    world.add_pull("flights", load={"changes": {"key": ["Flights Day", "Flights Carrier", "Flights Origin"]}})
    return "flights"


def windows_of_time(world: World) -> str:
    trips = Trips(world, repeatable=True)
    trips.put([Trip(number, FIRST + dt.timedelta(days=number)) for number in range(60)])
    return trips.name


def windows_of_numbers(world: World) -> str:
    trips = Trips(world, repeatable=True, cursor="trips.id", start=0, window=10_000)
    trips.put([Trip(number, FIRST) for number in range(20)])
    world.run_pull(trips.name)
    trips.put([Trip(number, FIRST) for number in range(40)])
    world.run_pull(trips.name)
    trips.put([Trip(number, FIRST) for number in range(60)])
    return trips.name


def a_list(world: World, resource: str) -> str:
    block = world.pigment.block(world.pigment.application("Planning"), resource)
    columns = RESOURCES[resource].columns
    target = {"configuration": world.pigment.configuration(block, list(columns), unique=list(columns[:1]))}
    world.looker.people.add("Ada", "Lovelace", "ada@example.com")
    world.add_pull(resource, source={"resource": resource}, target=target, guards={"min_rows": 0})
    return resource


def looks(world: World) -> str:
    return a_list(world, "looks")


def users(world: World) -> str:
    return a_list(world, "users")


def crossed(world: World) -> LookerCalls:
    """Count what the sandbox's Looker was asked, by Looker's own description of its API."""
    found = LookerCalls()
    for exchange in world.looker_server.exchanges:
        found = found.plus(LookerCalls(**{activity(exchange.method, exchange.path): 1}))
    return found


def activity(method: str, path: str) -> str:
    folder = os.environ.get("BRIDGE_REFERENCE")
    if not folder:
        pytest.skip("BRIDGE_REFERENCE names no folder with the vendors' API descriptions")
    described = json.loads(Path(folder, "openapi/looker-api-4.0.json").read_bytes())
    for template, operations in sorted(described["paths"].items(), key=lambda item: item[0].count("{")):
        pattern = "/api/4.0" + re.sub(r"\{\w+\}", "[^/]+", template)
        if re.fullmatch(pattern, path) and method.lower() in operations:
            return ACTIVITIES[operations[method.lower()]["x-looker-activity-type"]]
    raise AssertionError(f"{method} {path} is not an operation")


def counted(receipt: dict[str, Any]) -> LookerCalls:
    return LookerCalls(**receipt["calls"])


@pytest.mark.parametrize(
    "prepare", [a_look, a_saved_query, an_explore, changes, windows_of_time, windows_of_numbers, looks, users]
)
def test_a_run_counts_what_looker_was_asked_and_needs_what_is_forecast(world: World, prepare: Any) -> None:
    job = prepare(world)
    pull = world.instance.config().pulls[job]
    if pull.load != "full" and not world.receipts(job):
        # The first run of a load in windows asks for more, once.
        world.run_pull(job)
        world.clock.advance(86_400)
    world.looker_server.exchanges.clear()

    receipt = world.run_pull(job).receipt

    assert receipt["outcome"] in ("landed", "nothing_new"), receipt
    assert counted(receipt) == crossed(world) == licence.calls_of_run(pull)


def test_windows_count_their_own_calls_and_the_month_all_of_them(world: World) -> None:
    trips = Trips(world, repeatable=True)
    trips.put([Trip(number, NEW_YEAR + dt.timedelta(days=number)) for number in range(60)])

    world.run_pull("trips")

    receipts = sorted(world.receipts("trips"), key=lambda each: each["window"])
    assert [receipt["calls"]["query"] for receipt in receipts] == [1, 1, 1]
    total = functools.reduce(LookerCalls.plus, map(counted, receipts))
    # The Look, and once the explore of its cursor.
    assert total == crossed(world) == LookerCalls(query=3, administrative=2, uncounted=2)
    assert usage.of_month(world.bucket, MONTH) == {"trips": total}


def test_calls_that_are_repeated_or_refused_count(world: World) -> None:
    world.looker_server.fault(r"GET /api/4\.0/looks/12", refuse=Response(503), times=2)
    world.looker_server.fault(PULL_RUN, refuse=Response(401))

    receipt = world.run_pull("flights").receipt

    # Three times the Look, twice the query, two logins, and one logout.
    assert counted(receipt) == crossed(world) == LookerCalls(query=2, administrative=3, uncounted=3)


def test_a_run_that_fails_counts_and_one_that_asks_nothing_does_not(world: World) -> None:
    world.looker.client_secret = "another"
    failed = world.run_pull("flights").receipt

    assert counted(failed) == crossed(world) == LookerCalls(uncounted=1)
    assert usage.of_month(world.bucket, MONTH) == {"flights": LookerCalls(uncounted=1)}
    world.add_export("revenue")
    world.answer_exports(b"Id;Amount\n1;2\n")
    assert world.run_export("revenue").receipt["calls"] is None


def test_the_month_adds_up_all_runs_of_each_job(world: World) -> None:
    world.add_pull("others", target={"configuration": world.pigment.configuration(
        world.pigment.block(world.pigment.application("Planning"), "Others"), COLUMNS)})  # fmt: skip
    for job in ("flights", "others", "flights"):
        world.run_pull(job)
    world.run_pull("flights", preview=True)

    of_run = LookerCalls(query=1, administrative=1, uncounted=2)
    assert usage.of_month(world.bucket, MONTH) == {"flights": of_run.times(3), "others": of_run}
    assert crossed(world) == of_run.times(4)
    world.clock.advance(31 * 86_400)
    world.run_pull("flights")
    assert usage.of_month(world.bucket, "2026-04") == {"flights": of_run}


def test_calls_of_a_job_at_the_same_moment_are_all_counted(world: World) -> None:
    # Of each round, one writer wins.
    together, deadline = 4, Deadline.after(world.clock, 60)
    start = threading.Barrier(together)

    def record(number: int) -> None:
        start.wait()
        usage.record(world.instance, "flights", str(number), LookerCalls(query=1), deadline)

    with ThreadPoolExecutor(together) as threads:
        list(threads.map(record, range(together)))

    assert usage.of_month(world.bucket, MONTH) == {"flights": LookerCalls(query=together)}


def test_a_month_that_cannot_be_written_fails_no_run(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.storage_server.fault(r"GET .*usage", refuse=Response(403), times=-1)

    answer = world.run_pull("flights")

    assert (answer.status, answer.receipt["outcome"]) == (200, "landed")
    [line] = [each.msg for each in caplog.records if isinstance(each.msg, dict) and "not counted" in str(each.msg)]
    assert (line["event"], line["code"]) == ("calls not counted", "storage_refused")


def test_the_receipt_of_a_killed_run_has_its_calls(world: World, processes: Processes) -> None:
    assert processes.dies(world, PULL, StopPoint(world.pigment_server, PUSH, 0, "after"))
    before_the_kill = crossed(world)
    world.clock.advance(LIFETIME_S + 1)

    world.run_pull("flights")

    first = next(
        receipt for receipt in world.receipts() if receipt["run"] == min(each["run"] for each in world.receipts())
    )
    # Its logout was announced and did not take place.
    assert counted(first) == before_the_kill.plus(LookerCalls(uncounted=1))


def test_the_month_costs_two_requests_a_run_and_one_for_all_jobs(world: World) -> None:
    world.storage_server.keep_bytes = 4096
    world.run_pull("flights")
    assert usage.of_month(world.bucket, MONTH)

    # A request is noted once it is answered, so the next one shows it.
    world.bucket.exists("anything")
    asked = [exchange for exchange in world.storage_server.exchanges if "usage/2026" in shown(exchange)]
    listed = [exchange for exchange in asked if exchange.query.get("prefix") == ["usage/2026-03/"]]
    assert (len(listed), len(asked) - len(listed)) == (1, 2)


def shown(exchange: Exchange) -> str:
    """Return all of a request, in which the name of an object may be anywhere."""
    return urllib.parse.unquote(f"{exchange.path} {exchange.query} {exchange.body!r}")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/login", "uncounted"),
        ("/queries/slug/abc", "query"),
        ("/queries/run/json_detail", "query"),
        ("/looks/12", "administrative"),
        ("/lookml_models/nyc/explores/flights", "administrative"),
    ],
)
def test_what_a_licence_counts_follows_from_the_path(path: str, kind: str) -> None:
    assert kind_of(path) == kind
