"""With `looker.licence`, bridge.yaml is checked for schedules that need more calls than Looker's licence holds."""

import datetime as dt
import functools
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from common import bridge_yaml
from common.bridge_yaml.cron import count_due, last_due
from common.bridge_yaml.model import CallLimits
from common.looker import licence
from common.looker.calls import LookerCalls
from common.platform.errors import BridgeFileInvalid
from common.runs import usage
from common.storage import paths
from local import checks, deployment
from tests.support.jobs import COLUMNS
from tests.support.trips import Trip, Trips
from tests.support.world import FIELDS, World

NOVEMBER = dt.date(2026, 11, 27)
HOURLY, DAILY = "0 * * * *", "15 6 * * *"
EXPLORE = {"model": "nyc", "view": "flights", "fields": list(FIELDS)}


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def file_with(*schedules: str, looker: dict[str, Any] | None = None, **pull: Any) -> dict[str, Any]:
    """Return a bridge.yaml with a pull of a Look for each schedule."""
    pulls = {
        f"pull-{number}": {"source": {"look": number}, "schedule": schedule, "target": {"configuration": uuid(number)}}
        | pull
        for number, schedule in enumerate(schedules, 1)
    }
    own = {"url": "https://acme.cloud.looker.com", "credentials": "looker-api", **(looker or {})}
    return {"looker": own, "pigment": {"import_key": "pigment-import-key"}, "pulls": pulls}


def faults(raw: dict[str, Any]) -> list[str]:
    return [f"{path}: {problem}" for path, problem, _ in licence.faults(bridge_yaml.decode(raw), NOVEMBER)]


