"""An incremental pull loads each row once, window by window along a cursor, in every time zone."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from common.bridge_yaml import Grain
from common.loads.positions import Moment, Number
from common.loads.windows import Window
from common.platform.errors import WindowIgnored
from local.sandbox.wire import Response
from tests.support.trips import HEADER, Trip, Trips, told
from tests.support.world import PULL_RUN, PUSH, World


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def window_of_times(begin: str, end: str, grain: Grain) -> Window:
    return Window(*(Moment(at(text), grain, ZoneInfo("UTC")) for text in (begin, end)))


JANUARY = [Trip(1, at("2026-01-01T00:00:00")), Trip(2, at("2026-01-31T23:59:59"))]
FEBRUARY = [Trip(3, at("2026-02-01T00:00:00")), Trip(4, at("2026-02-28T12:00:00"))]
MARCH = [Trip(5, at("2026-03-01T06:00:00")), Trip(6, at("2026-03-01T06:15:00"))]
"The last row is in the second of the run, in which more rows can appear, so the next run loads it."


def asked(world: World) -> list[dict[str, Any]]:
    """Return the queries for rows that Looker received."""
    return [json.loads(call.body) for call in world.looker_server.exchanges if call.path.endswith("/queries/run/csv")]


def windows(world: World) -> list[str]:
    return [query["filters"]["trips.updated"] for query in asked(world)]


@pytest.mark.parametrize("repeatable", [True, False], ids=["repeatable", "append"])
def test_the_first_run_loads_everything_window_by_window(world: World, repeatable: bool) -> None:
    trips = Trips(world, repeatable=repeatable)
    trips.put([*JANUARY, *FEBRUARY, *MARCH])

    answer = world.run_pull("trips")

    assert (answer.status, answer.receipt["outcome"]) == (200, "landed")
    assert trips.landed() == told([*JANUARY, *FEBRUARY, MARCH[0]])
    assert windows(world) == [
        "2026-01-01 00:00:00 to 2026-02-01 00:00:00",
        "2026-02-01 00:00:00 to 2026-03-01 00:00:00",
        "2026-03-01 00:00:00 to 2026-03-01 06:15:00",
    ]


def test_each_window_has_its_own_receipt_and_the_answer_totals_them(world: World) -> None:
    trips = Trips(world, repeatable=True)
    trips.put([*JANUARY, *FEBRUARY, *MARCH])

    answer = world.run_pull("trips").receipt

    kept = sorted(world.receipts("trips"), key=lambda each: each["window"])
    assert [(each["outcome"], each["rows"]["read"], each["rows"]["inserted"]) for each in kept] == [
        ("landed", 2, 2),
        ("landed", 2, 2),
        ("landed", 1, 1),
    ]
    assert [each["window"] for each in kept] == [window.split(" to ") for window in windows(world)]
    assert [each["cursor"] for each in kept] == [
        {"before": None, "after": "2026-02-01 00:00:00"},
        {"before": "2026-02-01 00:00:00", "after": "2026-03-01 00:00:00"},
        {"before": "2026-03-01 00:00:00", "after": "2026-03-01 06:15:00"},
    ]
    assert all("progress" not in each for each in kept)
    progress = answer["progress"]
    assert (progress["windows"], progress["done"], progress["reached"]) == (3, True, "2026-03-01 06:15:00")
    assert (progress["rows"]["read"], progress["rows"]["inserted"]) == (5, 5)
    assert answer["run"] == kept[-1]["run"]


def test_a_later_run_continues_with_as_few_calls_as_a_full_pull(world: World) -> None:
    trips = Trips(world, repeatable=False)
    trips.put([*JANUARY, *FEBRUARY, *MARCH])
    world.run_pull("trips")
    world.clock.advance(3600)
    world.looker_server.exchanges.clear()

    answer = world.run_pull("trips").receipt

    assert windows(world) == ["2026-03-01 06:15:00 to 2026-03-01 07:15:00"]
    assert trips.landed() == told([*JANUARY, *FEBRUARY, *MARCH])
    assert answer["rows"]["sent"] == 1
    assert [(call.method, call.path) for call in world.looker_server.exchanges] == [
        ("POST", "/api/4.0/login"),
        ("GET", "/api/4.0/looks/trips"),
        ("POST", "/api/4.0/queries/run/csv"),
        ("DELETE", "/api/4.0/logout"),
    ]


def test_nothing_new_is_reported_and_nothing_pushed(world: World) -> None:
    trips = Trips(world, repeatable=False)
    trips.put(JANUARY)
    world.run_pull("trips")
    pushed = len(world.imports)

    at_once = world.run_pull("trips").receipt
    world.clock.advance(60)
    later = world.run_pull("trips").receipt

    assert (at_once["outcome"], later["outcome"]) == ("nothing_new", "nothing_new")
    assert at_once["window"] is None
    assert later["window"] == ["2026-03-01 06:15:00", "2026-03-01 06:16:00"]
    assert len(world.imports) == pushed == 1


def test_a_cursor_outside_the_look_is_requested_and_omitted_from_the_file(world: World) -> None:
    trips = Trips(world, repeatable=True)
    trips.put(JANUARY)

    receipt = world.run_pull("trips", preview=True).receipt

    assert asked(world)[0]["fields"] == ["trips.id", "trips.note", "trips.updated"]
    assert receipt["preview"] == {"header": HEADER, "first_rows": [["1", "-"], ["2", "-"]]}
    assert receipt["warnings"] == []


def test_a_cursor_in_the_look_keeps_its_column(world: World) -> None:
    trips = Trips(world, repeatable=True)
    trips.put(JANUARY)
    world.looker.look("trips", "Trips", "nyc", "trips", ["trips.updated", "trips.id"], sorts=["trips.id"])

    receipt = world.run_pull("trips", preview=True).receipt

    assert asked(world)[0]["fields"] == ["trips.updated", "trips.id"]
    assert receipt["preview"]["header"] == ["Trips Updated", "Trips Id"]
    assert receipt["preview"]["first_rows"][1] == ["2026-01-31 23:59:59", "2"]


def test_a_renamed_cursor_is_sent_under_its_new_name(world: World) -> None:
    trips = Trips(world, repeatable=True)
    trips.put(JANUARY)
    world.raw["pulls"]["trips"]["target"]["columns"] = [{"Trips Updated": "at"}, {"Trips Id": "id"}]
    world.save_jobs()

    receipt = world.run_pull("trips", preview=True).receipt

    assert receipt["preview"]["header"] == ["at", "id"]


def test_the_window_replaces_the_looks_filter_on_the_cursor_only(world: World) -> None:
    trips = Trips(world, repeatable=True)
    kept = Trip(8, at("2026-01-05"), "kept")
    trips.put([*JANUARY, kept])
    filters = {"trips.note": "kept", "trips.updated": "7 days"}
    world.looker.look("trips", "Trips", "nyc", "trips", ["trips.id", "trips.note"], filters=filters)

    world.run_pull("trips")

    assert trips.landed() == told([kept])


def test_the_overlap_loads_late_rows(world: World) -> None:
    trips = Trips(world, repeatable=True, overlap="2 hours")
    trips.put(MARCH[:1])
    world.run_pull("trips")
    world.clock.advance(1800)
    late = Trip(7, at("2026-03-01T04:15:00"))
    too_late = Trip(8, at("2026-03-01T04:14:59"))
    trips.put([MARCH[0], late, too_late])

    answer = world.run_pull("trips").receipt

    assert answer["window"] == ["2026-03-01 04:15:00", "2026-03-01 06:45:00"]
    assert trips.landed() == told([MARCH[0], late])


def test_a_delay_excludes_the_newest_rows(world: World) -> None:
    trips = Trips(world, repeatable=False, delay="15 minutes")
    trips.put([Trip(1, at("2026-03-01T05:59:59")), Trip(2, at("2026-03-01T06:00:00"))])
    world.run_pull("trips")
    assert trips.landed() == Counter({(1, "-"): 1})
    world.clock.advance(15 * 60)

    world.run_pull("trips")

    assert trips.landed() == told([Trip(1, at("2026-03-01")), Trip(2, at("2026-03-01"))])


def test_rows_written_during_a_call_are_loaded_by_the_next_call(world: World) -> None:
    """An overlap is subtracted from the start of the call, because rows can appear late during the call."""
    trips = Trips(world, repeatable=True, overlap="1 minute")
    trips.put([*JANUARY, *FEBRUARY, *MARCH])
    world.looker_server.fault(PULL_RUN, times=2, act=lambda: world.clock.advance(100))

    answer = world.run_pull("trips").receipt

    assert answer["cursor"]["after"] == "2026-03-01 06:15:00"
    assert trips.landed() == told([*JANUARY, *FEBRUARY, MARCH[0]])


def test_a_cursor_can_be_a_number(world: World) -> None:
    trips = Trips(world, repeatable=False, cursor="trips.id", start=0, window=3)
    trips.put([Trip(number, at("2026-01-01")) for number in (1, 2, 3, 4, 9, 10)])

    answer = world.run_pull("trips").receipt
    trips.put([Trip(number, at("2026-01-01")) for number in (1, 2, 3, 4, 9, 10, 11)])
    again = world.run_pull("trips").receipt

    assert trips.landed() == told(Trip(number, at("2026-01-01")) for number in (1, 2, 3, 4, 9, 10, 11))
    assert [query["filters"]["trips.id"] for query in asked(world)] == [
        "[0,3)",
        "[3,6)",
        "[6,9)",
        "[6,11)",
        "[11,12)",
    ]
    assert (answer["cursor"]["after"], again["cursor"]["after"]) == ("11", "12")
    assert world.run_pull("trips").receipt["outcome"] == "nothing_new"


def test_empty_windows_are_read_as_one(world: World) -> None:
    trips = Trips(world, repeatable=False, start="2025-01-01")
    trips.put(JANUARY)

    answer = world.run_pull("trips").receipt

    receipts = sorted(world.receipts("trips"), key=lambda each: each["window"])
    assert [(each["outcome"], each["window"]) for each in receipts] == [
        ("landed", ["2025-01-01 00:00:00", "2026-02-01 00:00:00"]),
        ("nothing_new", ["2026-02-01 00:00:00", "2026-03-01 06:15:00"]),
    ]
    assert answer["cursor"]["after"] == "2026-03-01 06:15:00"
    assert trips.landed() == told(JANUARY)
    assert len(world.objects("staged/")) == 2


def test_a_day_is_read_after_its_end(world: World) -> None:
    trips = Trips(world, repeatable=False, cursor="trips.day")
    trips.put([*FEBRUARY, *MARCH])

    first = world.run_pull("trips").receipt
    world.clock.advance(86_400)
    second = world.run_pull("trips").receipt

    assert first["cursor"]["after"] == "2026-03-01"
    assert second["window"] == ["2026-03-01", "2026-03-02"]
    assert trips.landed() == told([*FEBRUARY, *MARCH])


def test_windows_beyond_the_budget_are_left_to_the_next_call(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    trips = Trips(world, repeatable=False, window="1 week")
    weekly = [Trip(number, at("2026-01-01") + timedelta(weeks=number)) for number in range(8)]
    trips.put(weekly)
    monkeypatch.setenv("BRIDGE_DEADLINE_S", "100")
    # Looker takes half a minute for each window.
    world.looker_server.fault(PULL_RUN, times=-1, act=lambda: world.clock.advance(30))

    answers = [world.run_pull("trips").receipt]
    while not answers[-1]["progress"]["done"]:
        answers.append(world.run_pull("trips").receipt)

    assert [answer["progress"]["windows"] for answer in answers] == [1] * 9
    assert trips.landed() == told(weekly)


def test_a_failed_window_stops_the_load_and_is_retried_by_the_next_call(world: World) -> None:
    trips = Trips(world, repeatable=False)
    trips.put([*JANUARY, *FEBRUARY, *MARCH])
    broken = Response(200, b"Trips Id,Trips Note,Trips Updated\n1,", {"Content-Type": "text/csv"})
    world.looker_server.fault(PULL_RUN, after=1, refuse=broken)

    failed = world.run_pull("trips")
    landed = trips.landed()
    again = world.run_pull("trips")

    assert (failed.status, failed.code) == (502, "stream_cut")
    assert failed.receipt["progress"]["reached"] == "2026-02-01 00:00:00"
    assert landed == told(JANUARY)
    assert again.receipt["progress"]["windows"] == 2
    assert trips.landed() == told([*JANUARY, *FEBRUARY, MARCH[0]])


def test_an_unfinished_import_ends_the_call_and_is_settled_by_the_next(world: World) -> None:
    trips = Trips(world, repeatable=False)
    trips.put([*JANUARY, *FEBRUARY])
    world.pause_imports()

    first = world.run_pull("trips")
    world.resume_imports()
    second = world.run_pull("trips")

    assert (first.status, first.receipt["outcome"]) == (202, "importing")
    assert second.status == 200
    assert trips.landed() == told([*JANUARY, *FEBRUARY])


def test_an_unconfirmed_push_leaves_the_cursor_until_it_is_settled(world: World) -> None:
    trips = Trips(world, repeatable=False)
    trips.put([*JANUARY, *FEBRUARY])
    world.pigment_server.fault(PUSH, after=1, reset_after=True)

    answer = world.run_pull("trips")

    assert (answer.status, answer.code) == (500, "landing_unknown")
    assert answer.receipt["window"] == ["2026-02-01 00:00:00", "2026-03-01 00:00:00"]
    assert world.run_pull("trips").code == "landing_unknown"


def test_a_repeated_schedule_event_duplicates_nothing(world: World) -> None:
    trips = Trips(world, repeatable=False)
    trips.put([*JANUARY, *FEBRUARY])
    event = {"X-CloudScheduler-ScheduleTime": "2026-03-01T06:15:00Z"}

    world.run_pull("trips", headers=event)
    again = world.run_pull("trips", headers=event)

    assert again.receipt["outcome"] == "nothing_new"
    assert trips.landed() == told([*JANUARY, *FEBRUARY])


def test_a_filter_that_looker_ignores_is_detected_before_the_push(world: World) -> None:
    Trips(world, repeatable=False)
    content = b"Trips Id,Trips Note,Trips Updated\n1,-,2025-12-31 23:59:59\n"
    world.looker_server.fault(PULL_RUN, refuse=Response(200, content, {"Content-Type": "text/csv"}))

    answer = world.run_pull("trips")

    assert (answer.status, answer.code) == (422, "window_ignored")
    assert "23:59:59" not in str(answer.body)
    assert world.imports == []


@pytest.mark.parametrize(
    ("window", "good", "bad"),
    [
        (
            window_of_times("2026-01-01", "2026-02-01", "second"),
            ["2026-01-01 00:00:00", "2026-01-31 23:59:59", "2026-01-31T23:59:59.999Z"],
            ["2025-12-31 23:59:59", "2026-02-01 00:00:00", "", "soon", "2026-01-32x"],
        ),
        (
            window_of_times("2026-01-01", "2026-02-01", "second"),
            ["2026-01-01T00:00:00.000+00:00", "2026-01-31 23:59:59+00:00", "2026-01-31 23:59:59 +0000"],
            ["2026-01-31 23:59:59+05:00", "2026-02-01 00:00:00+00:00", "2026-01-31 23:59:59-00:01"],
        ),
        (
            window_of_times("2026-01-01", "2026-01-02", "day"),
            ["2026-01-01"],
            ["2025-12-31", "2026-01-02", "1", "2026-1-1"],
        ),
        (
            window_of_times("2026-01-01T05:00", "2026-01-01T07:00", "hour"),
            ["2026-01-01 05", "2026-01-01 06"],
            ["2026-01-01 04", "2026-01-01 07"],
        ),
        (
            window_of_times("2026-01-01T05:00", "2026-01-01T05:02", "minute"),
            ["2026-01-01 05:00", "2026-01-01 05:01"],
            ["2026-01-01 04:59", "2026-01-01 05:02"],
        ),
        (
            Window(Number(9), Number(100)),
            ["9", "10", "99", "9.5", "99.9"],
            ["8", "100", "100.0", "8.9", "", "x", "NaN"],
        ),
    ],
)
def test_a_window_includes_its_start_and_excludes_its_end(window: Window, good: list[str], bad: list[str]) -> None:
    window.expect(good)
    for value in bad:
        with pytest.raises(WindowIgnored):
            window.expect([good[0], value])


@pytest.mark.parametrize(
    ("load", "words"),
    [
        ({"cursor": "trips.note"}, "has the type string"),
        ({"cursor": "trips.count"}, "There is no dimension trips.count"),
        ({"cursor": "trips.updatd"}, "no dimension trips.updatd"),
        ({"cursor": "trips.id"}, "has the type number; `start` has another type"),
        ({"start": 5, "window": 10}, "has the type date_time; `start` has another type"),
        ({"cursor": "trips.day", "window": "6 hours"}, "shorter than the day"),
    ],
)
def test_a_cursor_that_cannot_be_read_in_windows_is_refused(world: World, load: dict[str, Any], words: str) -> None:
    Trips(world, repeatable=True, **load)

    answer = world.run_pull("trips")

    assert (answer.status, answer.code) == (422, "cursor_unfit")
    assert words in answer.error["message"]
    assert world.imports == []


def test_sums_beside_a_hidden_cursor_are_refused(world: World) -> None:
    Trips(world, repeatable=True)
    world.looker.look("trips", "Trips", "nyc", "trips", ["trips.note", "trips.count"])

    answer = world.run_pull("trips")

    assert answer.code == "cursor_unfit"
    assert "measures (trips.count)" in answer.error["message"]


def test_a_header_renamed_in_looker_is_read_again(world: World) -> None:
    trips = Trips(world, repeatable=True)
    trips.put(JANUARY)
    world.run_pull("trips")
    explore = world.looker.explores["nyc", "trips"]
    trips.put([*JANUARY, *FEBRUARY, *MARCH])
    explore = world.looker.explores["nyc", "trips"]
    explore.dimension("updated", '"updated"', label="Trips Last Written")
    world.clock.advance(60)

    answer = world.run_pull("trips")

    assert answer.status == 200
    assert trips.landed() == told([*JANUARY, MARCH[1]])
    assert len([call for call in world.looker_server.exchanges if "lookml_models" in call.path]) == 2


def test_another_cursor_starts_again_for_a_repeatable_target(world: World) -> None:
    trips = Trips(world, repeatable=True)
    trips.put(JANUARY)
    world.run_pull("trips")
    trips.change(cursor="trips.day")

    answer = world.run_pull("trips").receipt

    assert answer["progress"]["windows"] == 2
    assert trips.landed() == told(JANUARY)
    assert "begins again from its start" in str(world.receipts("trips"))


@pytest.mark.parametrize("change", [{"cursor": "trips.day"}, {"query_timezone": "Asia/Tokyo"}])
def test_another_cursor_is_refused_for_an_append(world: World, change: dict[str, Any]) -> None:
    trips = Trips(world, repeatable=False)
    trips.put(JANUARY)
    world.run_pull("trips")
    trips.change(repeatable=False, **{"cursor": "trips.updated", **change})

    answer = world.run_pull("trips")

    assert answer.code == "cursor_unfit"
    assert "make a new job" in answer.error["next_step"]
    assert trips.landed() == told(JANUARY)


@pytest.mark.parametrize("load", ["full", {"changes": {"key": ["Trips Id"]}}], ids=["full", "changes"])
def test_an_append_that_was_not_incremental_is_refused(world: World, load: Any) -> None:
    trips = Trips(world, repeatable=False)
    trips.put(JANUARY)
    world.raw["pulls"]["trips"]["load"] = load
    world.save_jobs()
    assert world.run_pull("trips").receipt["outcome"] == "landed"
    trips.change(repeatable=False, cursor="trips.updated")
    world.clock.advance(60)

    answer = world.run_pull("trips")

    assert answer.code == "cursor_unfit"
    assert "has landed rows, and the load was not incremental until now" in answer.error["message"]
    assert trips.landed() == told(JANUARY)


def test_a_repeatable_target_that_was_not_incremental_starts_from_its_start(world: World) -> None:
    trips = Trips(world, repeatable=True)
    trips.put(JANUARY)
    world.raw["pulls"]["trips"]["load"] = "full"
    world.save_jobs()
    world.run_pull("trips")
    trips.change(cursor="trips.updated")
    world.clock.advance(60)

    answer = world.run_pull("trips")

    assert answer.receipt["outcome"] in ("landed", "nothing_new")
    assert "begins again from its start: the load was not incremental until now." in str(world.receipts("trips"))
    assert trips.landed() == told(JANUARY)


def put_days_of_zone(trips: Trips, rows: list[Trip], zone: str) -> None:
    """Give Looker the rows with a date of a time, which is a day in the time zone of the query."""
    trips.put(rows)
    types = {"id": "BIGINT", "updated": "TIMESTAMP", "day": "DATE", "note": "VARCHAR"}
    file = trips.world.folder / "trips.csv"
    explore = trips.world.looker.explore("nyc", "trips", file, types=types, label="Trips")
    explore.dimension("updated_date", f"timezone('{zone}', timezone('UTC', updated))::DATE")


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("repeatable", [True, False])
def test_a_date_means_other_rows_in_another_time_zone(world: World, zone: str, *, repeatable: bool) -> None:
    job: dict[str, Any] = {"start": "2026-02-20", "window": "1 week"}
    rows = [Trip(number, datetime(2026, 2, 27) + timedelta(hours=3 * number)) for number in range(40)]  # noqa: DTZ001
    earlier = rows[:18]
    trips = Trips(world, repeatable=repeatable, cursor="trips.day", **job)
    put_days_of_zone(trips, earlier, "UTC")
    trips.change(repeatable=repeatable, cursor="trips.updated_date", **job)
    assert world.run_pull("trips").status == 200
    landed = trips.landed()

    trips.change(repeatable=repeatable, cursor="trips.updated_date", query_timezone=zone, **job)
    put_days_of_zone(trips, rows, zone)
    world.clock.advance(4 * 86400)
    answer = world.run_pull("trips")

    if repeatable:
        assert trips.landed() == told(rows)
    else:
        assert answer.code == "cursor_unfit"
        assert "its time zone was UTC" in answer.error["message"]
        assert trips.landed() == landed


@pytest.mark.parametrize(
    ("repeatable", "way"), [(True, "run `bridge backfill trips --from …`"), (False, "add a job of another name")]
)
def test_another_configuration_gets_a_warning_about_missing_rows(world: World, way: str, *, repeatable: bool) -> None:
    trips = Trips(world, repeatable=repeatable)
    trips.put([*JANUARY, *FEBRUARY, *MARCH])
    world.run_pull("trips")
    world.clock.advance(60)
    elsewhere = Trips(world, repeatable=repeatable, name="elsewhere", cursor="elsewhere.updated")
    world.raw["pulls"]["trips"]["target"]["configuration"] = elsewhere.configuration
    world.save_jobs()

    world.run_pull("trips")

    (warning,) = next(each["warnings"] for each in world.receipts("trips") if each["warnings"])
    assert "Rows before 2026-03-01 06:15:00 landed through another configuration" in warning
    assert warning.endswith(f"They are not sent again: {way} for that.")


def test_another_time_zone_continues_from_the_same_moment(world: World) -> None:
    trips = Trips(world, repeatable=True)
    trips.put([*JANUARY, *FEBRUARY, *MARCH])
    world.run_pull("trips")
    world.clock.advance(60)
    trips.change(cursor="trips.updated", query_timezone="Asia/Tokyo")

    answer = world.run_pull("trips").receipt

    assert answer["window"] == ["2026-03-01 15:15:00", "2026-03-01 15:16:00"]
    assert trips.landed() == told([*JANUARY, *FEBRUARY, *MARCH])


class TestDaylightSaving:
    """Europe/Paris: 2026-03-29 has 23 hours, 2025-10-26 has 25."""

    @pytest.mark.parametrize("begins", ["2026-03-28T20:00:00", "2025-10-25T20:00:00"], ids=["23 hours", "25 hours"])
    @pytest.mark.parametrize(
        ("window", "every_s"), [("1 hour", 5 * 3600), pytest.param("7 hours", 2000, marks=pytest.mark.slow)]
    )
    def test_no_row_is_lost_or_duplicated(self, world: World, begins: str, window: str, every_s: int) -> None:
        begin = at(begins)
        trips = Trips(world, repeatable=False, query_timezone="Europe/Paris", start=begins, window=window)
        rows = [Trip(number, begin + timedelta(minutes=20 * number)) for number in range(24)]
        move_clock_to(world, begin)
        while world.clock.now().replace(tzinfo=None) < rows[-1].updated + timedelta(hours=3):
            # A row appears in Looker in the second of its time.
            trips.put([row for row in rows if row.updated.replace(tzinfo=UTC) <= world.clock.now()])
            assert world.run_pull("trips").status == 200
            world.clock.advance(every_s)
        world.run_pull("trips")

        assert trips.landed() == told(rows)

    def test_no_window_ends_at_a_skipped_or_repeated_time(self, world: World) -> None:
        trips = Trips(world, repeatable=False, query_timezone="Europe/Paris", start="2025-10-26 00:30", window="1 hour")
        trips.put([Trip(1, at("2025-10-25T23:00:00")), Trip(2, at("2025-10-26T01:15:00"))])

        world.run_pull("trips", to="2025-10-26 04:30")

        assert windows(world) == [
            "2025-10-26 00:30:00 to 2025-10-26 01:30:00",
            "2025-10-26 01:30:00 to 2025-10-26 03:30:00",
            "2025-10-26 03:30:00 to 2025-10-26 04:30:00",
        ]

    def test_an_overlap_counts_elapsed_hours(self, world: World) -> None:
        trips = Trips(world, repeatable=True, query_timezone="Europe/Paris", start="2026-03-28", overlap="2 hours")
        move_clock_to(world, at("2026-03-29T01:30:00"))
        trips.put(JANUARY)
        world.run_pull("trips")

        world.run_pull("trips")

        # 03:30 in summer is two hours after 00:30 in winter.
        assert windows(world)[-1] == "2026-03-29 00:30:00 to 2026-03-29 03:30:00"


class TestLoadingARangeAgain:
    """`from` and `to` load a range again without moving the cursor."""

    def test_a_range_is_loaded_by_window_without_moving_the_cursor(self, world: World) -> None:
        trips = Trips(world, repeatable=True)
        trips.put([*JANUARY, *FEBRUARY, *MARCH])
        world.run_pull("trips")
        mended = [Trip(trip.id, trip.updated, "mended") for trip in JANUARY]
        trips.put([*mended, *FEBRUARY, *MARCH])

        answer = world.run_pull("trips", from_="2026-01-01", to="2026-02-15").receipt

        assert trips.landed() == told([*mended, *FEBRUARY, MARCH[0]])
        assert answer["progress"]["windows"] == 2
        assert answer["cursor"] == {"before": "2026-03-01 06:15:00", "after": "2026-03-01 06:15:00"}
        assert windows(world)[3:] == [
            "2026-01-01 00:00:00 to 2026-02-01 00:00:00",
            "2026-02-01 00:00:00 to 2026-02-15 00:00:00",
        ]

    def test_a_stopped_range_is_continued(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        trips = Trips(world, repeatable=True)
        trips.put([*JANUARY, *FEBRUARY, *MARCH])
        world.run_pull("trips")
        monkeypatch.setenv("BRIDGE_DEADLINE_S", "40")
        world.looker_server.fault(PULL_RUN, times=-1, act=lambda: world.clock.advance(10))

        answers = [world.run_pull("trips", from_="2026-01-01").receipt for _ in range(3)]

        assert [answer["window"][0] for answer in answers] == [
            "2026-01-01 00:00:00",
            "2026-02-01 00:00:00",
            "2026-03-01 00:00:00",
        ]
        assert [answer["progress"]["done"] for answer in answers] == [False, False, True]
        again = world.run_pull("trips", from_="2026-01-01").receipt
        assert again["window"][0] == "2026-01-01 00:00:00"

    def test_a_range_is_refused_for_an_append(self, world: World) -> None:
        trips = Trips(world, repeatable=False)
        trips.put(JANUARY)
        world.run_pull("trips")

        answer = world.run_pull("trips", from_="2026-01-01")

        assert (answer.status, answer.code) == (400, "malformed_request")
        assert trips.landed() == told(JANUARY)

    def test_a_range_is_refused_for_other_loads(self, world: World) -> None:
        answer = world.run_pull("flights", from_="2026-01-01")

        assert (answer.status, answer.code) == (400, "malformed_request")

    @pytest.mark.parametrize(
        "requested", [{"from_": "soon"}, {"to": "2026-01-01T00:00+01:00"}, {"from_": 5}, {"to": 5}]
    )
    def test_a_range_begins_and_ends_at_values_of_the_cursor(self, world: World, requested: dict[str, Any]) -> None:
        Trips(world, repeatable=True)

        answer = world.run_pull("trips", **requested)

        assert (answer.status, answer.code) == (400, "malformed_request")

    def test_to_alone_sets_the_end(self, world: World) -> None:
        trips = Trips(world, repeatable=False)
        trips.put([*JANUARY, *FEBRUARY])

        world.run_pull("trips", to="2026-02-01")

        assert trips.landed() == told(JANUARY)


def test_missing_dates_are_not_filled_in(world: World) -> None:
    """A filled date of a window is no row of the data, and would be the greatest cursor."""
    trips = Trips(world, repeatable=True)
    trips.put(JANUARY)
    fields = {"fields": ["trips.id", "trips.note"], "sorts": ["trips.id"]}
    world.looker.look("trips", "Trips", "nyc", "trips", **fields, fill_fields=["trips.day"])

    world.run_pull("trips")

    assert [query.get("fill_fields") for query in asked(world)] == [None] * len(asked(world))
    warnings = [warning for receipt in world.receipts("trips") for warning in receipt["warnings"]]
    assert [words for words in warnings if "Missing values of trips.day are not filled in" in words]


def test_missing_numbers_are_not_filled_in_when_the_greatest_is_asked_for(world: World) -> None:
    trips = Trips(world, repeatable=True, cursor="trips.id", start=0, window=1000)
    trips.put(JANUARY)
    fields = {"fields": ["trips.id", "trips.note"], "sorts": ["trips.id"]}
    world.looker.look("trips", "Trips", "nyc", "trips", **fields, fill_fields=["trips.id"])

    assert world.run_pull("trips").receipt["outcome"] == "landed"
    bodies = [call.body for call in world.looker_server.exchanges if "/queries/run/" in call.path]
    assert len(bodies) >= 2
    assert all(b"fill_fields" not in body for body in bodies)


def test_a_preview_shows_the_next_window_and_keeps_the_cursor(world: World) -> None:
    trips = Trips(world, repeatable=False)
    trips.put([*JANUARY, *FEBRUARY])

    answer = world.run_pull("trips", preview=True).receipt

    assert (answer["outcome"], answer["rows"]["read"]) == ("previewed", 2)
    assert answer["window"] == ["2026-01-01 00:00:00", "2026-02-01 00:00:00"]
    assert world.imports == []
    assert world.objects("staged/") == world.objects("cursors/") == []


def test_a_relay_that_starts_the_pull_waits_for_every_window(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    trips = Trips(world, repeatable=False)
    trips.put([*JANUARY, *FEBRUARY, *MARCH])
    world.add_relay("trips-ready", start="trips")
    monkeypatch.setenv("BRIDGE_DEADLINE_S", "60")
    world.looker_server.fault(PULL_RUN, times=-1, act=lambda: world.clock.advance(20))
    world.post_delivery("trips-ready", b'{"attachment": null, "scheduled_plan": {"scheduled_plan_id": 1}}')

    answers = [world.run_deliver() for _ in range(3)]

    assert [(answer.status, answer.body.get("waiting")) for answer in answers] == [(503, 1), (503, 1), (200, 0)]
    assert "landed all its windows" in answers[0].error["message"]
    assert trips.landed() == told([*JANUARY, *FEBRUARY, *MARCH])


def move_clock_to(world: World, moment: datetime) -> None:
    world.clock.advance((moment.replace(tzinfo=UTC) - world.clock.now()).total_seconds())
