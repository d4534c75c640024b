"""Sources, filters, columns, delimiters and targets: the queries for Looker and the files for Pigment."""

import csv
import json

from tests.support.world import (
    CONFIGURATION,
    FIELDS,
    HEADER,
    PULL_RUN,
    ROWS,
    World,
)


def posted(world: World) -> dict[str, object]:
    """Return the query that Looker received."""
    body = next(each.body for each in world.looker_server.exchanges if each.path.endswith("/queries/run/csv"))
    query: dict[str, object] = json.loads(body)
    return query


def received(world: World) -> str:
    return world.pigment.received(world.imports[-1].id).read_text()


def test_filters_are_merged_over_the_filters_of_the_look(world: World) -> None:
    world.put_flights(ROWS, filters={"flights.carrier": "UA", "flights.day": "2013-01-01"}, query_timezone="Asia/Tokyo")
    world.add_pull("flights", source={"look": "12", "filters": {"flights.day": "2013-01-03"}})

    assert world.run_pull("flights").body["rows"]["sent"] == 1
    assert posted(world)["filters"] == {"flights.carrier": "UA", "flights.day": "2013-01-03"}
    assert posted(world)["query_timezone"] == "Asia/Tokyo"


def test_the_query_keeps_its_row_settings_and_requests_all_rows(world: World) -> None:
    world.put_flights(ROWS, limit="3", sorts=["flights.delay desc"], query_timezone="UTC")

    assert world.run_pull("flights").body["rows"]["sent"] == len(ROWS)
    query = posted(world)
    assert query["sorts"] == ["flights.delay desc"]
    assert query["limit"] == "-1"
    assert query["filter_config"] is None
    exchange = next(each for each in world.looker_server.exchanges if each.path.endswith("/queries/run/csv"))
    assert exchange.query["limit"] == ["-1"]
    assert exchange.query["apply_formatting"] == ["false"]


def test_totals_are_omitted_with_a_warning(world: World) -> None:
    world.put_flights(ROWS, total=True)

    answer = world.run_pull("flights")

    assert answer.body["rows"]["sent"] == len(ROWS)
    assert "totals" in "".join(answer.body["warnings"])


def test_a_query_is_found_by_its_slug(world: World) -> None:
    slug = world.looker.looks["12"].query.slug
    world.add_pull("flights", source={"query": slug})

    assert world.run_pull("flights").body["rows"]["sent"] == len(ROWS)


def test_an_explore_is_queried_as_in_bridge_yaml(world: World) -> None:
    explore = {
        "model": "nyc",
        "view": "flights",
        "fields": list(FIELDS),
        "filters": {"flights.carrier": "UA"},
        "sorts": ["flights.day desc"],
    }
    world.add_pull("flights", source={"explore": explore, "query_timezone": "UTC"})

    assert world.run_pull("flights").body["rows"]["sent"] == 2
    assert received(world).splitlines()[1].startswith("2013-01-03")


def test_columns_are_renamed_chosen_and_ordered(world: World) -> None:
    block = world.pigment.block(world.pigment.application("Planning"), "Short")
    short = world.pigment.configuration(block, ["origin", "day"])
    columns = [{"Flights Origin": "origin"}, {"Flights Day": "day"}]
    world.add_pull("flights", target={"configuration": short, "columns": columns})

    answer = world.run_pull("flights")

    assert answer.body["outcome"] == "landed"
    assert "Flights Carrier, Flights Delay" in "".join(answer.body["warnings"])
    records = list(csv.reader(received(world).splitlines(keepends=True)))
    assert records[0] == ["origin", "day"]
    assert sorted(records[1:]) == sorted([row[2], row[0]] for row in ROWS)


def test_the_target_can_use_a_semicolon_as_delimiter(world: World) -> None:
    block = world.pigment.block(world.pigment.application("Planning"), "Semicolons")
    configuration = world.pigment.configuration(block, HEADER, delimiter=";")
    world.put_flights([*ROWS, ["2013-01-04", "semi;colon", "EWR", "1"]])
    world.add_pull("flights", target={"configuration": configuration, "delimiter": ";"})

    assert world.run_pull("flights").body["outcome"] == "landed"
    assert received(world).startswith("Flights Day;Flights Carrier;")
    carriers = {row["Flights Carrier"] for row in world.pigment.rows(configuration)}
    assert "semi;colon" in carriers