def test_schedules_within_the_licence_are_accepted_and_the_numbers_are_said(tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text(yaml.safe_dump(file_with(HOURLY, DAILY, looker={"licence": "standard"})))

    _, said = checks.findings_offline(file)

    # 31 days: 744 + 31 of each.
    needs = (
        "The schedules need 775 of 1,000 query-based and 775 of 1,000 administrative calls in a month with most runs."
    )
    assert (said.colour, said.subject, said.what) == ("green", "looker.licence", needs)


def test_schedules_beyond_the_licence_are_refused_with_the_arithmetic(tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text(yaml.safe_dump(file_with(HOURLY, HOURLY, DAILY, looker={"licence": "standard"})))

    red = [each for each in checks.findings_offline(file) if each.colour == "red"]
    with pytest.raises(BridgeFileInvalid) as refused:
        deployment.read(file)

    assert [each.subject for each in red] == ["looker.licence", "looker.licence"]
    needed = "need 1,519 in {}: pull-1 744 × 1 = 744, pull-2 744 × 1 = 744, pull-3 31 × 1 = 31"
    query, administrative = refused.value.cause.splitlines()
    assert query.startswith("looker.licence: holds 1,000 query-based calls a month, and the schedules of pulls need")
    assert "1,000 administrative calls" in administrative
    month = query.partition("need 1,519 in ")[2].partition(":")[0]
    assert needed.format(month) in query
    assert red[0].what == f"{query.partition(': ')[2].partition('; write ')[0]}.".replace("holds", "Holds", 1)
    assert "looker.calls_per_month" in red[0].next_step


def test_the_functions_run_with_schedules_beyond_the_licence() -> None:
    raw = file_with(HOURLY, HOURLY, looker={"licence": "standard"})

    assert len(bridge_yaml.decode(raw).pulls) == 2
    assert faults(raw)


@pytest.mark.parametrize(
    ("looker", "kinds"),
    [
        ({}, []),
        ({"licence": "standard"}, ["query-based", "administrative"]),
        ({"licence": "enterprise"}, ["administrative"]),
        ({"licence": "embed"}, []),
        ({"calls_per_month": {"query": 44_640, "administrative": 44_640}}, []),
        ({"calls_per_month": {"query": 44_639, "administrative": 44_640}}, ["query-based"]),
    ],
)
def test_each_edition_holds_its_own_calls(looker: dict[str, Any], kinds: list[str]) -> None:
    # 31 × 1,440 = 44,640 runs.
    found = faults(file_with("* * * * *", looker=looker))

    assert [kind for kind in ("query-based", "administrative") for each in found if kind in each] == kinds


@pytest.mark.parametrize(
    ("job", "of_run"),
    [
        ({"source": {"look": 1}}, LookerCalls(1, 1, 2)),
        ({"source": {"query": "abc"}}, LookerCalls(2, 0, 2)),
        ({"source": {"explore": EXPLORE}}, LookerCalls(1, 0, 2)),
        ({"source": {"resource": "users"}}, LookerCalls(0, 1, 2)),
        ({"source": {"resource": "queries"}}, LookerCalls(1, 1, 2)),
        ({"load": {"incremental": {"cursor": "a.b", "start": 0, "window": 5}}}, LookerCalls(2, 1, 2)),
    ],
)
def test_a_run_needs_what_its_source_and_load_ask(job: dict[str, Any], of_run: LookerCalls) -> None:
    [pull] = bridge_yaml.decode(file_with(DAILY, **job)).pulls.values()

    assert licence.calls_of_run(pull) == of_run


def test_a_load_in_windows_needs_one_query_more_for_each_end_of_a_window() -> None:
    load = {"incremental": {"cursor": "a.b", "start": "2026-01-01", "window": "1 week"}}
    raw = file_with(DAILY, load=load, looker={"calls_per_month": {"query": 35, "administrative": 31}})

    # 31 runs and the ends of 5 weeks.
    [found] = faults(raw)

    assert "pull-1 31 × 1 + 5 = 36" in found


def test_a_month_of_both_ways_to_say_it_is_refused() -> None:
    limits = {"query": 1, "administrative": 1}
    with pytest.raises(BridgeFileInvalid, match="looker: has both licence and calls_per_month; write one of them"):
        bridge_yaml.decode(file_with(DAILY, looker={"licence": "standard", "calls_per_month": limits}))


def test_of_many_jobs_those_that_need_most_are_named() -> None:
    [query, _] = faults(file_with(*[HOURLY] * 7, DAILY, looker={"licence": "standard"}))

    assert query.count("×") == 5
    assert query.endswith(f", 3 more {2 * 744 + 31:,}")


def test_a_month_shows_what_is_used_forecast_and_left() -> None:
    bridge = bridge_yaml.decode(file_with(HOURLY, DAILY, looker={"licence": "standard"}))
    now = dt.datetime(2026, 11, 27, 11, 30, tzinfo=dt.UTC)
    used = LookerCalls(query=660, administrative=1_010, uncounted=2_000)

    month = licence.use_of_month(bridge, used, now)

    # 12 hours of today and 72 of three days; three days.
    assert month
    assert month.coming == LookerCalls(87, 87, 174)
    assert month.forecast == LookerCalls(747, 1_097, 2_174)
    assert month.left == CallLimits(query=340, administrative=0)
    assert month.is_exceeded
    assert not msgspec.structs.replace(month, used=LookerCalls()).is_exceeded
    assert licence.use_of_month(bridge_yaml.decode(file_with(HOURLY)), used, now) is None


def test_a_month_is_told_in_one_sentence() -> None:
    limits = CallLimits(query=1_000, administrative=100)
    month = licence.LicenceUse("2026-11", limits, LookerCalls(query=660, administrative=99), LookerCalls(87, 2, 4))

    assert month.in_words() == (
        "Looker's licence in 2026-11: 660 of 1,000 query-based calls used, 747 by the end of the month, 340 left; "
        "99 of 100 administrative calls used, 101 by the end of the month, 1 left. "
        "That is more than the licence holds."
    )


def test_the_last_moments_of_a_year_belong_to_december() -> None:
    bridge = bridge_yaml.decode(file_with(HOURLY, looker={"licence": "standard"}))

    month = licence.use_of_month(bridge, LookerCalls(), dt.datetime(2026, 12, 31, 22, 59, tzinfo=dt.UTC))

    assert month
    assert month.coming.query == 1


@pytest.mark.long
def test_ten_days_in_the_sandbox_use_what_was_forecast(world: World) -> None:
    other = world.pigment.block(world.pigment.application("Planning"), "Other")
    target = {"configuration": world.pigment.configuration(other, COLUMNS), "repeatable": True}
    world.add_pull("flights", schedule=DAILY, target={"repeatable": True})
    world.add_pull("explored", schedule=DAILY, target=target, source={"explore": EXPLORE})
    trips = Trips(world, repeatable=True, start="2026-02-26", window="1 week")
    first = dt.datetime.fromisoformat("2026-02-26")
    trips.put([Trip(number, first + dt.timedelta(days=number)) for number in range(20)])
    # It lands what is old before the days that count.
    world.run_pull("trips")
    world.raw["pulls"]["trips"]["schedule"] = DAILY
    world.save_jobs()
    world.clock.advance(86_400)
    world.bucket.delete(paths.usage("2026-03", "trips"))
    world.looker_server.exchanges.clear()
    bridge, begin = world.instance.config(), dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
    forecast = list(licence.forecast(bridge, begin, begin + dt.timedelta(days=10)))

    for _ in range(10):
        for job in bridge.pulls:
            world.run_pull(job)
        world.clock.advance(86_400)

    used = usage.of_month(world.bucket, "2026-03")
    total = functools.reduce(LookerCalls.plus, used.values())
    assert total.query + total.administrative + total.uncounted == len(world.looker_server.exchanges)
    # The end of one week is in these days, but there are days with the ends of two.
    assert {job.job: job.calls for job in forecast} == {**used, "trips": used["trips"].plus(LookerCalls(query=1))}
    assert used["trips"] == LookerCalls(query=11, administrative=10, uncounted=20)


@given(
    minutes=st.sets(st.integers(0, 59), min_size=1, max_size=3),
    hours=st.sets(st.integers(0, 23), min_size=1, max_size=3),
    weekdays=st.sets(st.integers(0, 6), min_size=1, max_size=7),
    begin=st.integers(0, 5_000),
    length=st.integers(0, 5_000),
)
@settings(max_examples=60)
def test_due_times_are_counted_as_they_are_found_one_by_one(
    minutes: set[int], hours: set[int], weekdays: set[int], begin: int, length: int
) -> None:
    parts = (",".join(map(str, sorted(part))) for part in (minutes, hours, weekdays))
    text = "{} {} * * {}".format(*parts)
    first = dt.datetime(2026, 3, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=begin)
    last = first + dt.timedelta(minutes=length)

    found, due = 0, last_due(text, "Asia/Tokyo", last - dt.timedelta(minutes=1))
    while due is not None and due >= first:
        found += 1
        due = last_due(text, "Asia/Tokyo", due - dt.timedelta(minutes=1))

    assert count_due(text, "Asia/Tokyo", first, last) == found
