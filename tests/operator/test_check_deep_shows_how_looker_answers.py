"""`bridge check --deep LOOK` runs a Look with five rows, and says what Looker does where its documents are silent."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from local.sandbox.wire import Response
from tests.support.command_line import run
from tests.support.served import write_files
from tests.support.world import PULL_RUN, World

RUN = "/api/4.0/queries/run/csv"
ROWS = [["2013-01-01", carrier, origin, "7"] for carrier in ("UA", "AA", "DL") for origin in ("EWR", "JFK", "LGA")]
CELLS = {"UA", "EWR", "JFK", "2013-01-01"}
FIELDS = ["flights.origin", "flights.carrier", "flights.count"]
SORTS = ["flights.carrier", "flights.origin"]

Given = Callable[[World], object]


@pytest.fixture
def prepared(world: World) -> World:
    world.put_flights(ROWS)
    world.looker.look("12", "Flights", "nyc", "flights", FIELDS, sorts=SORTS, limit="500")
    write_files(world)
    return world


def observed(world: World, look: str = "12", status: int = 0) -> dict[str, dict[str, str]]:
    result = run(world, "check", "--deep", look, "--json")
    assert result.status == status, result.errors + result.output
    return {each["subject"]: each for each in json.loads(result.output)}


def reading(**values: bool) -> Given:
    def arrange(world: World) -> None:
        for name, value in values.items():
            setattr(world.looker.readings, name, value)

    return arrange


def answer(content: str, *, nth: int = 0) -> Given:
    """Replace the answer to one of the queries."""
    sent = Response(200, content.encode(), {"Content-Type": "text/csv"})
    return lambda world: world.looker_server.fault(PULL_RUN, after=nth, refuse=sent)


def look(fields: list[str], **attributes: Any) -> Given:
    return lambda world: world.looker.look("12", "Flights", "nyc", "flights", fields, **attributes)


def both(*steps: Given) -> Given:
    return lambda world: [step(world) for step in steps]


HEADER = "Flights Origin,Flights Carrier,Flights Count\n"
PIVOTED = "Flights Carrier,AA,DL,UA\nFlights Origin,Flights Count,Flights Count,Flights Count\nEWR,1,1,1\n"

PIVOTS = look(FIELDS, pivots=["flights.carrier"], sorts=SORTS)
PIVOTED_IN_ONE = "Flights Origin,AA Flights Count,DL Flights Count,UA Flights Count\nEWR,1,1,1\n"

Seen = tuple[str, str, str, str]
"The subject, the word for a program, the colour and parts of the sentence."

CASES: dict[str, tuple[Given, list[Seen]]] = {
    "one reading": (
        reading(header_without_rows=True, totals_row=True, refuses_before_rows=True),
        [
            ("header", "labels", "green", "3 columns"),
            ("limit", "kept", "green", "sent 5"),
            ("totals", "one_more_row", "green", "after the last row: 6 rows where the limit is 5"),
            ("empty_answer", "header", "green", "with a header"),
            ("error_before_rows", "refused", "green", "answered 400 when asked"),
            ("error_between_rows", "not_tried", "yellow", "without harm"),
            ("end_of_answer", "chunked", "green", "so a cut is found"),
            ("line_ends", "lf", "green", "LF"),
            ("pivots", "not_tried", "yellow", "no pivots"),
            ("streaming", "not_tried", "yellow", "cannot be seen"),
            ("activity_ids", "number", "green", "query.id is of the type number"),
        ],
    ),
    "the other reading": (
        reading(header_without_rows=False, totals_row=False, refuses_before_rows=False),
        [
            ("totals", "no_row", "green", "no totals row"),
            ("empty_answer", "nothing", "green", "with nothing"),
            ("error_before_rows", "text", "green", "put an error text"),
        ],
    ),
    "an odd file": (
        answer((HEADER.replace("Flights O", "O") + "a,b,1\n" * 7).replace("\n", "\r\n")),
        [
            ("header", "other_labels", "red", "not Flights Origin"),
            ("limit", "exceeded", "red", "2 more than the limit"),
            ("line_ends", "crlf", "green", "CRLF"),
        ],
    ),
    "names of fields": (answer(",".join(FIELDS) + "\n"), [("header", "names", "red", "flights.origin, not by labels")]),
    "prose": (answer("The warehouse is asleep.\n"), [("header", "refused", "red", "the query selects 3 fields")]),
    "odd answers": (
        both(
            answer(HEADER + "a,b,1\n" * 4 + "c,d,1\n"),
            answer(HEADER + "a,b,1\n" * 4 + ",,5\n"),
            answer(HEADER + "a,b,1\n"),
            answer("a,b,c,d\n1,2,3,4\n"),
        ),
        [
            ("totals", "within_limit", "green", "is replaced by a totals row"),
            ("empty_answer", "rows", "yellow", "gave 1 rows"),
            ("error_before_rows", "rows", "red", "would take the answer for rows"),
        ],
    ),
    "pivots in one line": (
        both(PIVOTS, answer(HEADER + "a,b,1\n"), answer(HEADER + "c,d,1\n"), answer(PIVOTED_IN_ONE)),
        [
            ("totals", "unclear", "yellow", "cannot be compared"),
            ("pivots", "one_header_line", "green", "4 columns"),
        ],
    ),
    "pivots in two lines": (
        both(PIVOTS, answer(PIVOTED, nth=2)), [("pivots", "two_header_lines", "green", "two header lines")],
    ),
    "pivots refused": (
        PIVOTS,
        [
            ("pivots", "refused", "yellow", "does not pivot"),
            ("streaming", "obstacles", "red", "pivots (flights.carrier)"),
        ],
    ),
    "no measures": (look(["flights.origin"]), [("totals", "not_tried", "yellow", "no measures")]),
    "only measures, and few permissions": (
        both(
            look(["flights.count"]),
            lambda world: setattr(world.looker, "permissions", {"access_data", "see_looks"}),
        ),
        [
            ("empty_answer", "not_tried", "yellow", "no dimension"),
            ("activity_ids", "not_tried", "yellow", "see_system_activity"),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("arrange", "expected"), CASES.values(), ids=CASES.keys())
def test_each_reading_is_said(prepared: World, arrange: Given, expected: list[Seen]) -> None:
    arrange(prepared)

    result = run(prepared, "check", "--deep", "12", "--json")

    found = {each["subject"]: each for each in json.loads(result.output)}
    for subject, seen, colour, words in expected:
        it = found[subject]
        assert (subject, it["seen"], it["colour"]) == (subject, seen, colour), it
        assert words in it["what"] + it["next_step"]
        assert bool(it["next_step"]) == (colour != "green"), it
    assert result.status == (1 if "red" in {each["colour"] for each in found.values()} else 0)


def test_four_queries_with_five_rows_and_the_looks_own_filters_are_sent(prepared: World) -> None:
    look(FIELDS, sorts=SORTS, filters={"flights.carrier": "UA"})(prepared)

    observed(prepared)

    bodies = [json.loads(each.body) for each in prepared.looker_server.exchanges if each.path == RUN]
    assert [body["limit"] for body in bodies] == ["5"] * 4
    assert [body.get("total") for body in bodies] == [None, True, None, None]
    assert all(body["filters"]["flights.carrier"] == "UA" for body in bodies)
    assert prepared.looker.live_tokens == 0
    assert prepared.imports == []


def test_a_table_for_a_person_shows_no_cell(prepared: World) -> None:
    result = run(prepared, "check", "--deep", "12")

    assert (result.status, result.errors) == (0, "")
    lines = result.output.splitlines()
    assert lines[0].startswith("green   header  The header has 3 columns")
    assert any(line.startswith("yellow  error_between_rows") for line in lines)
    assert not [cell for cell in CELLS if cell in result.output]


def test_a_look_that_does_not_exist_is_an_error_of_three_lines(prepared: World) -> None:
    result = run(prepared, "check", "--deep", "99")

    assert (result.status, result.errors.splitlines()[0]) == (1, "error: look_not_found")


def test_it_is_not_for_offline(prepared: World) -> None:
    assert run(prepared, "check", "--deep", "12", "--offline").status == 2
    assert prepared.looker_server.exchanges == []