def test_quoted_newlines_and_quotes_are_preserved(world: World) -> None:
    world.run_pull("flights")

    assert sorted(world.landed_rows()) == sorted(ROWS)


def test_via_storage_writes_a_dated_file_and_triggers_the_import(world: World) -> None:
    world.storage.create_bucket("landing-zone")
    folder = world.folder / "state" / "landing-zone" / "flights"
    block = world.pigment.block(world.pigment.application("Planning"), "Connector")
    configuration = world.pigment.configuration(block, HEADER, source=lambda: max(folder.iterdir()))
    target = {
        "configuration": configuration,
        "via": "storage",
        "bucket": "landing-zone",
        "path": "flights/flights-{date}.csv",
    }
    world.add_pull("flights", target=target)

    answer = world.run_pull("flights")

    assert answer.body["outcome"] == "landed", answer.body
    assert answer.body["rows"]["inserted"] == len(ROWS)
    assert [path.name for path in folder.iterdir()] == ["flights-2026-03-01.csv"]
    assert not any(each.path.endswith("/push/csv") for each in world.pigment_server.exchanges)


def test_a_preview_shows_what_would_be_sent_and_sends_nothing(world: World) -> None:
    answer = world.run_pull("flights", preview=True)

    assert (answer.status, answer.body["outcome"]) == (200, "previewed")
    assert answer.body["rows"] | {} == {**dict.fromkeys(answer.body["rows"]), "read": len(ROWS)}
    assert answer.body["preview"]["header"] == HEADER
    assert sorted(answer.body["preview"]["first_rows"]) == sorted(ROWS)
    assert world.pigment_server.exchanges == []
    assert world.objects("staged/") == world.objects("leases/") == []
    assert "preview" not in world.receipts()[0]


def test_the_guards_also_refuse_a_preview(world: World) -> None:
    world.add_pull("flights", guards={"min_rows": 100})

    answer = world.run_pull("flights", preview=True)

    assert (answer.status, answer.code) == (422, "too_few_rows")


def test_an_allowed_empty_result_is_nothing_new_and_not_pushed(world: World) -> None:
    world.put_flights([])
    world.add_pull("flights", guards={"min_rows": 0})

    answer = world.run_pull("flights")

    assert (answer.status, answer.body["outcome"]) == (200, "nothing_new")
    assert world.imports == []


def test_a_row_count_equal_to_a_cap_can_be_accepted(world: World) -> None:
    world.put_flights([["2013-01-01", "UA", "EWR", str(n)] for n in range(500)])
    world.add_pull("flights", guards={"accept_cap": True})

    assert world.run_pull("flights").body["outcome"] == "landed"


def test_a_decrease_within_the_guard_lands(world: World) -> None:
    world.add_pull("flights", guards={"max_shrink": "50%"})
    world.run_pull("flights")
    world.put_flights(ROWS[:3])

    assert world.run_pull("flights").body["outcome"] == "landed"


def test_a_refused_run_is_not_the_baseline_of_the_next(world: World) -> None:
    world.add_pull("flights", guards={"max_shrink": "50%"})
    world.run_pull("flights")
    world.put_flights(ROWS[:1])
    assert world.run_pull("flights").code == "shrunk"
    assert world.run_pull("flights").code == "shrunk"


def test_a_changed_header_without_a_contract_is_a_warning(world: World) -> None:
    world.run_pull("flights")
    block = world.pigment.block(world.pigment.application("Planning"), "Learning")
    world.looker.look(12, "Flights", "nyc", "flights", FIELDS[:3])
    world.add_pull("flights", target={"configuration": world.pigment.configuration(block, learn=True)})

    answer = world.run_pull("flights")

    assert answer.body["outcome"] == "landed"
    assert "The header changed" in "".join(answer.body["warnings"])


def test_a_slow_looker_is_reported_as_out_of_time(world: World) -> None:
    world.put_flights([["2013-01-01", "UA", "EWR", str(n)] for n in range(60_000)])
    world.looker_server.fault(PULL_RUN, act=lambda: world.clock.advance(3600))

    answer = world.run_pull("flights")

    assert (answer.status, answer.code) == (503, "out_of_time")
    assert world.imports == []
    assert CONFIGURATION in answer.receipt["configuration"]
